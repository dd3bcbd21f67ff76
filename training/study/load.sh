#!/usr/bin/env bash
# load.sh - puts the study's data into a database: the one that PGDATABASE and its like name.  Takes about 20 minutes.
#
#   training/study/load.sh [FOLDER]     where the files are (../shared/data)
#
# The files are not part of moviebert; models/README.md names the sources of their texts and the terms.
#   movies_tagged.jsonl.zst                        a labelled text a line: id, source, kind, title, year, text, genres, keywords
#                                                  (null: unknown), keywords_truncated, group (the film) and fold (0 to 9, by its hash)
#   corpus_movies.txt.zst, corpus_general.txt.zst  a document a line
#
# Needs zstd and psql, and a role that may create tables and the extension unaccent.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
data=${1:-${MOVIEBERT_DATA:-$here/../../../shared/data}}
[[ -f $data/movies_tagged.jsonl.zst ]] || { echo "load.sh: there is no movies_tagged.jsonl.zst in $data" >&2; exit 1; }
sql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

sql -c 'CREATE TABLE study_record (doc jsonb); CREATE TABLE study_line (number bigserial, part text, text text)'
# One line, one value: CSV whose quote and delimiter no text holds.
csv="WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
zstd -dc --long=27 "$data/movies_tagged.jsonl.zst" | sql -c "COPY study_record FROM STDIN $csv"
for part in movies general; do
	sql -c "ALTER TABLE study_line ALTER part SET DEFAULT '$part'; ALTER SEQUENCE study_line_number_seq RESTART"
	zstd -dc --long=27 "$data/corpus_$part.txt.zst" | sql -c "COPY study_line (text) FROM STDIN $csv"
done
sql -f "$here/load.sql" -f "$here/articles.sql"
sql -c 'DROP TABLE study_record, study_line; ANALYZE'
