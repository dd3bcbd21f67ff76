#!/usr/bin/env bash
# train.sh - trains models/moviebert.safetensors from nothing but texts and tags.
#
#   models/train.sh FOLDER         in a database (PGDATABASE and its like) that training/study/load.sh has filled
#
# Every stage leaves a file in FOLDER and is skipped where it is there, and an interrupted one goes on: run it again.  README.md
# beside it says what went in and what came out.   MOVIEBERT_TOOL=FILE (./moviebert)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
[[ $# -eq 1 ]] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
tool=$(realpath "${MOVIEBERT_TOOL:-$here/../moviebert}")
[[ -x $tool ]] || { echo "train.sh: no program $tool: make moviebert, or set MOVIEBERT_TOOL" >&2; exit 1; }
mkdir -p "$1"
cd "$1"
# Of all computing; another number of shards gives other digits, of threads the same.
common=(--seed 1 --shards 2)

about="moviebert's own model, trained from random weights. Its texts and labels: articles, extracts and plots of Wikipedia (CC BY-SA); 100 \
novels of the public domain; blurbs and categories of Netflix, Amazon, Disney+ and Hulu (published on Kaggle as CC0); overviews, genres and \
keywords of TMDB (API terms: not commercial, with attribution); genres of MovieLens, by GroupLens (research; no commercial use without \
permission). This product uses the TMDB API but is not endorsed or certified by TMDB. More in models/README.md."

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }

# stage NAME COMMAND... : moviebert COMMAND, into NAME.safetensors
stage() {
	local name=$1
	shift
	[[ -e $name.safetensors ]] && return
	say "$name"
	local go_on=()
	if [[ -e $name.run/manifest.json ]]; then go_on=(--resume); fi
	"$tool" "$@" "${common[@]}" --run "$name.run" "${go_on[@]}" -o "$name.safetensors" --quiet >"$name.log"
}

if [[ ! -e rows ]]; then
	say rows
	psql -X -q -v ON_ERROR_STOP=1 -f "$here/texts.sql" -f "$here/tags.sql"
	touch rows
fi
if [[ ! -e vocab.txt ]]; then
	say vocabulary
	"$tool" vocab --query "SELECT text FROM ship_movies UNION ALL SELECT text FROM ship_general WHERE key % 3 = 0" --size 12288 \
		-o vocab.txt --quiet >vocab.log
fi

# Random weights: a step at a rate of nothing.
stage random pretrain --query "SELECT key::text, text FROM ship_general LIMIT 3000" --key key --text text --vocab vocab.txt \
	--config 1,256,4 --length 128 --max-positions 256 --steps 1 --rate 1e-12 --batch-tokens 4096

# around NAME FROM PART RATE : which words stand around a piece; all pieces of texts on films, and a part of the others
around() {
	stage "$1" finetune --from "$2.safetensors" --query "SELECT key, text, tags FROM ship_around WHERE part = 'movies' OR $3 ORDER BY number" \
		--key key --text text --tags tags --validation 0.005 --freeze none --start prior --max-tags 5000 --length 96 --windows 1 \
		--epochs 1 --validate-every 1 --batch 64 --rate "$4" --head-rate 3 --dropout 0
}
around around-1 random 'place % 2 = 0' 2e-3
around around-2 around-1 'place % 2 <> 0' 1.5e-3

# spans NAME FROM STEPS QUERY : that two spans of a text belong together
spans() {
	stage "$1" pretrain --objective spans --from "$2.safetensors" --query "$4" --key film --text text --length 64 --batch-texts 128 \
		--pass-tokens 20000 --rate 2e-3 --steps "$3"
}
movies="SELECT key::text AS film, text FROM ship_movies"
spans spans-1 around-2 1500 "$movies ORDER BY film, text"
spans spans-2 spans-1 5000 "$movies UNION ALL SELECT key::text, text FROM ship_general ORDER BY film, text"

# The tags.
rows="SELECT text, tags, film, scope FROM ship_labelled WHERE source NOT IN ('imdb_storyline', 'movielens_plots')"
stage moviebert finetune --from spans-2.safetensors --query "$rows AND fold > 2 ORDER BY id" \
	--validation-query "$rows AND fold = 1 ORDER BY id" --key film --text text --tags tags --scope scope --freeze none --start prior \
	--keep-similarity 3 --length 64 --windows 2 --min-support 20 --epochs 4 --validate-every 1 --batch 64 --rate 1e-3 --head-rate 3 \
	--dropout 0.5 --weight-decay 0.5 --precision fp16 --about "$about"
say "made $PWD/moviebert.safetensors"
