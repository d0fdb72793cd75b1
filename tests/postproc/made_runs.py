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


def make_run(folder, name, seed=0, test_bits=None, steps=40, valid=(3.0, 2.5), windows=0, log=10, starts=("abc",),
             config=CONFIG, joules=None, **start):
    """Writes `folder`/`name` with `steps` rows; `valid` bits are those of equally spaced evaluations; `start`: more about
    every start; joules: measured energy of a step."""
    path = os.path.join(folder, name)
    os.makedirs(path)
    with open(os.path.join(path, "config.toml"), "w", encoding="utf-8") as f:
        f.write(config.format(name=name, seed=seed, data=os.path.join(folder, "data"), windows=windows, log=log))
    with open(os.path.join(path, "provenance.json"), "w", encoding="utf-8") as f:
        json.dump({"format_version": 1, "starts": [{"commit": c, "dirty": False, **start} for c in starts]}, f)
    with h5py.File(os.path.join(path, "metrics.h5"), "w") as f:
        f.attrs["parameters"] = 123456
        number = np.arange(1, steps + 1)
        bits = 8 * np.exp(-number / steps)
        columns = {"step": number, "tokens": 1000 * number, "bits": bits, "loss": bits * np.log(2),
                   "seconds": np.full(steps, 0.5)}
        for key, values in columns.items():
            f["steps/" + key] = values
        f["steps/energy_j"] = np.full(steps, np.nan if joules is None else joules)
        f["steps/energy_j"].attrs["source"] = "not measured" if joules is None else "NVML"
        valid = np.asarray(valid, dtype=float)
        at = np.arange(1, len(valid) + 1) * steps // max(1, len(valid))
        columns = {"step": at, "epoch": at / steps, "valid_bits": valid, "train_bits": valid + 0.5}
        for key, values in columns.items():
            f["epochs/" + key] = values
        f.create_group("final")
        if test_bits is not None:
            f["final/test_bits"] = test_bits
    return path


def make_data(folder, shards, split="test", name="data", **attributes):
    """Shards of one split: bytes, or arrays of examples."""
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    for k, tokens in enumerate(shards):
        with h5py.File(os.path.join(folder, name, f"{split}-{k:05d}-of-{len(shards):05d}.h5"), "w") as f:
            f["tokens"] = np.frombuffer(tokens, dtype=np.uint8) if isinstance(tokens, bytes) else tokens
            f.attrs.update(attributes)


def make_record(run, m, bits, split="test", **fields):
    """A record as weft eval leaves it in a run folder."""
    os.makedirs(os.path.join(run, "evaluations"), exist_ok=True)
    record = {"format_version": 1, "time": "2026-01-01T00:00:00Z", "commit": "feedbeef" * 5, "best": False, "step": 40,
              "split": split, "minimum_context": m, "max_windows": 0, "bits": bits, **fields}
    number = len(os.listdir(os.path.join(run, "evaluations")))
    with open(os.path.join(run, "evaluations", f"{split}-m{m}-{number}.json"), "w", encoding="utf-8") as f:
        json.dump(record, f)
