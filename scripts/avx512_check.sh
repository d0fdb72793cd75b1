#!/usr/bin/env bash
# Runs tests of the AVX-512 attention kernels on a machine without AVX-512: boots Linux in the emulator Bochs, whose
# processor (Skylake-X) has it. In bf16 and fp32, few sizes: the emulator adds and multiplies in software, one lane after
# the other, a thousand times slower.
#   scripts/avx512_check.sh [--build build/cpu] [--limit SECONDS] [TEST:FILTER ...]
#     TEST:FILTER  an executable of BUILD/tests and GoogleTest's filter; default: every case of the path avx512 in
#                  kernels_attention_test and kernels_attention_rounding_test
# Needs, from Debian: bochs bochs-term bochsbios xorriso isolinux syslinux-common busybox-static cpio and a kernel's
# package, which is unpacked, not installed. Exit status 0: all passed; 77: something of these is missing; 1: else.
# AVX512-BF16 is not in Bochs 2.7.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fail() { echo "avx512_check.sh: $*" >&2; exit 1; }

build=$here/build/cpu limit=7200 tests=()
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$(cd "${2:?a folder}" && pwd); shift 2 ;;
    --limit) limit=${2:?seconds}; shift 2 ;;
    *:*) tests+=("$1"); shift ;;
    *) echo "avx512_check.sh: got '$1', expected --build DIR, --limit SECONDS or TEST:FILTER" >&2; exit 2 ;;
  esac
done
[ ${#tests[@]} -gt 0 ] || tests=(
  'kernels_attention_rounding_test:*OutputsOfEqual*/avx512' 'kernels_attention_test:*HasTheBits*/avx512'
  'kernels_attention_rounding_test:*OnHost.Bf16*/avx512' 'kernels_attention_test:*OnHost.Matches*/avx512')

missing=()
for program in bochs-bin xorriso busybox cpio; do command -v $program > /dev/null || missing+=("$program"); done
isolinux=/usr/lib/ISOLINUX/isolinux.bin ldlinux=/usr/lib/syslinux/modules/bios/ldlinux.c32
bios=/usr/share/bochs/BIOS-bochs-latest vga=/usr/share/bochs/VGABIOS-lgpl-latest
for file in $isolinux $ldlinux $bios $vga; do [ -e "$file" ] || missing+=("$file"); done
skip() { echo "avx512_check.sh: skipped, missing: $*"; exit 77; }
[ ${#missing[@]} = 0 ] || skip "${missing[*]}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kernel=$(find /boot -name 'vmlinuz-*' 2> /dev/null | sort -V | tail -n 1 || true)
if [ -z "$kernel" ]; then
  package=$(apt-cache depends linux-image-cloud-amd64 2> /dev/null | awk '/Depends:/ && !found { print $2; found = 1 }' || true)
  (cd "$work" && apt-get download "$package" && dpkg -x ./*.deb kernel) > "$work/apt.log" 2>&1 ||
    skip "a kernel: linux-image-cloud-amd64"
  kernel=$(find "$work" -name 'vmlinuz-*')
fi

# A root of its own with the tests, their libraries and a shell, in memory.
root=$work/root
mkdir -p "$root"/{bin,proc,dev} "$work/iso/isolinux"
cp "$(command -v busybox)" "$root/bin/"
for test in "${tests[@]}"; do
  program=$build/tests/${test%%:*}
  [ -x "$program" ] || fail "$program is not there; build it first: cmake --preset cpu && cmake --build --preset cpu"
  cp "$program" "$root/bin/"
  ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"
  done
done
{
  cat << 'EOF'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc; /bin/busybox mount -t devtmpfs dev /dev
/bin/busybox grep -q ' avx512bw ' /proc/cpuinfo || echo 'FAILED: the emulated processor has no AVX-512'
export WEFT_TEST_FEW_SIZES=1 OMP_NUM_THREADS=1 GTEST_COLOR=no LD_LIBRARY_PATH=/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu
flush() { /bin/busybox head -c 8192 /dev/zero | /bin/busybox tr '\0' '\n'; } # Bochs writes in blocks
EOF
  for test in "${tests[@]}"; do echo "/bin/${test%%:*} '--gtest_filter=${test#*:}' || echo FAILED: '$test'; flush"; done
  echo 'echo ALL TESTS RAN; flush; /bin/busybox poweroff -f'
} > "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$work/iso/initrd.gz"
cp "$kernel" "$work/iso/vmlinuz"
cp $isolinux $ldlinux "$work/iso/isolinux/"
# Bochs tells another size for XSAVES than Linux computes, and Linux would do without AVX then.
cat > "$work/iso/isolinux/isolinux.cfg" << 'EOF'
DEFAULT weft
LABEL weft
 KERNEL /vmlinuz
 INITRD /initrd.gz
 APPEND console=ttyS0 quiet mitigations=off nokaslr panic=-1 lpj=1000000 tsc=reliable nosmp noapic acpi=off noxsaves clearcpuid=321,323
EOF
xorriso -as mkisofs -quiet -o "$work/boot.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot \
  -boot-load-size 4 -boot-info-table "$work/iso" > "$work/xorriso.log" 2>&1 || fail "xorriso: $(tail -n 1 "$work/xorriso.log")"
cat > "$work/bochsrc" << EOF
cpu: model=corei7_skylake_x, count=1, ips=200000000
memory: guest=512, host=512
romimage: file=$bios
vgaromimage: file=$vga
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$work/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial.txt
clock: sync=none
display_library: term
log: $work/bochs.log
EOF
echo c > "$work/rc" # Debian's Bochs is the one with the debugger: go on
touch "$work/serial.txt"
TERM=xterm setsid script -q -c "bochs-bin -q -f $work/bochsrc -rc $work/rc" /dev/null > /dev/null 2>&1 < /dev/null &
emulator=$!
trap 'kill -- -$emulator 2> /dev/null || true; rm -rf "$work"' EXIT
shown=0
while kill -0 $emulator 2> /dev/null && ! grep -aq 'ALL TESTS RAN' "$work/serial.txt"; do
  [ $SECONDS -lt "$limit" ] || fail "not done after $limit s; take fewer tests, or --limit"
  sleep 2
  lines=$(wc -l < "$work/serial.txt")
  [ "$lines" = "$shown" ] || sed -n "$((shown + 1)),${lines}p" "$work/serial.txt" | tr -d '\r' | { grep -aE '^\[ +(OK|FAILED|SKIPPED)|Failure|^FAILED|panic' || true; }
  shown=$lines
done
grep -aq 'ALL TESTS RAN' "$work/serial.txt" || fail "the emulated machine ended early: $(tail -n 3 "$work/serial.txt")"
passed=$(grep -ac '^\[       OK' "$work/serial.txt" || true)
if grep -aqE '^FAILED|SKIPPED' "$work/serial.txt" || [ "$passed" -lt ${#tests[@]} ]; then
  fail "$passed passed, expected at least ${#tests[@]} and none failed or skipped"
fi
echo "avx512_check.sh: $passed passed on an emulated Skylake-X, in $SECONDS s"
