"""Instruction sets beside each other in one program: no function compiled for a larger one may run on a processor that
lacks it, so none may be of a name that other files share (the linker keeps one copy of those); and debug.isa."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import WEFT, ProgramTest, main, run

ARCHIVE = os.path.join(os.path.dirname(WEFT), "libweft_kernels.a")
FILES = {"avx512.cpp.o": "bf16_tiles", "avx512_bf16.cpp.o": "bf16_tiles", "host_product_avx512.cpp.o": "product"}
OWN = re.compile(r"^(void |bool )?weft::(detail::host_avx512(_bf16)?|tiles::host_avx512)::")
# Registers that came with AVX-512: 512 bits, the upper sixteen, masks.
LARGER = re.compile(r"%zmm|%[xy]mm(1[6-9]|2[0-9]|3[01])|%k[0-7]")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class IsaTest(ProgramTest):
    def test_files_for_a_larger_set_define_no_name_of_others(self):
        members = {}
        for line in output("nm", "-C", "--defined-only", ARCHIVE).splitlines():
            if line.endswith(".o:"):
                member = members.setdefault(line[:-1], [])
            elif line:
                member.append(line.split(" ", 2)[1:])
        for file, one in FILES.items():
            names = [name for kind, name in members[file] if not name.startswith(".LC")]
            self.assertTrue(any(one in name for name in names), names)
            self.assertEqual([name for name in names if not OWN.match(name)], [], file)
        sections = output("objdump", "-h", ARCHIVE).split("file format")
        self.assertGreater(len(sections), len(FILES))
        for before, text in zip(sections, sections[1:]):
            if before.rstrip().rstrip(":").endswith(tuple(FILES)):
                self.assertNotIn(".init_array", text, "code that runs at every start")

    def test_no_function_outside_them_needs_a_larger_set(self):
        name, found = "", set()
        process = subprocess.Popen(["objdump", "-dC", "--no-show-raw-insn", WEFT], stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if line.endswith(">:\n"):
                name = line.split(" <", 1)[1][:-3]
            elif LARGER.search(line):
                found.add(name)
        self.assertEqual(process.wait(), 0)
        self.assertTrue(found, "the search finds nothing at all")
        self.assertEqual([name for name in found if not OWN.match(name)], [])

    def test_the_key_is_obeyed_and_reported(self):
        run(["train", self.input, "debug.isa=avx2", "training.steps=1", "schedule.warmup_steps=0"])
        with open(f"{self.folder}/runs/run/provenance.json", encoding="utf-8") as file:
            self.assertIn(", avx2", json.load(file)["starts"][0]["devices"][0])
        with open(f"{self.folder}/runs/run/run.log", encoding="utf-8") as file:
            self.assertIn(", avx2", file.read())

    def test_what_the_processor_lacks_is_refused(self):
        flags = set()
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("flags"):
                    flags = set(line.split())
                    break
        if {"avx512f", "avx512_bf16"} <= flags:
            self.skipTest("this processor lacks none")
        done = run(["train", self.input, "debug.isa=avx512_bf16"], status=2, ranks=2)
        has = "avx512" if "avx512f" in flags else "avx2"
        self.assertIn(f'debug.isa: got "avx512_bf16", but the best that this processor has is {has}', done.stderr)
        self.assertFalse(os.path.exists(f"{self.folder}/runs/run/metrics.h5"))
        done = run(["train", self.input, "debug.isa=sse"], status=2)
        self.assertIn("debug.isa", done.stderr)


if __name__ == "__main__":
    main()
