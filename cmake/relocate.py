"""relocate.py BUNDLE: every program and library of the bundle looks for its libraries in the bundle's lib/ first.

A search path that a file already has (DT_RUNPATH or DT_RPATH) is replaced by one relative to the file, and made a
DT_RPATH: that one also serves the libraries below it, which DT_RUNPATH does not, and LD_LIBRARY_PATH does not go before
it. Files without a search path are found through the file that loads them.
"""
import os
import struct
import sys

DT_STRTAB, DT_RPATH, DT_RUNPATH, PT_LOAD, PT_DYNAMIC = 5, 15, 29, 1, 2


def relocate(path, library_folder):
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        if data[:6] != b"\x7fELF\x02\x01":  # 64 bits, little endian
            return
        headers, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
        segments = [struct.unpack_from("<IIQQQQQQ", data, headers + i * size) for i in range(count)]
        dynamic = next((s for s in segments if s[0] == PT_DYNAMIC), None)
        if dynamic is None:
            return
        entries = {}
        for at in range(dynamic[2], dynamic[2] + dynamic[5], 16):
            tag, value = struct.unpack_from("<QQ", data, at)
            if tag == 0:
                break
            entries[tag] = (at, value)
        found = entries.get(DT_RUNPATH) or entries.get(DT_RPATH)
        if found is None:
            return
        at, offset = found
        strings = entries[DT_STRTAB][1]
        segment = next(s for s in segments if s[0] == PT_LOAD and s[3] <= strings < s[3] + s[5])
        first = strings - segment[3] + segment[2] + offset
        last = data.index(b"\0", first)
        old = data[first:last].decode()
        new = "$ORIGIN/" + os.path.relpath(library_folder, os.path.dirname(path))
        kept = [part for part in old.split(":") if part.startswith("/usr/local/cuda")]
        new = ":".join([new, *kept])
        if len(new) > len(old):
            sys.exit(f"relocate.py: {path}: the search path {old} has no room for {new}")
        data[first:last] = new.encode().ljust(last - first, b"\0")
        struct.pack_into("<Q", data, at, DT_RPATH)
        file.seek(0)
        file.write(data)


def main(bundle):
    bundle = os.path.realpath(bundle)
    for folder in ("bin", "lib", "libexec"):
        for parent, _, names in os.walk(os.path.join(bundle, folder)):
            for name in names:
                path = os.path.join(parent, name)
                if not os.path.islink(path):
                    relocate(path, os.path.join(bundle, "lib"))


main(sys.argv[1])
