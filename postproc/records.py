"""What a run is beside the row of a table: how its settings differ, and which figures `weft eval` left for it."""
import math
import os
import re
import tomllib

from runs import RunError, shards

# Keys that do not change what a run measures.
SECTIONS = ("checkpoint", "parallel", "log")
KEYS = ("run.name", "run.directory", "run.seed", "run.fresh", "data.path", "model.recompute", "training.micro_batch",
        "evaluation.every_steps", "evaluation.test_at_end")


def flat(config):
    return {f"{s}.{k}": v for s, keys in config.items() if isinstance(keys, dict) for k, v in keys.items()
            if s not in SECTIONS and f"{s}.{k}" not in KEYS}


def settings_of(path):
    """The sections of an input file laid over those of the file that it starts from."""
    with open(path, "rb") as f:
        own = tomllib.load(f)
    base = own.pop("base", None)
    whole = settings_of(os.path.join(os.path.dirname(path), base)) if base else {}
    for section, keys in own.items():
        whole[section] = {**whole.get(section, {}), **keys} if isinstance(keys, dict) else keys
    return whole


def plain(value):
    """A list of one is its element."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def split_bytes(folder, split="test"):
    import h5py
    size = 0
    for shard in shards(folder, split):
        with h5py.File(shard, "r") as f:
            size += f["tokens"].size
    return size


def differences(run, input_path=None, test_bytes=None):
    """How the run differs from the input file of its row, as texts: keys with other values, keys given on the command line
    that the file does not have, part of the test split, another data set."""
    wanted = {}
    if input_path is not None:
        wanted = flat(settings_of(input_path))
    got, out = flat(run.config), []
    if not got:
        out.append("settings unknown: no config.toml")
    for key, value in wanted.items():
        if key in got and plain(got[key]) != plain(value):
            out.append(f"{key} {plain(got[key])}, not {plain(value)}")
    for start in run.provenance:
        for argument in start.get("command", []):
            given = re.match(r"([a-z_]+\.[a-z0-9_]+)=(.*)", argument)
            if given and given[1] in got and given[1] not in wanted and given[1] != "evaluation.max_windows":
                text = f"{given[1]} {plain(got[given[1]])}"
                if text not in out:
                    out.append(text)
    if run.max_windows:
        out.append(f"first {run.max_windows} windows of the split only")
    if test_bytes is not None:
        try:
            size = split_bytes(run.data_path)
        except RunError:
            return out
        if size != test_bytes:
            out.append(f"a test split of {size:,} bytes, not {test_bytes:,}")
    return out


def same_attention(record, run):
    """Whether an evaluation used the attention that was trained, as far as both say."""
    trained, used = run.config.get("attention", {}), record.get("attention", {})

    def text(value):  # as weft eval writes it
        if not isinstance(value, list):
            return str(value) if isinstance(value, float) else value
        return ", ".join(value) if value and isinstance(value[0], str) else "[" + ", ".join(map(str, value)) + "]"

    return all(text(trained[k]) == text(v) for k, v in used.items() if k in trained)


def evaluations_of(run, split="test"):
    """The newest usable record for every minimum context: of the whole split as the run scored it, the last checkpoint
    (not the best one), the data, window, precision and attention of training."""
    out = {}
    for record in run.evaluations():
        bits, m = record.get("bits"), record.get("minimum_context")
        if not isinstance(m, int) or not isinstance(bits, (int, float)) or not math.isfinite(bits):
            continue
        if record.get("split") != split or record.get("best") or not record.get("as_trained", True):
            continue
        if not same_attention(record, run):
            continue
        if record.get("max_windows", 0) == run.max_windows:
            out[m] = record
    return out


def evaluation(run, m, split="test"):
    """That record for one minimum context, or None; m = 0 may be the figure at the end of training."""
    found = evaluations_of(run, split).get(m)
    if found is None and m == 0 and split == "test" and "test_bits" in run.final:
        return {"bits": run.final["test_bits"]}
    return found
