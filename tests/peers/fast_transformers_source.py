"""pytorch-fast-transformers 0.4.0 without its ten minutes of compiling: its Python, and of its C++ the causal product alone.

    LinearAttention, masking = fast_transformers_source.linear()
    CausalLinearAttention, masking = fast_transformers_source.causal_linear()      compiles one file; needs PyTorch's headers

The package is fetched as source (packages.py) and what a test does not want of it is never imported.
"""
import glob
import importlib
import os
import shutil
import subprocess
import sys
import tarfile
import types

import packages

REQUIREMENT = "pytorch-fast-transformers==0.4.0"


def unpack(folder, python):
    """Fetches the package's source into the folder; its setup.py asks for PyTorch, so it is not isolated from it."""
    os.makedirs(folder)
    done = subprocess.run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check",
                           "--no-build-isolation", "--no-binary", ":all:", "--dest", folder, REQUIREMENT],
                          capture_output=True, text=True, check=False)
    archives = glob.glob(folder + "/*.tar.gz")
    if not archives:
        packages.skip(f"{REQUIREMENT} cannot be fetched: " + (done.stderr.strip().splitlines() or ["no reason told"])[-1])
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder)


def import_source():
    """Makes fast_transformers importable part by part; returns its folder."""
    root = packages.fetched(REQUIREMENT + ".source", unpack)
    folder = glob.glob(root + "/*/fast_transformers")[0]
    for name in ("fast_transformers", "fast_transformers.attention"):  # whose __init__ imports all that is compiled
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(folder, *name.split(".")[1:])]
        sys.modules[name] = module
    return folder


def linear():
    import_source()
    return (importlib.import_module("fast_transformers.attention.linear_attention").LinearAttention,
            importlib.import_module("fast_transformers.masking"))


def causal_linear():
    from torch.utils import cpp_extension
    folder = import_source()
    if not any(os.path.exists(path + "/torch/extension.h") for path in cpp_extension.include_paths()):
        packages.skip("PyTorch has no headers here, which the causal product is compiled with (Debian: libtorch-dev)")
    if shutil.which("ninja") is None:
        packages.skip("the causal product is compiled with ninja (Debian: ninja-build)")
    name = "causal_product_cpu"
    module = cpp_extension.load(name, [f"{folder}/causal_product/{name}.cpp"], extra_cflags=["-O2", "-fopenmp"],
                                extra_ldflags=["-fopenmp"])
    sys.modules["fast_transformers.causal_product." + name] = module
    return (importlib.import_module("fast_transformers.attention.causal_linear_attention").CausalLinearAttention,
            importlib.import_module("fast_transformers.masking"))
