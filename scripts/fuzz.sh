#!/usr/bin/env bash
# Fuzzing at length under AddressSanitizer and UndefinedBehaviorSanitizer: damaged files, evenly over eight formats.
#   cmake --preset asan && cmake --build --preset asan --target fuzz_{hdf5,input,listops,pictures,png,raw}_test
#   scripts/fuzz.sh [EXECUTIONS [SEED [FOLDER]]]
#     EXECUTIONS  of all formats together; a million if left out
#     SEED        another one gives other damage
#     FOLDER      where the tests are; build/asan/tests if left out
# One line for each format; exit status 1 and the test's own words where one failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
each=$((${1:-1000000} / 8)) folder=${3:-build/asan/tests}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/files"
export WEFT_SOURCE=$PWD WEFT_FUZZ_SEED=${2:-0} TMPDIR=$scratch/files OMP_NUM_THREADS=1
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 UBSAN_OPTIONS=print_stacktrace=1 # as scripts/test.sh

format() { # NAME PROGRAM.TEST...: its executions shared by the tests
  local name=$1 start=$SECONDS test
  shift
  : > "$scratch/log"
  for test; do
    if ! WEFT_FUZZ_ROUNDS=$((each / $#)) "$folder/fuzz_${test%.*}_test" --gtest_filter="*.${test#*.}" > "$scratch/one" 2>&1; then
      cat "$scratch/one"
      echo "$name: FAILED"
      trap - EXIT # the damaged file is kept there
      exit 1
    fi
    cat "$scratch/one" >> "$scratch/log"
  done
  awk -v name="$name" -v seconds=$((SECONDS - start)) '
    / files, .* refused, / { files += $1; refused += $5; taken += $7 }
    END { printf "%-7s %9d executions: %d refused, %d taken, %d s\n", name, files, refused, taken, seconds }' "$scratch/log"
}
format zip raw.zip
format tar raw.tar
format gzip raw.gzip
format pickle raw.pickles
format PNG png.damaged_files
format HDF5 hdf5.shards hdf5.examples hdf5.checkpoints hdf5.metrics
format TSV listops.tsv pictures.aan_tsv
format TOML input.files_are_read_or_refused input.overrides_are_read_or_refused
