#!/usr/bin/env bash
# The Reformer's copy task, trained four ways and evaluated five, on this machine (slurm/reformer_copy.sh: on a cluster):
#   scripts/reformer_matrix.sh [--mixture] [--name SUFFIX] [--list] FOLDER SEEDS [section.key=value ...]
# FOLDER: inputs/reformer or inputs/reformer_two_cores. Trains its full, lsh4, lsh2 and lsh1, each with the seeds 1 to SEEDS,
# and evaluates each with full attention and with LSH attention of 8, 4, 2 and 1 rounds; then makes the table. --mixture: the
# reproduction's mixture of scores too (full attention whose keys are not normalised: full_raw as a fifth training, and a sixth
# evaluation of the LSH ones). --name: goes behind the runs' names, for other settings. --list: prints what would run.
#   scripts/reformer_matrix.sh [--mixture] [--list] --evaluate RUN FOLDER      the evaluations of one run alone
# Done again, it goes on where it was stopped. WEFT, WEFT_RUNS, WEFT_TABLES, WEFT_PYTHON as in slurm/site.sh; WEFT_LAUNCH: what
# starts the ranks, such as "mpirun -n 4".
set -euo pipefail
say() { echo "reformer_matrix.sh: $*"; }
fail() { echo "reformer_matrix.sh: $*" >&2; exit 2; }
weft=${WEFT:-build/cpu/weft} runs=${WEFT_RUNS:-runs} tables=${WEFT_TABLES:-tables} python=${WEFT_PYTHON:-/usr/bin/python3}
read -ra launch <<< "${WEFT_LAUNCH:-}"
list='' mixture='' suffix='' one=''
while [ $# -gt 0 ]; do
  case $1 in
    --list) list=yes ;;
    --mixture) mixture=yes ;;
    --name) suffix=${2:-} && shift ;;
    --evaluate) one=${2:-} && shift ;;
    -*) fail "got $1, expected --mixture, --name, --list, --evaluate or FOLDER SEEDS" ;;
    *) break ;;
  esac
  shift
done
folder=${1:-}
[ -f "$folder/lsh4.toml" ] || fail "got '$folder', expected a folder with full.toml and lsh4.toml, such as inputs/reformer"

setting() { sed -n "s/^$2 *= *//p" "$1" | head -n 1; } # FILE KEY
hashes=("attention.buckets=$(setting "$folder/lsh4.toml" buckets)" "attention.chunk=$(setting "$folder/lsh4.toml" chunk)")

do_it() { # COMMAND...; or its text, with --list
  if [ -n "$list" ]; then echo "$*"; else "$@"; fi
}

# The record goes where the tables look for it, under a name of its own, with the bits of each slot beside it.
evaluate_once() { # RUN NAME section.key=value ...
  local run=$1 to=$1/evaluations/matrix-$2
  shift 2
  if [ -n "$list" ]; then
    echo "$weft eval $run $*"
    return
  fi
  [ "$to.json" -nt "$run/metrics.h5" ] && return # is there, and nothing was trained since
  mkdir -p "$run/evaluations"
  say "$run: $*"
  "${launch[@]}" "$weft" eval "$run" --split test --json "$to.json.partial" --by-position "$to.csv" "$@" > "$to.log" ||
    { local status=$?; cat "$to.log" >&2; return $status; }
  mv "$to.json.partial" "$to.json"
}

evaluate() { # RUN NAME-OF-INPUT
  local run=$1 of=$2 rounds score=() more=()
  [ "$of" = full_raw ] && score=(attention.score=raw)
  evaluate_once "$run" full attention.pattern=dense attention.shared_qk=true "${score[@]}"
  case $of in full*) more=("${hashes[@]}" attention.score=unit) ;; esac
  for rounds in 8 4 2 1; do
    evaluate_once "$run" "lsh$rounds" attention.pattern=lsh "attention.rounds=$rounds" "${more[@]}"
  done
  case $of in
    lsh*) [ -z "$mixture" ] ||
      evaluate_once "$run" full-raw attention.pattern=dense attention.shared_qk=true attention.score=raw ;;
  esac
}

# Which training a run is of: its name has the last word of its input file's.
training_of() { # RUN
  local name
  for name in full_raw full lsh4 lsh2 lsh1; do
    case $(basename "$1")_ in *_"${name}"_*) echo $name && return ;; esac
  done
  fail "--evaluate $1: expected a run whose name has full, lsh4, lsh2 or lsh1 in it"
}

if [ -n "$one" ]; then
  of=$(training_of "$one")
  evaluate "$one" "$of"
  exit
fi
seeds=${2:-}
case $seeds in '' | *[!0-9]* | 0) fail "SEEDS: got '$seeds', expected a number from 1" ;; esac
shift 2
for argument in "$@"; do
  case $argument in
    run.name=* | run.seed=* | run.directory=*) fail "got $argument, expected --name, SEEDS or WEFT_RUNS for it" ;;
    *=*) ;;
    *) fail "got $argument, expected section.key=value" ;;
  esac
done
trainings=(full lsh4 lsh2 lsh1)
[ -z "$mixture" ] || trainings+=(full_raw)
for seed in $(seq 1 "$seeds"); do
  for of in "${trainings[@]}"; do
    input=$folder/$of.toml
    name=$(setting "$input" name | tr -d '"')${suffix}_seed$seed
    do_it "${launch[@]}" "$weft" train "$input" "run.directory=$runs" "run.seed=$seed" "run.name=$name" "$@"
    evaluate "$runs/$name" "$of"
  done
done
do_it "$python" postproc/table_paper.py --table reformer --runs "$runs" --out "$tables"
