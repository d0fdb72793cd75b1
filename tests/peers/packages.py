"""Packages that judge the models, fetched from the package index when a test wants them: never part of the program.

    packages.need("linformer==0.2.3")        importable afterwards, or the test is skipped (77) with the reason

Only what is named is fetched, without what it asks for: PyTorch is the distribution's. They lie in .deps/peers of the
source tree, so that one fetch serves all builds.
"""
import fcntl
import os
import shutil
import subprocess
import sys

# Lists for need(): a package, and what it imports of others.
TRANSFORMERS = ("tqdm==4.66.4", "regex==2024.5.15", "filelock==3.14.0", "fsspec==2024.5.0", "safetensors==0.4.3",
                "tokenizers==0.19.1", "huggingface-hub==0.23.5", "transformers==4.41.2")
REFORMER_PYTORCH = ("einops==0.6.1", "local-attention==1.4.4", "axial-positional-embedding==0.2.1", "product-key-memory==0.1.10",
                    "reformer-pytorch==1.4.4")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def skip(reason):
    print("SKIPPED: " + reason)
    sys.exit(77)


def fetcher():
    """A pip that installs for this interpreter: its own, or another one of the same version."""
    for python in (sys.executable, shutil.which("python3"), shutil.which("python")):
        if not python:
            continue
        probe = subprocess.run([python, "-c", "import pip, sys; print(sys.version_info[:2])"], capture_output=True, text=True,
                               check=False)
        if probe.returncode == 0 and probe.stdout.strip() == str(sys.version_info[:2]):
            return python
    return None


def fetched(name, fetch):
    """The folder of this name; fetch(folder, python) fills it unless it is there."""
    os.makedirs(os.path.join(ROOT, ".deps"), exist_ok=True)
    with open(os.path.join(ROOT, ".deps", "peers.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        folder = os.path.join(ROOT, ".deps", "peers", name)
        if not os.path.isdir(folder):
            python = fetcher()
            if python is None:
                skip(f"{name} cannot be fetched: no pip for Python {sys.version_info[0]}.{sys.version_info[1]}")
            shutil.rmtree(folder + ".part", ignore_errors=True)
            fetch(folder + ".part", python)
            os.rename(folder + ".part", folder)
    return folder


def need(*requirements):
    """Each "name==version"; those already fetched are not fetched again."""
    for requirement in requirements:
        def install(folder, python, what=requirement):
            done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check",
                                   "--target", folder, what], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                skip(f"{what} cannot be fetched: " + (done.stderr.strip().splitlines() or ["no reason told"])[-1])
        sys.path.insert(0, fetched(requirement, install))
