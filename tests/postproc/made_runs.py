"""Run folders made by hand for the tests of postproc: config.toml, metrics.h5, provenance.json and a data set."""
import json
import os

import h5py
import numpy as np

CONFIG = """[run]
name = "{name}"
seed = {seed}
precision = "fp32"

[data]
path = "{data}"

[model]
layers = 2
context = 64

[evaluation]
max_windows = {windows}

[log]
every_steps = {log}
"""


def make_run(folder, name, seed=0, test_bits=None, steps=40, valid=(3.0, 2.5), windows=0, log=10, starts=("abc",)):
    """Writes `folder`/`name` with `steps` rows; `valid` bits are those of equally spaced evaluations."""
    path = os.path.join(folder, name)
    os.makedirs(path)
    with open(os.path.join(path, "config.toml"), "w", encoding="utf-8") as f:
        f.write(CONFIG.format(name=name, seed=seed, data=os.path.join(folder, "data"), windows=windows, log=log))
    with open(os.path.join(path, "provenance.json"), "w", encoding="utf-8") as f:
        json.dump({"format_version": 1, "starts": [{"commit": c, "dirty": False} for c in starts]}, f)
    with h5py.File(os.path.join(path, "metrics.h5"), "w") as f:
        f.attrs["parameters"] = 123456
        number = np.arange(1, steps + 1)
        bits = 8 * np.exp(-number / steps)
        columns = {"step": number, "tokens": 1000 * number, "bits": bits, "loss": bits * np.log(2),
                   "seconds": np.full(steps, 0.5)}
        for key, values in columns.items():
            f["steps/" + key] = values
        valid = np.asarray(valid, dtype=float)
        at = np.arange(1, len(valid) + 1) * steps // max(1, len(valid))
        columns = {"step": at, "epoch": at / steps, "valid_bits": valid, "train_bits": valid + 0.5}
        for key, values in columns.items():
            f["epochs/" + key] = values
        f.create_group("final")
        if test_bits is not None:
            f["final/test_bits"] = test_bits
    return path


def make_data(folder, shards):
    os.makedirs(os.path.join(folder, "data"))
    for k, tokens in enumerate(shards):
        with h5py.File(os.path.join(folder, "data", f"test-{k:05d}-of-{len(shards):05d}.h5"), "w") as f:
            f["tokens"] = np.frombuffer(tokens, dtype=np.uint8)
