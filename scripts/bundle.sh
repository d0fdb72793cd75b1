#!/usr/bin/env bash
# Packs what is built into one file that runs on another x86-64 Linux (docs/gpu.md says what that machine must have).
#   scripts/bundle.sh [cpu|cuda] [OUT.tar.xz]     default: cpu, build/<preset>/weft-<version>-<preset>.tar.xz
# Builds nothing: cmake --preset cuda && cmake --build --preset cuda come before. The environment's XZ_OPT holds
# options of xz (default -9: small and slow).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fail() { echo "bundle.sh: $*" >&2; exit 1; }

preset=${1:-cpu}
case $preset in
  cpu | cuda) ;;
  *) echo "bundle.sh: got '$preset', expected cpu or cuda" >&2; exit 2 ;;
esac
build=${WEFT_BUILD:-$here/build/$preset}
[ -x "$build/weft" ] || fail "$build/weft is not there; build it first: cmake --preset $preset && cmake --build --preset $preset"
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
name=weft-$version-$preset
out=${2:-$build/$name.tar.xz}
limit=50 # MB

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/$name" --strip > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; fail "cmake --install failed"; }
if [ "$preset" = cuda ] && ! ls "$work/$name"/libexec/weft/tests/kernels_* > /dev/null 2>&1; then
  fail "the kernel tests are not built, and a cuda bundle is to prove itself: cmake --build --preset cuda"
fi
XZ_OPT=${XZ_OPT:--9} tar -C "$work" --owner=0 --group=0 --sort=name -cJf "$out.tmp" "$name"
mv "$out.tmp" "$out"
unpacked=$(du -sm "$work/$name" | cut -f1)
bytes=$(stat -c %s "$out")
awk -v b="$bytes" -v u="$unpacked" -v o="$out" 'BEGIN { printf "bundle.sh: %s: %.1f MB, unpacked %d MB\n", o, b / 1e6, u }'
[ "$bytes" -lt $((limit * 1000000)) ] || fail "the bundle is larger than $limit MB"
