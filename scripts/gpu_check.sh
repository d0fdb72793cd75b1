#!/usr/bin/env bash
# Runs what the preset cuda has built on a machine with an NVIDIA GPU: the kernel and model tests and a tiny training.
# Builds and installs nothing. Prints a table and writes the same as JSON.
#   scripts/gpu_check.sh [JSON-FILE]            default: build/cuda/gpu_check.json
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
build=build/cuda
json=${1:-$build/gpu_check.json}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 WEFT=$PWD/$build/weft WEFT_SOURCE=$PWD
[ -x $build/weft ] || { echo "gpu_check.sh: $build/weft is not there; build it first: cmake --preset cuda && cmake --build --preset cuda" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 rows=()
check() { # NAME COMMAND...
  local name=$1 start status=0 seconds result=passed
  shift
  start=$(date +%s.%N)
  timeout 300 "$@" > "$work/out" 2>&1 < /dev/null || status=$?
  seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
  if [ $status != 0 ]; then
    result=failed failed=$((failed + 1))
    tail -n 30 "$work/out"
  fi
  printf '%-32s %-8s %4d %8s s\n' "$name" $result $status "$seconds"
  rows+=("{\"name\": \"$name\", \"result\": \"$result\", \"status\": $status, \"seconds\": $seconds}")
}

gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2> /dev/null | head -n 1)
echo "GPU: ${gpu:-none found by nvidia-smi}"
for test in $build/tests/{kernels,model}_*; do
  [ -f "$test" ] && [ -x "$test" ] && check "$(basename "$test")" "$test"
done

# A tiny training on the project's own text: its loss must come out finite and below the 8 bits of the first step.
check "prepare text" "$WEFT" prepare text --from README.md docs/*.md LICENSE inputs/enwik8/*.toml --to "$work/data"
tiny=(data.path="$work/data" run.directory="$work/runs" run.name=tiny model.layers=2 model.width=64 model.heads=2
  model.context=256 training.steps=30 schedule.warmup_steps=5 training.batch=4 training.micro_batch=4
  checkpoint.every_steps=30 evaluation.every_steps=30)
for precision in fp32 bf16; do
  check "train 30 steps, $precision" "$WEFT" train inputs/quickstart/quickstart.toml "${tiny[@]}" run.precision=$precision run.fresh=true
  check "eval, $precision" "$WEFT" eval "$work/runs/tiny"
done

{
  printf '{"gpu": "%s", "commit": "%s", "failed": %d, "checks": [\n' "$gpu" "$(git rev-parse --short HEAD 2> /dev/null)" $failed
  (IFS=$'\n'; echo "${rows[*]}") | sed '$!s/$/,/'
  echo ']}'
} > "$json"
echo "gpu_check.sh: ${#rows[@]} checks, $failed failed; $json"
[ $failed = 0 ]
