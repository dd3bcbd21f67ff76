#!/usr/bin/env bash
# latency.sh - milliseconds of bert_embed in SQL for texts of several lengths, warm, and of the first call in a new
# connection; also rows a second through a table.  Talks to the server that PGHOST, PGPORT, ... name, and uses its
# default model.  Prints one JSON object.
set -euo pipefail
CONNECTIONS=${CONNECTIONS:-20} REPEATS=${REPEATS:-30}

sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }
median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) printf "%.3f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; else printf "null" }'; }
maximum() { sort -n | tail -n 1; }
# The \timing lines of a script, in milliseconds; the first is of the statement that follows "\timing on".
times() { sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'; }

text() { awk -v n="$1" 'BEGIN { split("the detective follows a quiet girl through old streets while rain falls on her brother and nobody knows why they left", w, " "); for (i = 0; i < n; i++) printf "%s%s", i ? " " : "", w[i % 20 + 1] }'; }

model=$(sql -c "SELECT name FROM bert_models WHERE is_default")
printf '{"benchmark":"latency","model":"%s","unit":"ms"' "$model"
sql -c "SELECT bert_embed('write the image') IS NOT NULL" >/dev/null

# Every connection's own call is different, so that nothing could be remembered.
first=() second=()
short=$(text 20)
for ((i = 0; i < CONNECTIONS; i++)); do
	mapfile -t pair < <({
		echo '\timing on'
		echo "SELECT 1;"
		echo "SELECT length(bert_embed('$short $i a')::text) > 0;"
		echo "SELECT length(bert_embed('$short $i b')::text) > 0;"
		echo "SELECT length(bert_embed('$short $i c')::text) > 0;"
	} | sql | times)
	first+=("${pair[1]}") second+=("${pair[3]}")
done
printf ',"new_connection_first_call":%s,"new_connection_first_call_max":%s,"new_connection_third_call":%s' \
	"$(printf '%s\n' "${first[@]}" | median)" "$(printf '%s\n' "${first[@]}" | maximum)" "$(printf '%s\n' "${second[@]}" | median)"

printf ',"warm":{'
comma=
for words in 10 50 200; do
	body=$(text "$words")
	milliseconds=$({
		echo "SELECT bert_embed('$body') IS NOT NULL;"
		echo '\timing on'
		for ((i = 0; i < REPEATS; i++)); do echo "SELECT bert_embed('$body $i') IS NOT NULL;"; done
	} | sql | times | median)
	printf '%s"%d_words":%s' "$comma" "$words" "$milliseconds"
	comma=,
done
printf '}'

if [[ $(sql -c "SELECT to_regclass('movies') IS NOT NULL") == t ]]; then
	for kind in bert_embed bert_tags; do
		if [[ $kind == bert_tags && $(sql -c "SELECT coalesce(cardinality(tags), 0) FROM bert_models WHERE is_default") == 0 ]]; then continue; fi
		elapsed=$({
			echo '\timing on'
			echo "SELECT count($kind(plot)) FROM movies;"
		} | sql | times)
		printf ',"%s_rows_per_second":%s' "$kind" "$(awk -v n="$(sql -c 'SELECT count(*) FROM movies')" -v t="$elapsed" 'BEGIN { printf "%.1f", n / t * 1000 }')"
	done
fi
printf '}\n'
