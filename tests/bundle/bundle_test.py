"""The bundle of scripts/bundle.sh, unpacked elsewhere, on a machine that has nothing but a C and C++ library.

That machine is a folder: the dynamic loader, the C and C++ libraries that the bundle leaves to the machine, a shell and
a list of users. Programs run in it by chroot in a mount namespace of their own, so that no other library can be found.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import WEFT, ProgramTest, main

SYSTEM = r"^(ld-linux-x86-64|libc|libm|libmvec|libdl|librt|libpthread|libresolv|libutil|libstdc\+\+|libgcc_s)\.so"
IN_FOLDER = ["unshare", "--map-root-user", "--mount", "sh", "-c",
             'for d in proc dev sys; do mount --rbind /$d "$0/$d" || exit 125; done; root=$0; exec chroot "$root" "$@"']


# The programs share code: found again over a window as long as with the -9 that bundle.sh takes for itself.
QUICK = "--lzma2=preset=1,dict=64MiB"


def loaded(program, folder):
    """Paths of the libraries that the loader takes for a program of the bundle, with an empty environment."""
    done = subprocess.run([program], env={"LD_TRACE_LOADED_OBJECTS": "1"}, cwd=folder, capture_output=True, text=True,
                          check=True)
    assert "not found" not in done.stdout, done.stdout
    return re.findall(r"=> (/\S+)", done.stdout)


class BundleTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        import tempfile
        cls.machine = tempfile.mkdtemp(prefix="weft-machine-")
        cls.addClassCleanup(shutil.rmtree, cls.machine, ignore_errors=True)
        archive = cls.machine + "/bundle.tar.xz"
        done = subprocess.run([os.environ["WEFT_SOURCE"] + "/scripts/bundle.sh", "cpu", archive], capture_output=True,
                              text=True, env=dict(os.environ, WEFT_BUILD=os.path.dirname(WEFT), XZ_OPT=QUICK))
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        print(done.stdout.strip())
        os.makedirs(cls.machine + "/opt")
        subprocess.run(["tar", "-xJf", archive, "-C", cls.machine + "/opt"], check=True)
        (unpacked,) = glob.glob(cls.machine + "/opt/*")
        cls.bundle = cls.machine + "/opt/moved"
        os.rename(unpacked, cls.bundle)

    def build_machine(self):
        for folder in ("proc", "dev", "sys", "tmp", "bin", "lib64", "etc", "lib/x86_64-linux-gnu"):
            os.makedirs(f"{self.machine}/{folder}", exist_ok=True)
        here = subprocess.run(["ldd", WEFT], capture_output=True, text=True, check=True).stdout
        for path in set(re.findall(r"(/\S+)", here)):
            if re.match(SYSTEM, os.path.basename(path)):
                shutil.copy(path, f"{self.machine}/lib/x86_64-linux-gnu")
        shutil.copy("/lib64/ld-linux-x86-64.so.2", self.machine + "/lib64")
        shutil.copy("/bin/sh", self.machine + "/bin")
        with open(self.machine + "/etc/passwd", "w") as file:  # PMIx looks for the user's home
            file.write("root:x:0:0:root:/tmp:/bin/sh\n")

    def there(self, *command, status=0):
        environment = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1",
                       "OMP_WAIT_POLICY": "passive", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
        done = subprocess.run([*IN_FOLDER, self.machine, *command], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=240)
        self.assertEqual(done.returncode, status, f"{command}\n{done.stdout}\n{done.stderr}")
        return done

    def test_every_library_comes_from_the_bundle_or_is_the_c_library(self):
        programs = [f"{self.bundle}/bin/{name}" for name in ("weft", "orterun", "orted")]
        plugins = glob.glob(self.bundle + "/lib/**/mca_*.so", recursive=True)
        self.assertGreater(len(plugins), 50)
        for program in programs:
            libraries = loaded(program, self.machine)
            ours = [path for path in libraries if path.startswith(self.bundle + "/")]
            for path in set(libraries) - set(ours):
                self.assertRegex(os.path.basename(path), SYSTEM, program)
            self.assertTrue(any("libopen-rte" in path for path in ours), ours)
        for plugin in plugins:  # a search path that leads out of the bundle would win over weft's own
            dynamic = subprocess.run(["readelf", "-d", plugin], capture_output=True, text=True, check=True).stdout
            self.assertNotRegex(dynamic, r"RUNPATH|R.*PATH.*\[/", plugin)

    def test_gpu_check_passes_with_this_build_in_the_place_of_the_cuda_build(self):
        shutil.rmtree(self.bundle + "/libexec", ignore_errors=True)  # CTest runs the kernel and model tests itself
        report = self.folder + "/report.json"
        done = subprocess.run([self.bundle + "/share/weft/scripts/gpu_check.sh", report], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1",
                                                             "OMP_WAIT_POLICY": "passive"}, timeout=480)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(report) as file:
            checks = {check["name"]: check for check in json.load(file)["checks"]}
        for name in ("fp32 losses agree with the cpu build", "the same run again gives the same bits",
                     "stopped and resumed, bit for bit", "two ranks sharing a device", "bench --quick"):
            self.assertEqual(checks[name]["result"], "passed", done.stdout)
        self.assertEqual(checks["memcheck and racecheck"]["result"], "skipped", done.stdout)

    def test_gpu_check_fails_where_the_losses_are_others(self):
        shutil.rmtree(self.bundle + "/libexec", ignore_errors=True)
        losses = self.bundle + "/share/weft/scripts/gpu_check/losses.txt"
        with open(losses) as file:
            kept = file.read()
        step, loss = kept.splitlines()[30].split()
        with open(losses, "w") as file:
            file.write(kept.replace(f"{step} {loss}", f"{step} {float(loss) + 2e-4}"))
        try:
            done = subprocess.run([self.bundle + "/share/weft/scripts/gpu_check.sh", "--only", "agree",
                                   self.folder + "/report.json"], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=480)
        finally:
            with open(losses, "w") as file:
                file.write(kept)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"fp32 losses agree with the cpu build +failed")

    def test_it_trains_on_a_machine_without_mpi_or_hdf5(self):
        if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True).returncode != 0:
            self.skipTest("this user may not make a mount namespace")
        self.build_machine()
        shutil.copytree(self.folder + "/data", self.machine + "/data")
        with open(self.input) as file:
            text = file.read().replace(self.folder, "")
        with open(self.machine + "/input.toml", "w") as file:
            file.write(text)
        weft = "/opt/moved/bin/weft"
        self.assertIn("Open MPI", self.there(weft, "--version").stdout)
        self.assertIn("the input is right", self.there(weft, "check", "/input.toml").stdout)
        self.there(weft, "check", "/opt/moved/share/weft/inputs/quickstart/quickstart.toml")
        done = self.there(weft, "train", "/input.toml", "run.name=one", "run.directory=/runs")
        self.assertEqual(done.stderr, "")
        done = self.there("/opt/moved/bin/mpirun", "--mca", "hwloc_base_binding_policy", "none", "--oversubscribe", "-n", "2",
                   weft, "train", "/input.toml", "run.name=two", "run.directory=/runs")
        self.assertEqual(done.stderr, "")  # a plugin or a message that is looked for in vain is told there
        self.train("here")
        shutil.move(self.machine + "/runs", self.folder + "/runs-there")
        for name in ("one", "two"):
            os.rename(f"{self.folder}/runs-there/{name}", self.run_folder(name))
            self.assert_same_run("here", name, 12)


if __name__ == "__main__":
    main()
