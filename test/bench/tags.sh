#!/usr/bin/env bash
# tags.sh - the main job on real rows: a tag head trained by SQL query on a frozen encoder, installed, asked in SQL over the
# test fold, and measured beside TF-IDF + logistic regression on the same rows.
#
#   test/bench/tags.sh            genres (21 labels) and raw tags (those with 50 training rows or more)
#
#   MOVIEBERT_CHECKPOINT=FOLDER   the encoder, a Hugging Face or sentence-transformers folder (required)
#   MOVIEBERT_DATA=FOLDER         where movies_tagged.jsonl.zst is (../shared/data)
#   MOVIEBERT_PEERS=PYTHON        a Python with scikit-learn, for the baseline; left out without it
#   MOVIEBERT_TOOL=FILE           the tool (./moviebert); the extension installed in PostgreSQL must be its version
#
# Folds, by film and never by row: 3 to 9 training, 1 validation, 2 test.  Results, facts only, go to build/bench,
# or with RESULTS=test/bench/results where they are kept for a commit.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../script/lib.sh"
find_postgres

DATA=${MOVIEBERT_DATA:-$ROOT/../shared/data}/movies_tagged.jsonl.zst
RESULTS=${RESULTS:-$ROOT/build/bench}
TOOL=${MOVIEBERT_TOOL:-$ROOT/moviebert}
[[ -f $DATA ]] || { say "left out: no movies_tagged.jsonl.zst in ../shared/data or MOVIEBERT_DATA"; exit 0; }
[[ -n ${MOVIEBERT_CHECKPOINT:-} ]] || { say "left out: MOVIEBERT_CHECKPOINT names no encoder"; exit 0; }
[[ -x $TOOL ]] || die "no tool at $TOOL; run make"

work=${WORK:-$(mktemp -d /var/tmp/moviebert-tags.XXXXXX)}
cleanup() {
	if [[ -e $work/server/data/postmaster.pid ]]; then stop_cluster "$work/server" || true; fi
	[[ -n ${WORK:-} ]] || rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
mkdir -p "$work" "$RESULTS"
chmod 0755 "$work"

heading "Rows"
CLUSTER_PORT=${CLUSTER_PORT_TAGS:-5418}
if [[ ! -d $work/server/data ]]; then
	if am_root; then chown "$(server_user):" "$work"; fi
	private_folder "$work/server"
	logged tags-initdb new_cluster "$work/server" postgres
fi
start_cluster "$work/server"
export PGHOST=$work/server PGPORT=$CLUSTER_PORT PGUSER=postgres PGDATABASE=postgres
sql() { "$PG_BIN/psql" -X -q -At -v ON_ERROR_STOP=1 "$@"; }
if [[ $(sql -c "SELECT to_regclass('movies') IS NULL") == t ]]; then
	sql -c 'CREATE EXTENSION moviebert; CREATE TABLE raw (doc jsonb)'
	zstdcat "$DATA" | sql -c "COPY raw FROM STDIN WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
	sql -c "CREATE TABLE movies AS
	          SELECT doc->>'id' AS id, doc->>'source' AS source, doc->>'title' AS title, (doc->>'year')::int AS year,
	                 doc->>'text' AS plot, ARRAY(SELECT jsonb_array_elements_text(doc->'tags')) AS tags,
	                 ARRAY(SELECT jsonb_array_elements_text(doc->'genres')) AS genres, doc->>'group' AS film,
	                 (doc->>'fold')::int AS fold
	            FROM raw;
	        DROP TABLE raw; ALTER TABLE movies ADD PRIMARY KEY (id); ANALYZE movies"
fi
say "$(sql -c 'SELECT count(*) FROM movies') rows"

heading "Encoder"
base=$work/base.safetensors
[[ -f $base ]] || "$TOOL" import "$MOVIEBERT_CHECKPOINT" -o "$base"

# keep FILE NAME : a JSON object to results/NAME.json, with the machine's and the code's names.
keep() {
	{
		printf '{"date":"%s","commit":"%s","cpu":"%s","cores":%d,' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
			"$(git -C "$ROOT" describe --always --dirty 2>/dev/null || echo unknown)" \
			"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)"
		tail -c +2 "$1"
	} >"$RESULTS/$2.json"
}

# one FIELD MIN_SUPPORT : trains, installs, tags the test fold in SQL, measures.
one() {
	local field=$1 support=$2 tags=$work/$1.safetensors started
	# A row without labels of the kind is one of unknown labels, not one without any: it is left out, here and there.
	local rows="SELECT plot, $field, film FROM movies WHERE cardinality($field) > 0 AND"

	heading "Tags: $field"
	"$TOOL" finetune --model "$base" --freeze all -o "$tags" --cache "$work/vectors.cache" --key film \
		--query "$rows fold >= 3" --validation-query "$rows fold = 1" --min-support "$support" | tee "$work/$field.txt"
	"$TOOL" evaluate --model "$tags" --cache "$work/vectors.cache" --json --query "$rows fold = 2" >"$work/$field.evaluate.json"
	"$TOOL" install "$tags" --name "$field"
	sql -c "SELECT bert_default_model('$field')" >/dev/null
	started=$(date +%s.%N)
	sql -c "SELECT title, bert_tags(plot, '$field') FROM movies WHERE fold = 2 ORDER BY id" >"$work/$field.tagged.txt"
	awk -v rows="$(wc -l <"$work/$field.tagged.txt")" -v start="$started" -v end="$(date +%s.%N)" \
		'BEGIN { printf "   SELECT title, bert_tags(plot): %d rows of the test fold in %.1f s, %.0f rows/s\n", rows, end - start, rows / (end - start) }'
	head -n 5 "$work/$field.tagged.txt"
	keep "$work/$field.evaluate.json" "tags-$field-moviebert"
	if [[ -n ${MOVIEBERT_PEERS:-} ]]; then
		[[ -f $work/$field.baseline.json ]] ||
			"$MOVIEBERT_PEERS" "$ROOT/test/bench/tags_baseline.py" --data "$DATA" --field "$field" --min-support "$support" \
				-o "$work/$field.baseline.json" --compare "$work/$field.evaluate.json"
		keep "$work/$field.baseline.json" "tags-$field-baseline"
	else
		say "no baseline: MOVIEBERT_PEERS names no Python with scikit-learn"
	fi
}

one genres 20
one tags 50
