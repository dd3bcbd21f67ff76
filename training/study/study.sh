#!/usr/bin/env bash
# study.sh - does it pay to pretrain on movie text rather than on general text of the same size, to recommend tags?
#
#   training/study/study.sh FOLDER [STAGE...]     stages: vocabularies main arms freezing labels crossed ceiling (all)
#
# Every arm reads equally many words for equally many steps of equal size, with the same network and seed; only the text
# differs.  Each model is then taught the genres of the same films, and asked about fold 2.  What is done stays in FOLDER: run
# it again after an interruption, and it goes on.  Results are lines of FOLDER/results.jsonl; summary.sql and plot.sql show them.
#
#   WORDS=2000000     words that an arm reads            STEPS=2500     steps, of 1,024 tokens
#   CONFIG=2,128,2    layers, hidden size, heads         SEEDS="1 2 3 4 5 6"   of the main arms; the others take SIDE_SEEDS="1 2 3"
#   OBJECTIVE=masked  words, or spans: then a step is 64 texts of two spans of 64 tokens
#   THREADS=N         of one process: two that share out the seeds are faster than one with two threads, once the stage
#                     vocabularies is done
#   MOVIEBERT_TOOL=FILE (./moviebert)    MOVIEBERT_CHECKPOINT=FOLDER   a public encoder, for the stage ceiling
#
# The database that PGDATABASE and its like name has been filled by load.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
[[ $# -ge 1 ]] || { sed -n '2,18s/^# \{0,1\}//p' "$0" >&2; exit 2; }
tool=$(realpath "${MOVIEBERT_TOOL:-$here/../../moviebert}")
[[ -x $tool ]] || { echo "study.sh: no program $tool: make moviebert, or set MOVIEBERT_TOOL" >&2; exit 1; }
checkpoint=${MOVIEBERT_CHECKPOINT:+$(realpath "$MOVIEBERT_CHECKPOINT")}
mkdir -p "$1"
cd "$1"
shift
stages=${*:-vocabularies main arms freezing labels crossed ceiling}
WORDS=${WORDS:-2000000} STEPS=${STEPS:-2500} CONFIG=${CONFIG:-2,128,2} OBJECTIVE=${OBJECTIVE:-masked}
SEEDS=${SEEDS:-1 2 3 4 5 6} SIDE_SEEDS=${SIDE_SEEDS:-1 2 3}
threads=(${THREADS:+--threads "$THREADS"})
common=(--shards 2 "${threads[@]}" --quiet)
case $OBJECTIVE in
	masked) reading=(--length 64 --batch-tokens 1024) ;;
	spans) reading=(--objective spans --length 64 --batch-texts 64) ;;
	*) echo "study.sh: no objective \"$OBJECTIVE\"; there are masked and spans" >&2; exit 2 ;;
esac
half=$((STEPS / 2))
touch results.jsonl
say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }

if [[ ! -e drawn-$WORDS ]]; then
	psql -X -q -v ON_ERROR_STOP=1 -v words="$WORDS" -f "$here/arms.sql"
	touch "drawn-$WORDS"
fi

# vocabulary TEXT : a vocabulary of the texts of one arm
vocabulary() {
	[[ -e vocab-$1.txt ]] || "$tool" vocab --query "SELECT text FROM study_arm_$1" --size 8192 -o "vocab-$1.txt" --quiet
}

# go_on RUN : an interrupted run's option
go_on() { if [[ -e $1/manifest.json ]]; then echo --resume; fi; }

# pretrain NAME TEXT VOCABULARY SEED STEPS [FROM]
pretrain() {
	local out=$1.safetensors source
	[[ -e $out ]] && return
	if [[ -n ${6:-} ]]; then
		source=(--from "$6" --rate 1e-3)
	else
		source=(--vocab "vocab-$3.txt" --config "$CONFIG" --max-positions 128 --rate 2e-3)
	fi
	say "pretrain $1"
	"$tool" pretrain --query "SELECT key, text FROM study_arm_$2" --key key "${source[@]}" "${reading[@]}" --steps "$5" \
		--seed "$4" "${common[@]}" --run "$1.run" $(go_on "$1.run") -o "$out" >"$1.log"
}

# untrained NAME VOCABULARY SEED : the same network, after a single step at a rate of nearly nothing
untrained() {
	[[ -e $1.safetensors ]] || "$tool" pretrain --query "SELECT key, text FROM study_arm_general LIMIT 200" --key key \
		--vocab "vocab-$2.txt" --config "$CONFIG" --length 64 --max-positions 128 --batch-tokens 1024 --steps 1 --rate 1e-12 \
		--seed "$3" "${common[@]}" --run "$1.run" $(go_on "$1.run") -o "$1.safetensors" >"$1.log"
}

rows="SELECT text, genres, film FROM study_labelled WHERE genres <> '{}' AND"

# tags NAME ENCODER SEED FREEZE LABELS : teaches, asks, and keeps a line of results
tags() {
	local name=$1 seed=$3 some="fold > 2" valid="fold = 1" way="--epochs 1 --validate-every 0.5 --start prior --rate 1e-3"
	[[ -e $name.pred ]] && return
	if [[ $5 != all ]]; then
		some="id IN (SELECT id FROM study_labelled WHERE genres <> '{}' AND fold > 2 ORDER BY md5(id || '$seed') LIMIT $5)"
		valid="id IN (SELECT id FROM study_labelled WHERE genres <> '{}' AND fold = 1 ORDER BY md5(id || '$seed') LIMIT $(($5 / 2)))"
		way="--epochs 8 --validate-every 1 --rate 3e-4"
	fi
	say "tags $name"
	local training=()
	if [[ $4 != all ]]; then
		training=($way --length 64 --windows 2 --shards 2 --run "$name.run"
			$(go_on "$name.run"))
	fi
	"$tool" finetune --from "$2" --freeze "$4" "${training[@]}" --key film --query "$rows $some" \
		--validation-query "$rows $valid" --min-support 1 --seed "$seed" "${threads[@]}" -o "$name.safetensors" --json --quiet >"$name.json"
	"$tool" evaluate --model "$name.safetensors" --key film --query "$rows fold = 2" --draws 0 "${threads[@]}" -o "$name.said" --json --quiet \
		>"$name.evaluate.json"
	# The line is whole, and there before the file that says it is.
	local line
	line=$(tr -d '\n' <"$name.evaluate.json" | sed "s/^{/{\"name\":\"$name\",\"seed\":$seed,\"freeze\":\"$4\",\"labels\":\"$5\",/")
	(flock 9 && printf '%s\n' "$line" >&9) 9>>results.jsonl
	mv "$name.said" "$name.pred"
	rm -rf "$name.run" "$name.safetensors"
}

arms=(general movies)
for stage in $stages; do
	case $stage in
		vocabularies) for text in general movies half; do vocabulary $text; done ;;
		main)
			# The arms that the question is about, and the network that read nothing.
			for seed in $SEEDS; do
				untrained "none-$seed" general "$seed"
				for arm in "${arms[@]}"; do pretrain "$arm-$seed" "$arm" "$arm" "$seed" "$STEPS"; done
				for arm in none "${arms[@]}"; do tags "$arm.full.$seed" "$arm-$seed.safetensors" "$seed" none all; done
			done
			;;
		arms)
			for seed in $SIDE_SEEDS; do
				pretrain "half-$seed" half half "$seed" "$STEPS"
				pretrain "first-$seed" general_half half "$seed" "$half"
				pretrain "then-$seed" movies_half half "$seed" "$half" "first-$seed.safetensors"
				for arm in half then; do tags "$arm.full.$seed" "$arm-$seed.safetensors" "$seed" none all; done
			done
			;;
		freezing)
			for seed in $SEEDS; do
				for arm in none "${arms[@]}"; do
					tags "$arm.frozen.$seed" "$arm-$seed.safetensors" "$seed" all all
				done
			done
			for seed in $SIDE_SEEDS; do
				for arm in "${arms[@]}"; do tags "$arm.half-frozen.$seed" "$arm-$seed.safetensors" "$seed" $((${CONFIG%%,*} / 2)) all; done
			done
			;;
		labels)
			for seed in $SEEDS; do
				for arm in none "${arms[@]}"; do
					for n in 500 2000; do tags "$arm.full-$n.$seed" "$arm-$seed.safetensors" "$seed" none $n; done
				done
			done
			;;
		crossed)
			for seed in $SIDE_SEEDS; do
				pretrain "general-x-$seed" general movies "$seed" "$STEPS"
				pretrain "movies-x-$seed" movies general "$seed" "$STEPS"
				for arm in general-x movies-x; do tags "$arm.full.$seed" "$arm-$seed.safetensors" "$seed" none all; done
			done
			;;
		ceiling)
			[[ -n $checkpoint ]] || { say "ceiling: left out, MOVIEBERT_CHECKPOINT names no encoder"; continue; }
			[[ -e public.safetensors ]] || "$tool" import "$checkpoint" -o public.safetensors
			tags public.frozen.1 public.safetensors 1 all all
			tags public.full.1 public.safetensors 1 none all
			;;
		*) echo "study.sh: no stage \"$stage\"" >&2; exit 2 ;;
	esac
done
say "done; $(wc -l <results.jsonl) results in $PWD/results.jsonl"
