#!/usr/bin/env bash
# Installs what Weft needs on Debian 12 and makes Kokkos available. Says what it installs; does nothing that is done.
#   scripts/setup.sh [--cuda] [--peers] [--slurm]
#     --cuda    also Kokkos for NVIDIA GPUs, if the CUDA toolkit is there
#     --peers   also what only the tests use: PyTorch for the twin program, clang-format, clang-tidy
#     --slurm   also what only the Slurm test uses: slurm-wlm, munge, shellcheck (Debian starts its munge service; the test has its own)
# Needs root or sudo only while Debian packages are missing. An installed Kokkos >= 5 is used if Kokkos_ROOT or
# CMAKE_PREFIX_PATH leads to it, else scripts/kokkos.sh builds the pinned release into .deps/.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { echo "setup.sh: $*"; }
fail() { echo "setup.sh: $*" >&2; exit 1; }

cuda=no peers=no slurm=no
for argument in "$@"; do
  case $argument in
    --cuda) cuda=yes ;;
    --peers) peers=yes ;;
    --slurm) slurm=yes ;;
    *) echo "setup.sh: got '$argument', expected --cuda, --peers or --slurm" >&2; exit 2 ;;
  esac
done

packages=(
  g++ cmake ninja-build ccache git ca-certificates gzip bzip2 xz-utils
  openmpi-bin libopenmpi-dev libhdf5-openmpi-dev
  libdnnl-dev ocl-icd-opencl-dev opencl-c-headers # oneDNN: its CMake files want OpenCL
  libtomlplusplus-dev libfmt-dev libcli11-dev libarchive-dev libpng-dev libssl-dev
  libgtest-dev libgmock-dev
  python3 python3-numpy python3-h5py python3-pandas python3-matplotlib
)
[ $peers = yes ] && packages+=(python3-torch clang-format-14 clang-tidy-14)
[ $slurm = yes ] && packages+=(slurm-wlm munge iproute2 shellcheck)

install_packages() {
  if ! command -v dpkg-query > /dev/null; then
    say "this is not a Debian system: nothing installed; CMake will name what is missing (Debian names: ${packages[*]})"
    return
  fi
  local missing=() package
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    say "all ${#packages[@]} Debian packages are there"
    return
  fi
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null || fail "Debian packages are missing and this is neither root nor is there sudo. As root:
  apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  local log apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
  log=$(mktemp)
  "${apt[@]}" update > "$log" 2>&1 || { tail -n 5 "$log" >&2; say "apt-get update failed; trying with the lists that are there" >&2; }
  "${apt[@]}" install --no-install-recommends "${missing[@]}" >> "$log" 2>&1 < /dev/null ||
    { tail -n 20 "$log" >&2; fail "apt-get install failed (all of its output: $log)"; }
  rm -f "$log"
}

# Whether CMake finds an installed Kokkos >= 5 with this back end by Kokkos_ROOT or CMAKE_PREFIX_PATH.
kokkos_installed() {
  [ -n "${Kokkos_ROOT:-}${CMAKE_PREFIX_PATH:-}" ] || return 1
  local probe found=1
  probe=$(mktemp -d)
  cat > "$probe/CMakeLists.txt" << EOF
cmake_minimum_required(VERSION 3.25)
project(probe LANGUAGES CXX)
find_package(Kokkos 5.0 REQUIRED)
if(NOT "$1" IN_LIST Kokkos_DEVICES)
  message(FATAL_ERROR "no $1")
endif()
EOF
  cmake -S "$probe" -B "$probe/build" > /dev/null 2>&1 && found=0
  rm -rf "$probe"
  return $found
}
provide_kokkos() { # BACKEND DEVICE
  if kokkos_installed "$2"; then
    say "using the installed Kokkos (${Kokkos_ROOT:-$CMAKE_PREFIX_PATH})"
  else
    "$here/scripts/kokkos.sh" "$1"
  fi
}

install_packages
provide_kokkos openmp OPENMP
if [ $cuda = yes ]; then
  if PATH=$PATH:/usr/local/cuda/bin command -v nvcc > /dev/null; then
    provide_kokkos cuda CUDA
  else
    say "no CUDA toolkit (nvcc) found: the preset cuda cannot be built here"
  fi
fi
say "ready; next: cmake --preset cpu && cmake --build --preset cpu"
