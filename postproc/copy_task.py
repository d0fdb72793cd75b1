"""The copy task (0 w 0 w) in run folders: what chance is, when a run left it, and the one scoring from the other.

A row has N tokens and w N/2 - 1 symbols. data.scoring = "paper" scores these; "reproduction" scores N/2 slots, the last of
which holds the separator that is always there. A model trained for the one cannot be evaluated for the other: its slots mean
other things. But what it reaches on the symbols alone follows from what it reaches on the slots, by the last slot.
"""
import csv
import os

from runs import RunError, shards


def chance(length, symbols, scoring):
    """The share that a model has right which knows where the separators are and nothing of w."""
    half = length // 2
    return 1 / symbols if scoring == "paper" else ((half - 1) / symbols + 1) / half


def is_copy(run):
    return run.config.get("data", {}).get("task") == "copy"


def scoring(run):
    return run.config.get("data", {}).get("scoring", "paper")


def length(run):
    return run.config["model"]["context"]


def symbols(run):
    """From the data set where it is at hand, else from the model's vocabulary: all but the separator."""
    import h5py
    try:
        with h5py.File(shards(run.data_path, "test")[0], "r") as f:
            if "vocabulary" in f.attrs:
                return int(f.attrs["vocabulary"]) - 1
    except (RunError, OSError):
        pass
    return run.config["model"]["vocabulary"] - 1


def chance_of(run, other_scoring=None):
    return chance(length(run), symbols(run), other_scoring or scoring(run))


def escape(run, limit=None):
    """The step of the first evaluation on the validation split above the limit (None: twice chance), or None."""
    limit = 2 * chance_of(run) if limit is None else limit
    for step, value in zip(run.column("epochs", "step"), run.column("epochs", "valid_accuracy")):
        if value > limit:
            return int(step)
    return None


def symbols_alone(accuracy, length, last_bits=None):
    """The least and the most that `accuracy` over N/2 slots can be over the N/2 - 1 symbols. last_bits: mean bits of the last
    slot. An answer that is wrong there costs a bit at least, so that no larger share than that can be wrong. None: nothing
    is known of it and it is taken as right."""
    half = length // 2
    wrong = 0 if last_bits is None else min(1.0, max(0.0, last_bits))
    low = (half * accuracy - 1) / (half - 1)
    return max(0.0, low), min(1.0, (half * accuracy - 1 + wrong) / (half - 1))


def last_slot_bits(record, length):
    """Mean bits of the last slot from the CSV of --by-position beside a record, or None."""
    path = os.path.splitext(record.get("file", ""))[0] + ".csv"
    try:
        with open(path, encoding="utf-8", newline="") as f:
            found = [row for row in csv.DictReader(f) if int(row["context"]) == length - 1]
        return float(found[0]["bits"]) if found else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
