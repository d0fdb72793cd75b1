"""What the tables and figures know of run folders: runs/<name>/ with config.toml, metrics.h5 and provenance.json."""
import bz2
import glob
import gzip
import json
import lzma
import os
import re
import sys
import tomllib

import h5py
import numpy as np

LN2 = float(np.log(2.0))
# Sections and keys that do not change what a run measures: runs that differ only here are repetitions of one row.
REPETITION = ("run", "checkpoint", "parallel", "log")


class RunError(Exception):
    """A run folder that cannot be read; the message says what to do."""


class Run:
    """One run folder. `steps` and `epochs` are dictionaries of equal-length columns; `final` of single values."""

    def __init__(self, folder):
        self.folder = folder.rstrip("/")
        path = os.path.join(self.folder, "metrics.h5")
        if not os.path.isfile(path):
            raise RunError(f"{path} is not there: expected a run folder that `weft train` has written")
        try:
            with h5py.File(path, "r") as f:
                self.attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in f.attrs.items()}
                self.steps = {k: v[...] for k, v in f["steps"].items()} if "steps" in f else {}
                self.epochs = {k: v[...] for k, v in f["epochs"].items()} if "epochs" in f else {}
                self.final = {k: float(v[()]) for k, v in f["final"].items()} if "final" in f else {}
                energy = f.get("steps/energy_j")
                source = energy.attrs.get("source", "not measured") if energy is not None else "not measured"
                self.energy_source = source.decode() if isinstance(source, bytes) else str(source)
        except OSError as error:
            raise RunError(f"{path} cannot be read as HDF5 ({error}): is the file complete?") from error
        self.config = self._load("config.toml", lambda f: tomllib.load(f))
        self.provenance = self._load("provenance.json", lambda f: json.load(f)).get("starts", [])
        self.name = self.config.get("run", {}).get("name") or os.path.basename(self.folder)

    def _load(self, name, load):
        path = os.path.join(self.folder, name)
        if not os.path.isfile(path):
            return {}
        try:
            with open(path, "rb") as f:
                return load(f)
        except ValueError as error:
            raise RunError(f"{path} cannot be read: {error}") from error

    @property
    def seed(self):
        return self.config.get("run", {}).get("seed")

    @property
    def base_name(self):
        """The name without its seed: enwik8_fixed_seed2 -> enwik8_fixed."""
        return re.sub(r"[_-](seed|s)\d+$", "", self.name)

    @property
    def row_key(self):
        """Equal for runs that repeat one row with other seeds."""
        rest = {k: v for k, v in self.config.items() if k not in REPETITION}
        return self.base_name, self.config.get("run", {}).get("precision"), json.dumps(rest, sort_keys=True)

    @property
    def commits(self):
        """Commits of all starts, shortened; a dirty tree is marked."""
        found = []
        for start in self.provenance:
            text = str(start.get("commit", ""))[:10] + ("-dirty" if start.get("dirty") else "")
            if text not in ("", *found):
                found.append(text)
        if not found and "git_commit" in self.attributes:
            found.append(str(self.attributes["git_commit"])[:16])
        return found

    @property
    def parameters(self):
        return int(self.attributes["parameters"]) if "parameters" in self.attributes else None

    def column(self, group, name):
        return np.asarray(getattr(self, group).get(name, []), dtype=float)

    def last(self, group, name):
        """The last finite value of a column, or None."""
        values = self.column(group, name)
        values = values[np.isfinite(values)]
        return float(values[-1]) if len(values) else None

    def best(self, group, name):
        values = self.column(group, name)
        values = values[np.isfinite(values)]
        return float(values.min()) if len(values) else None

    @property
    def hours(self):
        """Wall time of all training steps, or None."""
        seconds = self.column("steps", "seconds")
        seconds = seconds[np.isfinite(seconds)]
        return float(seconds.sum()) / 3600 if len(seconds) else None

    @property
    def energy_kwh(self):
        """Energy of all training steps, or None unless it was measured for every one of them."""
        joules = self.column("steps", "energy_j")
        if self.energy_source == "not measured" or not len(joules) or not np.isfinite(joules).all():
            return None
        return float(joules.sum()) / 3.6e6

    @property
    def data_path(self):
        return self.config.get("data", {}).get("path", "")

    @property
    def max_windows(self):
        return self.config.get("evaluation", {}).get("max_windows", 0)

    def evaluations(self):
        """The records that `weft eval` left in the run folder, oldest first, each with the `file` that it was read from."""
        found = []
        for path in sorted(glob.glob(os.path.join(self.folder, "evaluations", "*.json"))):
            try:
                with open(path, encoding="utf-8") as f:
                    record = json.load(f)
            except ValueError as error:
                raise RunError(f"{path} cannot be read as JSON ({error}): run that weft eval again") from error
            if isinstance(record, dict):
                found.append({**record, "file": path})
        return sorted(found, key=lambda r: str(r.get("time", "")))

    def held_out(self, split="test"):
        """The bytes of a split that the run's evaluation scored, from its data set."""
        windows = self.max_windows
        return held_out(self.data_path, split, windows * self.config["model"]["context"] if windows else None)


def shards(folder, split):
    found = sorted(glob.glob(os.path.join(folder, f"{split}-*-of-*.h5")))
    if not found:
        raise RunError(f"no split {split} in {folder or 'data.path'}: run this in the folder that the run was started in")
    return found


def held_out(folder, split="test", limit=None):
    """The first `limit` bytes (None: all) of a split, examples one after the other."""
    parts, size = [], 0
    for shard in shards(folder, split):
        with h5py.File(shard, "r") as f:
            tokens = f["tokens"]
            if tokens.dtype != np.uint8:
                raise RunError(f"{shard} holds tokens of type {tokens.dtype}, expected bytes (uint8)")
            width = 1 if tokens.ndim == 1 else tokens.shape[1]
            rows = None if limit is None else max(0, -(-(limit - size) // width))
            parts.append(tokens[:rows].reshape(-1))
            size += len(parts[-1])
    return np.concatenate(parts)[:limit].astype(np.uint8).tobytes()


def compressed_bits(data):
    """Bits per byte of general compressors on these bytes alone."""
    made = {"gzip -9": gzip.compress(data, 9, mtime=0), "bzip2 -9": bz2.compress(data, 9),
            "xz -9e": lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)}
    return {name: 8 * len(out) / len(data) for name, out in made.items()}


def load_all(folders):
    """The runs, or the program's end with every message."""
    runs, problems = [], []
    for folder in folders:
        try:
            runs.append(Run(folder))
        except RunError as error:
            problems.append(str(error))
    if problems:
        sys.exit("\n".join(problems))
    return runs
