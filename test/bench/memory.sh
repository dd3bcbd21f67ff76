#!/usr/bin/env bash
# memory.sh - what CONNECTIONS (50) backends hold while all use one model: the proportional set sizes (Pss) that the
# kernel reports, in which a page shared by n processes counts 1/n for each.  Talks to the server that PGHOST, PGPORT, ...
# name, on this machine, as a user who may read its /proc (root, or the server's own).  Prints one JSON object.
set -euo pipefail
CONNECTIONS=${CONNECTIONS:-50}

sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }
folder=$(mktemp -d) jobs_started=()
cleanup() {
	local pid
	for pid in ${jobs_started[@]+"${jobs_started[@]}"}; do kill "$pid" 2>/dev/null || true; done
	rm -rf "$folder"
}
trap cleanup EXIT

model=$(sql -c "SELECT name FROM bert_models WHERE is_default")
words=$(awk 'BEGIN { for (i = 0; i < 200; i++) printf "the old man and his daughter walk home at night "; }' | cut -d' ' -f1-200)

# hold NAME STATEMENT : a connection that runs STATEMENT and then stays open until the folder goes.
hold() {
	{
		echo "SELECT pg_backend_pid();"
		echo "$2"
		echo "\\! touch $folder/$1.done"
		while [[ -e $folder ]]; do sleep 0.2; done
	} | sql >"$folder/$1.out" 2>"$folder/$1.err" &
	jobs_started+=($!)
}
wait_for() {
	local tries
	for ((tries = 0; tries < 1200; tries++)); do
		if [[ -e $folder/$1.done ]]; then return; fi
		sleep 0.05
	done
	cat "$folder/$1.err" >&2
	exit 1
}

# Kilobytes of a field of smaps_rollup, summed over processes.
rollup() { local field=$1 pid; shift; for pid in "$@"; do cat "/proc/$pid/smaps_rollup"; done | awk -v f="$field:" '$1 == f { s += $2 } END { print s + 0 }'; }
# Kilobytes of Pss or Rss in the mappings of model images, summed over processes.
image() { local field=$1 pid; shift; for pid in "$@"; do cat "/proc/$pid/smaps"; done | awk -v f="$field:" '/^[0-9a-f]+-[0-9a-f]+ / { in_image = /moviebert/ && !/\.so/ } $1 == f && in_image { s += $2 } END { print s + 0 }'; }
private() { echo $(($(rollup Private_Dirty "$@") + $(rollup Private_Clean "$@"))); }

hold idle "SELECT 1;"
wait_for idle
for ((i = 0; i < CONNECTIONS; i++)); do hold "c$i" "SELECT bert_embed('$words') IS NOT NULL;"; done
pids=()
for ((i = 0; i < CONNECTIONS; i++)); do
	wait_for "c$i"
	pids+=("$(head -n 1 "$folder/c$i.out")")
done
idle=$(head -n 1 "$folder/idle.out")

printf '{"benchmark":"memory","model":"%s","unit":"kB","connections":%d' "$model" "$CONNECTIONS"
printf ',"image_pss_sum":%d,"image_rss_each":%d' "$(image Pss "${pids[@]}")" "$(image Rss "${pids[0]}")"
printf ',"pss_sum":%d,"private_each":%d,"private_idle_backend":%d' "$(rollup Pss "${pids[@]}")" \
	"$(($(private "${pids[@]}") / CONNECTIONS))" "$(private "$idle")"
printf ',"anonymous_each":%d,"anonymous_idle_backend":%d}\n' "$(($(rollup Anonymous "${pids[@]}") / CONNECTIONS))" "$(rollup Anonymous "$idle")"
