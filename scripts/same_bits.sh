#!/usr/bin/env bash
# Compares what two builds compute, bit for bit: for a change that must not move a number.
#   scripts/same_bits.sh OLD_WEFT NEW_WEFT [--quick] [--only REGEX] [--keep DIR] [section.key=value ...]
#     --quick     a third of the training runs, under a minute instead of under five
#     --only REGEX   only what has a name that matches, such as "bf16.*heads" or "keys"
#     --keep DIR  work there and leave everything, instead of in a temporary folder that goes
#     section.key=value   for every run of both builds, such as debug.isa=avx2
# Prints a line for each difference and counts at the end. Exit status 0: no difference; 1: some; 2: wrong arguments.
#
# Runs: twelve steps with two evaluations of a model of 4 layers, width 32, context 96, on generated text. Of the
# product {fp32 bf16 fp16} x {fixed merged, strided interleaved, a list, dense, heads} x recompute {none attention
# block} x dropout {0 0.1} x ranks {1 2 3} each triple of the first three is run once; dropout and ranks rotate so that
# every pair of values of any two of the five meets (quick: each pair of precision and pattern once, the others rotate).
# Beside them: local windows, half size, sharded moments, micro-batches of two, and checkpoints of the old build that
# the new one goes on from. Compared: the losses of all steps, the last checkpoint, the evaluation that it carries; for
# each pattern and precision the text of `weft eval` with its logits and of `weft sample`; the keys of every layer and
# head as `weft pattern` writes them.
set -uo pipefail
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
started=$(date +%s)
usage() { echo "same_bits.sh: got $1, expected OLD_WEFT NEW_WEFT [--quick] [--only REGEX] [--keep DIR] [section.key=value ...]" >&2; exit 2; }

programs=() settings=() quick= keep= only=.
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=yes ;;
    --only) only=${2:-}; [ -n "$only" ] || usage "--only without an expression"; shift ;;
    --keep) keep=${2:-}; [ -n "$keep" ] || usage "--keep without a folder"; shift ;;
    -*) usage "'$1'" ;;
    *.*=*) settings+=("$1") ;;
    *) programs+=("$1") ;;
  esac
  shift
done
[ ${#programs[@]} = 2 ] || usage "${#programs[@]} programs"
for program in "${programs[@]}"; do
  [ -f "$program" ] && [ -x "$program" ] || usage "'$program', which is no program"
done
old=$(realpath "${programs[0]}") new=$(realpath "${programs[1]}")
work=$keep
if [ -z "$keep" ]; then
  work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
fi
mkdir -p "$work/old" "$work/new" && work=$(realpath "$work") || exit 1

differences=0 runs=0 texts=0 patterns=0
wanted() { [[ $1 =~ $only ]]; }
differ() { # WHAT TEXT...
  differences=$((differences + 1))
  echo "different: $1: ${*:2}"
}

# Runs weft of both builds at once, each in its own folder, where all paths are the same. Output: old/NAME.out and
# new/NAME.out. False where one of them failed, which is told.
both() { # WHAT NAME RANKS WEFT-ARGUMENTS...
  local what=$1 name=$2 launch=() side pids status i try
  [ "$3" = 1 ] || launch=("${MPIEXEC:-mpiexec}" -n "$3")
  shift 3
  for try in 1 2 3; do
    pids=() status=()
    for side in old new; do
      (cd "$work/$side" && exec "${launch[@]}" "${!side}" "$@" > "$name.out" 2> "$name.err" < /dev/null) &
      pids+=($!)
    done
    for i in 0 1; do
      wait "${pids[i]}"
      status+=($?)
    done
    [ "${status[*]}" != "0 0" ] || return 0
    # A machine under load lets MPI miss its own deadlines before any code of weft runs.
    grep -qs 'before MPI_INIT completed' "$work"/{old,new}/"$name.err" || break
  done
  differ "$what" "weft $1 ended with status ${status[0]} (old) and ${status[1]} (new): $(cat "$work"/{old,new}/"$name.err" | grep -m 1 'weft: error' || tail -q -n 1 "$work"/{old,new}/"$name.err" | head -n 1)"
  return 1
}
same_file() { # WHAT KIND PATH
  cmp -s "$work/old/$3" "$work/new/$3" ||
    differ "$1" "$2: $(diff "$work/old/$3" "$work/new/$3" 2>&1 | grep -a '^[<>B]' | head -n 2 | tr '\n' ' ')"
}
same_numbers() { # WHAT KIND FILE-OLD FILE-NEW, both below $work
  local text
  text=$("$new" inspect "$work/$3" "$work/$4" 2>&1) && [[ $text = *$'\n'equal:* ]] ||
    differ "$1" "$2: $(grep '^different' <<< "$text" | head -n 1) $(tail -n 1 <<< "$text")"
}

cat > "$work/input.toml" <<'TOML'
[run]
seed = 3
[data]
path = "data"
[model]
layers = 4
width = 32
heads = 2
context = 96
embedding_scale = 16.0 # large enough that every layer changes what the output sees
position_scale = 16.0
weight_scale = 2.0
[attention]
stride = 16
summary = 4
[optimizer]
learning_rate = 3e-3
[schedule]
kind = "constant"
warmup_steps = 3
[training]
steps = 12
batch = 6
micro_batch = 1
[checkpoint]
every_steps = 0
[evaluation]
every_steps = 6
max_windows = 5
[log]
tensorboard = false
TOML
awk 'BEGIN { split("the weaver throws a shuttle and warp meets weft ; cloth grows , row by row .", word, " ")
             for (x = 1; i < 6000; ++i) { x = (x * 1103515 + 12345) % 2147483648; printf "%s%s", word[int(x / 65536) % 16 + 1], i % 13 == 12 ? "\n" : " " } }' \
  > "$work/text.txt"
both "the data set" prepare 1 prepare text --from ../text.txt --to data || exit 1

train() { # WHAT NAME RANKS KEY=VALUE...
  local what=$1 name=$2 ranks=$3 last=checkpoints/step-00000012.h5
  shift 3
  wanted "$what" || return
  runs=$((runs + 1))
  both "$what" "$name" "$ranks" train ../input.toml run.name="$name" "$@" "${settings[@]}" --dump-losses "$name.losses" || return
  same_file "$what" losses "$name.losses"
  same_numbers "$what" "last checkpoint" "old/runs/$name/$last" "new/runs/$name/$last"
}

# Evaluation and sampling, each build from its own run.
use() { # WHAT NAME
  wanted "$1" || return
  texts=$((texts + 1))
  if both "$1" "$2.eval" 1 eval "runs/$2" --split test "${settings[@]}" --logits "$2.logits.h5"; then
    sed -i '/^evaluating: /d' "$work"/{old,new}/"$2.eval.out" # progress, where a machine is slow
    same_file "$1" "weft eval" "$2.eval.out"
    same_numbers "$1" logits "old/$2.logits.h5" "new/$2.logits.h5"
  fi
  both "$1" "$2.sample" 1 sample "runs/$2" --samples 2 --seed 5 --prompt "the weaver" --length 40 "${settings[@]}" &&
    same_file "$1" "weft sample" "$2.sample.out"
}

pattern_names=("fixed merged" "strided interleaved" "a list" dense heads)
pattern_keys() { # NUMBER
  case $1 in
    0) echo attention.pattern=fixed 'attention.combination=["merged"]' ;;
    1) echo attention.pattern=strided 'attention.combination=["interleaved"]' ;;
    2) echo attention.pattern=fixed 'attention.combination=["block","summary","merged","dense"]' ;;
    3) echo attention.pattern=dense 'attention.combination=["merged"]' ;;
    4) echo attention.pattern=strided 'attention.combination=["heads"]' ;;
  esac
}
precisions=(fp32 bf16 fp16) recomputes=(none attention block) dropouts=(0.0 0.1)
for p in 0 1 2; do
  for a in 0 1 2 3 4; do
    for r in 0 1 2; do
      [ -z "$quick" ] || [ $r = $(((p + a) % 3)) ] || continue
      ranks=$(((a + r) % 3 + 1)) d=$(((a + r + p / 2) % 2))
      what="${precisions[p]}, ${pattern_names[a]}, recompute ${recomputes[r]}, dropout ${dropouts[d]}, ranks $ranks"
      name=run-$p$a$r
      read -ra keys <<< "$(pattern_keys $a)"
      train "$what" $name $ranks "${keys[@]}" run.precision=${precisions[p]} model.recompute=${recomputes[r]} model.dropout=${dropouts[d]}
      [ $r = $(((p + a) % 3)) ] && { [ -z "$quick" ] || [ $p = $((a % 3)) ]; } && use "$what" $name
    done
  done
done

if [ -z "$quick" ]; then
  train "local windows" local 1 attention.pattern=local attention.window=20 'attention.combination=["local","dense"]'
  train "half size, shared summary" half 2 model.half_size=true attention.shared_summary=true model.dropout=0.1
  train "sharded moments" sharded 2 parallel.shard_optimizer=true parallel.bucket_mib=0.01
  train "micro-batches of two, three position tables" micro 3 training.micro_batch=2 'model.position_shape=[4,6,4]'
fi

# A checkpoint of the old build, and both builds from there on.
for precision in fp32 bf16 fp16; do
  [ -z "$quick" ] || [ $precision = bf16 ] || continue
  what="$precision, from step 6 of the old build" name=on-$precision
  wanted "$what" || continue
  common=(train ../input.toml run.name=$name run.precision=$precision model.dropout=0.1 "${settings[@]}")
  if both "$what" $name 1 "${common[@]}" training.steps=6; then
    rm -rf "$work/new/runs/$name" && cp -r "$work/old/runs/$name" "$work/new/runs/$name"
    train "$what" $name 2 run.precision=$precision model.dropout=0.1
  fi
done

for a in 0 1 2 3 4; do
  read -ra keys <<< "$(pattern_keys $a)"
  for layer in 0 1 2 3; do
    for head in 0 1; do
      [ -z "$quick" ] || [ $head = $((layer % 2)) ] || continue
      what="keys of ${pattern_names[a]}, layer $layer, head $head" file=keys-$a$layer$head
      wanted "$what" || continue
      patterns=$((patterns + 1))
      both "$what" $file 1 pattern ../input.toml "${keys[@]}" --layer $layer --head $head --csv $file.csv &&
        same_file "$what" "weft pattern" $file.csv
    done
  done
done

[ $((runs + texts + patterns)) -gt 0 ] || usage "--only '$only', which no case matches"
echo "same_bits.sh: $differences differences; $runs training runs, $texts evaluations with samples, $patterns patterns, $(($(date +%s) - started)) s"
[ $differences = 0 ]
