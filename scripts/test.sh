#!/usr/bin/env bash
# Sets up and runs every test that this machine can run; the last line counts them. Exit status 0: all passed.
#   scripts/test.sh [--slow] [--only format|cpu|asan|cuda]
#     --slow   also the tests labelled slow (minutes each)
#     --only   one stage; the others are left out
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
exec < /dev/null
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 CLICOLOR=0 NINJA_STATUS='[%f/%t] '
PATH=$PATH:/usr/local/cuda/bin

slow=(-LE slow) only=
while [ $# -gt 0 ]; do
  case $1 in
    --slow) slow=() ;;
    --only) only=${2:-}; shift ;;
    *) echo "test.sh: got '$1', expected --slow or --only STAGE" >&2; exit 2 ;;
  esac
  shift || true
done
case $only in
  '' | format | cpu | asan | cuda) ;;
  *) echo "test.sh: got --only $only, expected format, cpu, asan or cuda" >&2; exit 2 ;;
esac

passed=0 failed=0 skipped=0 failures=()
title() { printf '\n== %s == (minute %d)\n' "$*" $((SECONDS / 60)); }
check() { # NAME COMMAND...: one check that is not a CTest test
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1)) && echo "passed: $name"
  else
    failed=$((failed + 1)) failures+=("$name") && echo "FAILED: $name"
  fi
}
skip() { skipped=$((skipped + 1)) && echo "SKIPPED: $*"; }
wanted() { [ -z "$only" ] || [ "$only" = "$1" ]; }

# Runs CTest in build/PRESET, as many tests at once as there are cores (tests/processors.cmake says which take more than
# one), and adds up what it reports.
tests() { # PRESET [ctest options]
  local preset=$1 report=build/$1/tests.xml
  shift
  rm -f "$report"
  ctest --test-dir "build/$preset" --parallel "$(nproc)" --output-on-failure --no-tests=error --output-junit "$PWD/$report" "$@" 2>&1
  local counts
  counts=$(/usr/bin/python3 - "$report" 2> /dev/null << 'EOF'
import sys, xml.etree.ElementTree as tree
cases = tree.parse(sys.argv[1]).getroot().findall("testcase")
skipped = sum(c.find("skipped") is not None or c.get("status") in ("notrun", "disabled") for c in cases)
bad = [c.get("name") for c in cases if c.get("status") == "fail"]
print(len(cases) - skipped - len(bad), len(bad), skipped, *bad)
EOF
  )
  local good bad not names
  if ! read -r good bad not names <<< "$counts" || [ -z "$good" ]; then
    failed=$((failed + 1)) failures+=("$preset: CTest gave no report")
    return
  fi
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + not))
  local name
  for name in $names; do failures+=("$preset: $name"); done
}
built() { # PRESET [options of cmake --build]
  local log=build/$1.log
  # The preset cpu shows that every source compiles alone; for the others a folder at once is quicker.
  local unity=ON
  [ "$1" = cpu ] && unity=OFF
  cmake --preset "$1" -DWEFT_WERROR=ON -DWEFT_UNITY=$unity > "$log" 2>&1 || { tail -n 30 "$log"; return 1; }
  cmake --build --preset "$1" "${@:2}" > "$log" 2>&1 || { grep -A12 -m5 -E 'FAILED|error' "$log"; return 1; }
}
mkdir -p build

title "set-up"
scripts/setup.sh --peers --slurm || { echo "0 passed, 1 failed (set-up), 0 skipped"; exit 1; }

if wanted format; then
  title "format"
  formatted() {
    local bad
    bad=$(find src kernels io tests \( -name '*.cpp' -o -name '*.hpp' -o -name '*.cu' \) -print0 |
      xargs -0 clang-format-14 --dry-run -Werror 2>&1 | grep -oE '^[^ :]+\.(cpp|hpp|cu)' | sort -u)
    [ -z "$bad" ] || { echo "to be formatted: clang-format-14 -i" $bad; return 1; }
  }
  check "clang-format 14" formatted
  scripts_parse() {
    local script
    for script in scripts/*.sh slurm/*.sh .ci/run; do bash -n "$script" || return 1; done
  }
  check "shell scripts parse" scripts_parse
fi

if wanted cpu; then
  title "preset cpu, warnings as errors"
  check "cpu builds" built cpu
  # A short list of mistakes (.clang-tidy) in files, ranks and the training loop. Its compiler reads
  # neither the other one's precompiled headers nor all of its options.
  tidy() {
    mkdir -p build/cpu/tidy
    sed -E 's# -include [^ ]*cmake_pch[^ ]*##g; s# -(fpch-preprocess|Winvalid-pch|Wno-restrict|Werror)##g' \
      build/cpu/compile_commands.json > build/cpu/tidy/compile_commands.json
    local out
    out=$(ls io/*.cpp src/parallel/*.cpp src/training/*.cpp | xargs -P "$(nproc)" -n 4 clang-tidy-14 -p build/cpu/tidy --quiet 2> /dev/null) ||
      { echo "$out" | grep -A3 -E ': (error|warning): '; return 1; }
  }
  if command -v clang-tidy-14 > /dev/null; then check "clang-tidy 14" tidy; else skip "clang-tidy 14: not installed"; fi
  tests cpu "${slow[@]}"
fi

if wanted asan; then
  title "preset asan: files, input files and kernels under AddressSanitizer and UndefinedBehaviorSanitizer"
  targets=(weft)
  for source in tests/{io,config,kernels,fuzz}/*_test.cpp; do
    [ -f "$source" ] && targets+=("$(basename "$(dirname "$source")")_$(basename "$source" .cpp)")
  done
  check "asan builds" built asan --target "${targets[@]}"
  # Leaks: the MPI library keeps what it allocates until the process ends. Quarantine: freed memory that is kept would look
  # like growth to the fuzz tests.
  ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 UBSAN_OPTIONS=print_stacktrace=1 tests asan -R '^(io|config|kernels|fuzz)\.' "${slow[@]}"
fi

driver() { [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]; }
one_line_without_driver() {
  local status=0
  build/cuda/weft bench > build/cuda/bench.out 2>&1 || status=$?
  cat build/cuda/bench.out
  [ $status = 1 ] && [ "$(wc -l < build/cuda/bench.out)" = 1 ] && return
  echo "got status $status and $(wc -l < build/cuda/bench.out) lines, expected status 1 and one line"
  return 1
}
if wanted cuda; then
  title "preset cuda (sm_80 and sm_90), warnings as errors"
  if ! command -v nvcc > /dev/null; then
    skip "preset cuda: no CUDA toolkit (nvcc)"
  elif ! scripts/setup.sh --cuda; then
    failed=$((failed + 1)) failures+=("Kokkos for CUDA")
  else
    check "cuda builds" built cuda --target weft kernels_operations_test kernels_attention_test model_sparse_transformer_test
    check "the cuda bundle packs" env XZ_OPT=-1 scripts/bundle.sh cuda
    if driver; then
      check "gpu_check.sh" scripts/gpu_check.sh
    else
      check "cuda: without a driver one line and status 1" one_line_without_driver
      skip "tests on a GPU: there is none"
    fi
  fi
fi

title "result"
for failure in "${failures[@]}"; do echo "FAILED: $failure"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
