#!/usr/bin/env bash
# Builds the pinned Kokkos release into .deps/kokkos-BACKEND (or PREFIX); does nothing where it already is.
#   scripts/kokkos.sh openmp|cuda [PREFIX]
# The tarball comes from $KOKKOS_TARBALL, else the distribution's pool, else the project's release page; its SHA-256 is
# always checked. CXX names the host compiler (default g++), WEFT_JOBS the number of parallel compilations.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

version=5.0.2
sha256=188817bb452ca805ee8701f1c5adbbb4fb83dc8d1c50624566a18a719ba0fa5e
backend=${1:-}
case $backend in
  openmp | cuda) ;;
  *) echo "kokkos.sh: got '$backend', expected openmp or cuda: scripts/kokkos.sh openmp|cuda [PREFIX]" >&2; exit 2 ;;
esac
prefix=$(realpath -m "${2:-$here/.deps/kokkos-$backend}")
jobs=${WEFT_JOBS:-$(nproc)}
host=${CXX:-g++}
say() { echo "kokkos.sh: $*"; }
fail() { echo "kokkos.sh: $*" >&2; exit 1; }
trap 'echo "kokkos.sh: line $LINENO failed" >&2' ERR

options=(-DKokkos_ENABLE_OPENMP=ON -DKokkos_ENABLE_SERIAL=ON -DCMAKE_CXX_STANDARD=20 -DCMAKE_BUILD_TYPE=Release
  "-DCMAKE_CXX_FLAGS=-march=${WEFT_MARCH:-x86-64-v3}")
# Kokkos knows one GPU architecture at a time, and refuses devices older than it. Its wrapper is given the oldest (machine
# code and PTX); one line added to the wrapper has nvcc make machine code for the newer ones as well, for Kokkos itself
# and for all that is compiled with the wrapper. CUDA 13 has no sm_70 (V100) any more.
more_gpus='-gencode=arch=compute_90,code=sm_90'
if [ "$backend" = cuda ]; then
  PATH=$PATH:/usr/local/cuda/bin
  oldest=AMPERE80
  if nvcc --list-gpu-arch 2> /dev/null | grep -qx compute_70; then
    oldest=VOLTA70
    more_gpus="-gencode=arch=compute_80,code=sm_80 $more_gpus"
  fi
  options+=(-DKokkos_ENABLE_CUDA=ON "-DKokkos_ARCH_$oldest=ON")
fi

mark="kokkos $version $sha256 $host ${options[*]}"
if [ "$backend" = cuda ]; then
  command -v nvcc > /dev/null || fail "nvcc is not on the PATH nor in /usr/local/cuda/bin: install the CUDA toolkit (12.4 or newer)"
  mark+=" $more_gpus $(nvcc --version | tail -n 1)"
fi
current() { [ "$(cat "$prefix/weft-mark" 2> /dev/null)" = "$mark" ]; }
if current; then
  say "Kokkos $version ($backend) is already in $prefix"
  exit 0
fi
mkdir -p "$(dirname "$prefix")"
exec 9> "$prefix.lock"
flock 9
current && exit 0 # another process has built it meanwhile

work=$(mktemp -d "${TMPDIR:-/tmp}/kokkos.XXXXXX")
trap 'rm -rf "$work" "$prefix.partial"' EXIT
tarball=$work/kokkos.tar.gz
good() { echo "$sha256  $1" | sha256sum --check --status 2> /dev/null; }

from_pool() {
  local helper=/usr/lib/apt/apt-helper address url
  [ -x $helper ] || return 1
  # shellcheck disable=SC2016 # apt's own variable
  for address in $(apt-get indextargets --format '$(REPO_URI)' 2> /dev/null | sort -u); do
    url=${address%/}/pool/main/k/kokkos/kokkos_$version.orig.tar.gz
    if $helper download-file "$url" "$tarball" "SHA256:$sha256" > "$work/download.log" 2>&1 && good "$tarball"; then
      say "took the release from the distribution's pool"
      return 0
    fi
    rm -f "$tarball"
  done
  return 1
}
from_release_page() {
  local url=https://github.com/kokkos/kokkos/releases/download/$version/kokkos-$version.tar.gz
  if command -v curl > /dev/null; then
    curl --fail --silent --location --max-time 300 --output "$tarball" "$url" || return 1
  elif command -v wget > /dev/null; then
    wget --quiet --timeout=60 --tries=2 --output-document="$tarball" "$url" || return 1
  else
    return 1
  fi
  good "$tarball" && say "took the release from the project's page" && return 0
  say "$url has SHA-256 $(sha256sum < "$tarball" | cut -d' ' -f1), expected $sha256: not used" >&2
  return 1
}

if [ -n "${KOKKOS_TARBALL:-}" ]; then
  [ -r "$KOKKOS_TARBALL" ] || fail "KOKKOS_TARBALL=$KOKKOS_TARBALL cannot be read"
  good "$KOKKOS_TARBALL" || fail "KOKKOS_TARBALL=$KOKKOS_TARBALL has SHA-256 $(sha256sum < "$KOKKOS_TARBALL" | cut -d' ' -f1), expected $sha256 (kokkos_$version.orig.tar.gz)"
  cp "$KOKKOS_TARBALL" "$tarball"
else
  from_pool || from_release_page || fail "neither the distribution's pool nor the project's release page gave Kokkos $version;
  fetch kokkos_$version.orig.tar.gz (SHA-256 $sha256) elsewhere and set KOKKOS_TARBALL to its path,
  or give an installed Kokkos >= 5 with -DKokkos_ROOT=DIR"
fi

mkdir "$work/source"
tar -xzf "$tarball" -C "$work/source" --strip-components=1
compiler=$host
if [ "$backend" = cuda ]; then
  compiler=$work/source/bin/nvcc_wrapper
  sed -i "2i export NVCC_APPEND_FLAGS=\"$more_gpus \${NVCC_APPEND_FLAGS:-}\" # added by Weft's scripts/kokkos.sh" "$compiler"
  export NVCC_WRAPPER_DEFAULT_COMPILER=$host
fi
say "building Kokkos $version ($backend) for $prefix, $jobs jobs"
log=$work/build.log
quietly() { "$@" >> "$log" 2>&1 || { tail -n 40 "$log" >&2; fail "this command failed: $*"; }; }
generator=()
command -v ninja > /dev/null && generator=(-G Ninja)
quietly cmake "${generator[@]}" -S "$work/source" -B "$work/build" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib "${options[@]}"
quietly cmake --build "$work/build" --parallel "$jobs"
rm -rf "$prefix.partial"
quietly cmake --install "$work/build" --prefix "$prefix.partial"
# The wrapper was used from the source tree, which goes away.
{ grep -rl "$work" "$prefix.partial/lib/cmake" || true; } | xargs -r sed -i "s|$work/source/bin|$prefix/bin|g"
echo "$mark" > "$prefix.partial/weft-mark"
rm -rf "$prefix"
mv "$prefix.partial" "$prefix"
say "Kokkos $version ($backend) is in $prefix"
