#!/usr/bin/env bash
# From a bare Debian 12 machine to a trained Sparse Transformer: installs, builds, trains a small model on real text for
# under four minutes on two cores, and sets its bits per byte on held-out text beside gzip, xz and bzip2.
#   scripts/quickstart.sh [section.key=value ...]      the arguments go to `weft train`
# The text: enwik8 if you have it as data/enwik8.zip, data/enwik8.gz or data/enwik8; else the Free On-line Dictionary of
# Computing, 5.6 MB of English that the Debian package dict-foldoc carries (unpacked into data/, not installed).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { echo "quickstart.sh: $*"; }
fail() { echo "quickstart.sh: $*" >&2; exit 1; }
python=/usr/bin/python3
weft=build/cpu/weft
input=inputs/quickstart/quickstart.toml
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

scripts/setup.sh
cmake --preset cpu
cmake --build --preset cpu --target weft

package=dict-foldoc
dictionary() { # makes data/foldoc.txt
  [ -s data/foldoc.txt ] && return
  local work
  work=$(mktemp -d)
  chmod 755 "$work"
  say "fetching the Debian package $package for its text"
  (cd "$work" && { apt-get -q download $package || { apt-get -q update && apt-get -q download $package; }; }) > "$work/log" 2>&1 ||
    { tail -n 5 "$work/log" >&2; fail "could not get $package; put enwik8.zip into data/ instead, or any text into data/foldoc.txt"; }
  dpkg -x "$work"/$package*.deb "$work/files"
  gzip -dc < "$work/files/usr/share/dictd/foldoc.dict.dz" > data/foldoc.txt.partial
  mv data/foldoc.txt.partial data/foldoc.txt
  rm -rf "$work"
}

mkdir -p data
task=text raw=data/foldoc.txt
for file in data/enwik8.zip data/enwik8.gz data/enwik8; do
  [ -f $file ] && { task=enwik8 raw=$file; break; }
done
[ $task = enwik8 ] || dictionary
shards=data/quickstart/$(basename "$raw" | cut -d. -f1)
[ -f "$shards/test-00000-of-00001.h5" ] || $weft prepare "$task" --from "$raw" --to "$shards"

# One name for each text, so that a run never resumes on another one.
run=quickstart_$(basename "$shards")
$weft train $input data.path="$shards" run.name="$run" "$@"
$weft eval runs/"$run"

$python postproc/plot_curves.py runs/"$run" --compressors --out runs/"$run"/curve
$python postproc/table_bits.py runs/"$run" --compressors --out runs/"$run"/table
say "the table is runs/$run/table.md (.csv, .tex), the loss curve runs/$run/curve.png (.pdf)"
