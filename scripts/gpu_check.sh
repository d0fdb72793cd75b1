#!/usr/bin/env bash
# Proves a build on a machine with an NVIDIA GPU, in under eight minutes. Builds and installs nothing: runs what lies in
# the bundle that this script came in (share/weft/scripts/gpu_check.sh), or what the preset cuda has built.
#   scripts/gpu_check.sh [--build DIR] [JSON-FILE]     default: the bundle, else build/cuda; DIR/gpu_check.json or, from a
#                                                      bundle, ./gpu_check.json
#     --only REGEX     only the checks whose names match
#     --write-losses   instead: writes gpu_check/losses.txt anew; for a cpu build after a change of what it computes
# Prints a table and writes the same as JSON. Exit status 0: nothing failed. What could not be tried is "skipped".
set -uo pipefail
started=$(date +%s)
budget=470 # seconds in all
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
build= json= write=no only=. wanted=.
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=${2:?gpu_check.sh: --build wants a folder}; shift ;;
    --only) wanted=${2:?gpu_check.sh: --only wants a pattern}; shift ;;
    --write-losses) write=yes ;;
    -*) echo "gpu_check.sh: got '$1', expected --build DIR, --only REGEX, --write-losses or the JSON file's name" >&2; exit 2 ;;
    *) json=$1 ;;
  esac
  shift
done
if [ -z "$build" ] && [ -f "$top/BUNDLE" ]; then
  prefix=$(cd "$top/../.." && pwd) weft=$prefix/bin/weft tests=$prefix/libexec/weft/tests json=${json:-gpu_check.json}
else
  build=$(realpath -m "${build:-$top/build/cuda}") weft=$build/weft tests=$build/tests json=${json:-$build/gpu_check.json}
fi
[ -x "$weft" ] || { echo "gpu_check.sh: $weft is not there; build it first: cmake --preset cuda && cmake --build --preset cuda" >&2; exit 1; }
json=$(realpath -m "$json")
rm -f "${json%.json}.log" # the whole output of what fails
PATH=$PATH:/usr/local/cuda/bin:/sbin
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} # two ranks may share few cores
# Ranks that a container keeps from reading each other's memory.
export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
# CUDA libraries that the system lacks may have come as Python packages.
missing=$(ldd "$weft" | grep 'not found')
if [ -n "$missing" ] || ! ldconfig -p 2> /dev/null | grep -q 'libnccl\.so\.2'; then
  for found in {,/opt/*}/{,.}venv/lib/python3*/site-packages/nvidia/*/lib /usr/{,local/}lib/python3*/{site,dist}-packages/nvidia/*/lib; do
    if [ -d "$found" ]; then export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$found; fi
  done
  missing=$(ldd "$weft" | grep 'not found')
fi
[ -z "$missing" ] || { echo "gpu_check.sh: libraries that $weft needs are not installed (LD_LIBRARY_PATH may name their folder):" >&2; echo "$missing" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rows=() failed=0 skipped=0
may_be_cut='^(memcheck|racecheck)' # what these do not finish is not wrong
note() { # NAME RESULT STATUS SECONDS REMARK
  printf '%-44s %-8s %4s %7s s  %s\n' "$1" "$2" "$3" "$4" "$5"
  rows+=("{\"name\": \"$1\", \"result\": \"$2\", \"status\": $3, \"seconds\": $4, \"remark\": \"${5//\"/\'}\"}")
}
skip() {
  [[ $1 =~ $only ]] || return 0
  skipped=$((skipped + 1))
  note "$1" skipped 0 0 "$2"
}
# Runs a command, at most LIMIT seconds and no longer than the budget. The last line that it writes to file descriptor 3
# is the remark of its row.
check() { # NAME LIMIT COMMAND...
  local name=$1 limit=$2 begin left status=0 result=passed remark seconds
  [[ $name =~ $only ]] || return 0
  shift 2
  left=$((budget - $(date +%s) + started))
  [ $left -ge 5 ] || { skip "$name" "the $budget s of this script are used up"; return; }
  [ $left -ge "$limit" ] || limit=$left
  begin=$(date +%s.%N)
  : > "$work/remark"
  (limited "$limit" "$@") > "$work/out" 2>&1 < /dev/null 3> "$work/remark" || status=$?
  seconds=$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
  remark=$(tail -n 1 "$work/remark")
  [ $status != 124 ] || remark="not done after $limit s"
  if [ $status = 124 ] && [[ $name =~ $may_be_cut ]]; then
    result=skipped skipped=$((skipped + 1))
  elif [ $status != 0 ]; then
    result=failed failed=$((failed + 1))
    tail -n 30 "$work/out"
    { echo "== $name: status $status"; cat "$work/out"; } >> "${json%.json}.log"
  fi
  note "$name" $result $status "$seconds" "$remark"
}
# A command that is a function of this script sees $limit and bounds its own programs.
limited() { # LIMIT COMMAND...
  limit=$1
  shift
  if [ "$(type -t "$1")" = function ]; then "$@"; else timeout "$limit" "$@"; fi
}
bounded() { timeout "$limit" "$@"; }

gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null | head -n 1)
commit=$("$weft" --version | awk '$1 == "commit" { print $2 }')
kernels=cpu
"$weft" --version | grep -q 'CUDA ON' && kernels=cuda
finish() {
  {
    printf '{"gpu": "%s", "build": "%s", "commit": "%s", "date": "%s", "seconds": %d, "failed": %d, "skipped": %d, "checks": [\n' \
      "${gpu:-none}" $kernels "$commit" "$(date -u +%FT%TZ)" $(($(date +%s) - started)) $failed $skipped
    (IFS=$'\n'; echo "${rows[*]}") | sed '$!s/$/,/'
    echo ']}'
  } > "$json.partial" && mv "$json.partial" "$json"
  echo "gpu_check.sh: ${#rows[@]} checks, $failed failed, $skipped skipped, $(($(date +%s) - started)) s; $json"
  [ $failed = 0 ]
  exit
}
echo "GPU: ${gpu:-none found by nvidia-smi}; build: $kernels, commit $commit"
[ $kernels = cuda ] || echo "This is a cpu build: what follows tries the script, and proves nothing about a GPU."

# The text that everything below trains on, and whether the device answers at all.
cd "$work" || exit 1
agreement=$top/scripts/gpu_check/agreement.toml
check "prepare text" 30 "$weft" prepare text --from "$top/LICENSE" --to "$work/data"
check "the device answers" 60 "$weft" check "$agreement"
[ $failed = 0 ] || ! grep -q 'this is the CUDA build of weft and' "$work/out" || finish # no device: nothing else could pass
only=$wanted

if [ $write = yes ]; then
  [ $kernels = cpu ] || { echo "gpu_check.sh: --write-losses wants a cpu build, for a device to be compared with" >&2; exit 2; }
  limit=300
  bounded "$weft" train "$agreement" run.directory="$work/runs" --dump-losses "$top/scripts/gpu_check/losses.txt"
  exit
fi

for test in "$tests"/{kernels,model}_*; do
  [ -f "$test" ] && [ -x "$test" ] && check "$(basename "$test")" 120 "$test"
done
ls "$tests"/kernels_* > /dev/null 2>&1 || skip "kernel and model tests" "they are not built"

# The largest difference from the losses of the cpu build, over the steps.
agrees() {
  bounded "$weft" train "$agreement" run.directory="$work/runs" --dump-losses "$work/losses.txt" || return
  awk 'NR == FNR { expected[$1] = $2; next }
       { d = $2 - expected[$1]; d = d < 0 ? -d : d; if (!($1 in expected) || !(d <= 1e9)) bad = 1; if (d > most) most = d; ++n }
       END { printf "largest difference %.1e, allowed 1e-4, over %d steps\n", most, n > "/dev/fd/3"
             exit !(n == length(expected) && n == 50 && !bad && most <= 1e-4) }' \
    "$top/scripts/gpu_check/losses.txt" "$work/losses.txt"
}
check "fp32 losses agree with the cpu build" 60 agrees

again() {
  bounded "$weft" train "$agreement" run.directory="$work/runs" run.name=again --dump-losses "$work/again.txt" &&
    cmp "$work/losses.txt" "$work/again.txt" && echo "same bits" >&3
}
check "the same run again gives the same bits" 60 again

# Stopped by a signal in the middle, started again: must end with the bits of the run that was not stopped.
long=(train "$agreement" run.directory="$work/runs" training.steps=200 model.layers=2 log.every_steps=1)
resumes() {
  local status=0 tries=0 pid
  bounded "$weft" "${long[@]}" run.name=whole --dump-losses "$work/whole.txt" || return
  "$weft" "${long[@]}" run.name=stopped --dump-losses "$work/stopped.txt" &
  pid=$!
  until grep -qs '^step  *[2-9][0-9]/' "$work/runs/stopped/run.log"; do
    kill -0 $pid 2> /dev/null && [ $((tries += 1)) -lt $((limit * 50)) ] || break
    sleep 0.02
  done
  kill -TERM $pid
  wait $pid || status=$?
  [ $status = 75 ] || { echo "a stopped run ended with $status, expected 75"; return 1; }
  echo "$(sed -n 's/.*stopped after \(step [0-9]*\).*/stopped after \1, same bits/p' "$work/runs/stopped/run.log")" >&3
  bounded "$weft" "${long[@]}" run.name=stopped --dump-losses "$work/stopped.txt" && cmp "$work/whole.txt" "$work/stopped.txt"
}
check "stopped and resumed, bit for bit" 90 resumes

# Two ranks on one device: refused, unless told otherwise; then the gradients meet in host memory, with the same bits.
mpirun=${prefix:-/nowhere}/bin/mpirun
[ -x "$mpirun" ] || mpirun=$(command -v mpirun)
two() { # NAME [section.key=value ...]
  CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0} OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} bounded "$mpirun" --oversubscribe --bind-to none -n 2 \
    "$weft" train "$agreement" run.directory="$work/runs" run.name="$1" --dump-losses "$work/$1.txt" "${@:2}"
}
refused() {
  local status=0
  two refused > refused.out 2>&1 || status=$?
  [ $status = 2 ] && grep -q 'parallel.share_device = true' refused.out || { echo "status $status, expected 2"; cat refused.out; return 1; }
}
same_on_two() { two "$@" parallel.share_device=true && cmp "$work/losses.txt" "$work/$1.txt" && echo "same bits as one rank" >&3; }
if [ -z "$mpirun" ]; then
  skip "two ranks on one device" "no mpirun"
else
  [ $kernels = cpu ] || check "two ranks on one device are refused" 60 refused
  check "two ranks sharing a device" 60 same_on_two shared
  check "two ranks, moments shared out" 60 same_on_two sharded parallel.shard_optimizer=true
fi

# NCCL between GPUs, and recorded micro-batches: neither may change a bit.
same_with() { # NAME section.key=value ...
  bounded "$weft" train "$agreement" run.directory="$work/runs" run.name="$1" --dump-losses "$work/$1.txt" "${@:2}" &&
    cmp "$work/losses.txt" "$work/$1.txt" && echo "same bits as without" >&3
}
two_gpus() { # NAME [section.key=value ...]
  bounded "$mpirun" --oversubscribe --bind-to none -n 2 \
    "$weft" train "$agreement" run.directory="$work/runs" run.name="$1" --dump-losses "$work/$1.txt" "${@:2}" &&
    grep 'gradient sums.*NCCL' "$work/runs/$1/run.log" && cmp "$work/losses.txt" "$work/$1.txt" && echo "same bits as one rank" >&3
}
gpus=$(nvidia-smi -L 2> /dev/null | wc -l)
[ -z "${CUDA_VISIBLE_DEVICES:-}" ] || gpus=$(tr ',' '\n' <<< "$CUDA_VISIBLE_DEVICES" | wc -l)
if [ $kernels = cpu ]; then
  skip "one NCCL rank" "a cpu build"
  skip "two NCCL ranks" "a cpu build"
  skip "two NCCL ranks, moments shared out" "a cpu build"
  skip "recorded micro-batches (CUDA graph)" "a cpu build"
else
  limit=60
  if [ -z "$(bounded "$weft" train "$agreement" run.directory="$work/runs" run.name=probe parallel.transport=nccl training.steps=1 schedule.warmup_steps=0 2>&1 | grep 'libnccl')" ]; then
    check "one NCCL rank" 60 same_with nccl parallel.transport=nccl
    if [ -z "$mpirun" ] || [ "$gpus" -lt 2 ]; then
      skip "two NCCL ranks" "$gpus of the two GPUs that it needs, or no mpirun"
      skip "two NCCL ranks, moments shared out" "the same"
    else
      check "two NCCL ranks" 60 two_gpus nccl2 parallel.transport=nccl
      check "two NCCL ranks, moments shared out" 60 two_gpus nccl2shards parallel.transport=nccl parallel.shard_optimizer=true
    fi
  else
    skip "one NCCL rank" "libnccl.so.2 is not installed"
    skip "two NCCL ranks" "libnccl.so.2 is not installed"
    skip "two NCCL ranks, moments shared out" "libnccl.so.2 is not installed"
  fi
  check "recorded micro-batches (CUDA graph)" 60 same_with graph parallel.cuda_graph=true
fi

trains() { # PRECISION: the last loss must be well below the first
  bounded "$weft" train "$agreement" run.directory="$work/runs" run.name="$1" run.precision="$1" training.steps=100 \
    --dump-losses "$work/$1.txt" && bounded "$weft" eval "$work/runs/$1" || return
  awk 'NR == 1 { first = $2 } { last = $2 }
       END { printf "loss %.2f to %.2f nats\n", first, last > "/dev/fd/3"; exit !(last < 0.8 * first) }' "$work/$1.txt"
}
check "train and eval, bf16" 60 trains bf16
check "train and eval, fp16" 60 trains fp16

sample() { bounded "$weft" sample "$work/runs/agreement" > sample.out && [ -s sample.out ]; }
check "sample" 60 sample

check "bench --quick" 60 "$weft" bench --quick --json "$work/bench.json"

# Last, for what time is left: kernels run a hundred times slower under it.
sanitizer=(compute-sanitizer --report-api-errors no --error-exitcode 9)
sanitized() { # TOOL TEST FILTER
  local status=0
  bounded "${sanitizer[@]}" --tool "$1" "$tests/$2" --gtest_filter="$3" || status=$?
  if [ $status = 124 ] && grep -qE '^=+ .*(Invalid|hazard|Error|ERROR)' "$work/out"; then return 9; fi
  return $status
}
if ! command -v compute-sanitizer > /dev/null || [ $kernels = cpu ] || [ ! -x "$tests/kernels_operations_test" ]; then
  skip "memcheck and racecheck" "no compute-sanitizer, a cpu build, or no tests"
elif ! timeout 60 "${sanitizer[@]}" --tool memcheck "$tests/kernels_operations_test" --gtest_filter='Philox*' > "$work/out" 2>&1; then
  skip "memcheck and racecheck" "compute-sanitizer does not run here: $(tail -n 1 "$work/out")"
else
  for tool in memcheck racecheck; do
    check "$tool, kernels_operations_test" 60 sanitized $tool kernels_operations_test '*'
    check "$tool, kernels_attention_test" 60 sanitized $tool kernels_attention_test 'Attention.TeamVersion*'
  done
fi
finish
