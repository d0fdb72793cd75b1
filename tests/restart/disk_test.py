"""Full disks, folders that cannot be written, damaged files, data that went away, a clock that jumps."""
import ctypes
import glob
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import h5py

from programs import ProgramTest, main, run, steps

CONSTANT = ("schedule.kind=constant", "schedule.warmup_steps=0")  # does not know the length of the run


def mount(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


class DiskTest(ProgramTest):
    def small_disk(self, size):
        """A file system of this size for the runs, in a mount namespace that ends with this process."""
        libc = ctypes.CDLL(None, use_errno=True)
        if os.geteuid() != 0 or libc.unshare(0x00020000) != 0 or not mount("--make-rprivate", "/"):
            self.skipTest("no right to mount: needs root and CAP_SYS_ADMIN")
        self.disk = self.folder + "/runs"
        os.mkdir(self.disk)
        if not mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.disk):
            self.skipTest("no right to mount a small file system")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], capture_output=True)

    def digests(self, name):
        folder = self.run_folder(name) + "/checkpoints"
        files = [f for f in os.listdir(folder) if f.startswith("step-")]
        return {f: hashlib.sha256(pathlib.Path(folder, f).read_bytes()).hexdigest() for f in files}

    def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(self):
        self.small_disk("4m")
        self.train("hurt", *CONSTANT, "training.steps=5")
        before = self.digests("hurt")
        self.assertEqual(list(before), ["step-00000005.h5"])
        filler = self.disk + "/filler"
        free = os.statvfs(self.disk)
        with open(filler, "wb") as file:
            file.write(bytes(free.f_bavail * free.f_bsize - 65536))
        for ranks in (1, 2):
            done = self.train("hurt", *CONSTANT, ranks=ranks, status=1)
            self.assertRegex(done.stderr, r"(No space left|could not be written|cannot write)")
            self.assertEqual(self.digests("hurt"), before)
        os.remove(filler)
        self.train("hurt", *CONSTANT)
        self.train("whole", *CONSTANT, f"run.directory={self.folder}/others")
        os.symlink(f"{self.folder}/others/whole", self.run_folder("whole"))
        self.assert_same_run("whole", "hurt", 12)

    def test_a_disk_that_becomes_read_only_ends_the_run_and_the_next_start_says_so(self):
        self.small_disk("16m")
        self.train("hurt", *CONSTANT, "training.steps=5")
        before = self.digests("hurt")
        self.assertTrue(mount("-o", "remount,ro", self.disk))
        done = self.train("hurt", *CONSTANT, status=1)
        self.assertIn("Read-only file system", done.stderr)
        self.assertEqual(self.digests("hurt"), before)
        done = self.train("new", *CONSTANT, status=1)
        self.assertIn("Read-only file system", done.stderr)
        self.assertTrue(mount("-o", "remount,rw", self.disk))
        self.train("hurt", *CONSTANT)

    def test_damage_to_the_newest_checkpoint_is_told_and_changes_no_bit(self):
        self.train("whole")
        self.train("hurt")
        folder = self.run_folder("hurt") + "/checkpoints"
        newest = folder + "/step-00000012.h5"
        with open(newest, "rb") as file:
            whole = file.read()
        half, size = len(whole) // 2, len(whole)
        damaged = {"cut short": whole[:half], "empty": b"", "a page zeroed": whole[:half] + bytes(4096) + whole[half + 4096:],
                   "a bit flipped": whole[:half] + bytes([whole[half] ^ 4]) + whole[half + 1:],
                   "its head zeroed": bytes(512) + whole[512:], "its end zeroed": whole[:size - 64] + bytes(64),
                   "a sector missing": whole[:half] + whole[half + 512:], "text": b"no checkpoint\n" * 100}
        for what, content in damaged.items():
            with open(newest, "wb") as file:
                file.write(content)
            done = self.train("hurt")
            self.assertIn("note: ", done.stdout, what)
            self.assertIn("step-00000012.h5", done.stdout.split("continuing from")[0], what)
            self.assertIn("step-00000010.h5 (step 10)", done.stdout, what)
            self.assert_same_run("whole", "hurt", 12)
        os.remove(newest)  # gone altogether: nothing to tell
        self.train("hurt")
        self.assert_same_run("whole", "hurt", 12)

    def test_data_that_is_missing_short_or_damaged_is_status_4(self):
        self.train("run", *CONSTANT, "training.steps=5")
        train = glob.glob(self.folder + "/data/train-*.h5")[0]
        with open(train, "rb") as file:
            whole = file.read()
        for content in (None, b"", whole[:len(whole) // 2], whole[:-1]):
            os.remove(train)
            if content is not None:
                with open(train, "wb") as file:
                    file.write(content)
            done = self.train("run", *CONSTANT, status=4)
            self.assertRegex(done.stderr, "train-|training split")
            with open(train, "wb") as file:
                file.write(whole)
        with open(train, "r+b") as file:  # the tokens themselves: found where they are read
            file.seek(whole.index(b"cat ", 512))
            file.write(b"dog ")
        done = self.train("run", *CONSTANT, status=None)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("train-", done.stderr)

    def test_a_shard_of_another_data_set_is_refused(self):
        with open(self.folder + "/text.txt") as file:
            text = file.read()
        with open(self.folder + "/other.txt", "w") as file:
            file.write(text[::-1])
        for name in ("text", "other"):
            run(["prepare", "text", "--from", f"{self.folder}/{name}.txt", "--to", f"{self.folder}/{name}4", "--shards", "4"])
        self.train("run", f"data.path={self.folder}/text4", "training.steps=5", *CONSTANT)
        name = "train-00002-of-00004.h5"
        shutil.copy(f"{self.folder}/other4/{name}", f"{self.folder}/text4/{name}")
        done = self.train("run", f"data.path={self.folder}/text4", *CONSTANT, status=4)
        self.assertIn("train-0000", done.stderr)

    def test_a_clock_that_jumps_decides_nothing(self):
        library = os.environ.get("WEFT_WRONG_CLOCK", "")
        if not os.path.exists(library):
            self.skipTest("WEFT_WRONG_CLOCK names no library; CTest sets it")
        wrong = {"LD_PRELOAD": library}
        seen = subprocess.run(["date", "+%Y"], env=dict(os.environ, **wrong), capture_output=True, text=True)
        years = {subprocess.run([sys.executable, "-c", "import time; print([time.gmtime().tm_year for _ in range(7)])"],
                                env=dict(os.environ, **wrong), capture_output=True, text=True).stdout}
        self.assertGreater(len(set(re.findall(r"\d{4}", "".join(years) + seen.stdout))), 2)
        # Were a limit or an interval measured on the wall, each of them would be over, or never come.
        limits = ("run.max_minutes=50", "checkpoint.every_seconds=100000", "checkpoint.every_steps=5", "parallel.timeout=60")
        self.train("whole")
        self.train("wrong", *limits, ranks=2, environment=wrong)
        self.assert_same_run("whole", "wrong", 12)
        self.assertTrue(all(0 < seconds < 60 for seconds in steps(self.run_folder("wrong"))["seconds"]))
        self.assertEqual(sorted(f for f in os.listdir(self.run_folder("wrong") + "/checkpoints") if f.startswith("step")),
                         ["step-00000010.h5", "step-00000012.h5"])
        begin = time.monotonic()
        self.train("timed", "training.steps=100000", "evaluation.every_steps=0", "run.max_minutes=0.05", environment=wrong,
                   status=75)
        self.assertTrue(3 < time.monotonic() - begin < 60)
        with h5py.File(self.run_folder("timed") + "/metrics.h5") as file:
            self.assertGreater(len(file["steps/step"]), 10)


if __name__ == "__main__":
    main()
