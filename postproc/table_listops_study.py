"""The ListOps study beside our runs: table_paper.py --table listops_study.

A line for each input file of inputs/listops_study, and one for each of inputs/listops_depth. A run counts for it if its
run.name is the file's (with _seed1 or the like) and its settings are the file's; other runs whose names begin so get lines of
their own below, which say what differs. What was published, and what its logs show that to be, is in
published_listops_study.toml.

train: hits of the training steps of the last epoch; valid: the best evaluation of the validation split, and in brackets the
last; test: of the test split, when training was done. They stand apart because the study mixed them.
"""
import os
import statistics

import numpy as np

from floors_arena import WORDS
from records import differences
from tables import Form, published, spread

HERE = os.path.dirname(os.path.abspath(__file__))
INPUTS = os.path.join(HERE, "..", "inputs")
FLOORS = ("constant", "root_operator", "levels1", "levels2", "levels3")
FIGURES = ("train", "valid", "test")
COLUMNS = ("id", "model", "data", "published", "was", *FIGURES, "n", *FLOORS, "minutes", "parameters", "commit", "note")
TITLES = {"published": "published %", "was": "what it was", "train": "ours % (train)", "valid": "ours % (valid: best, last)",
          "test": "ours % (test)", "n": "seeds", "constant": "constant", **{k: WORDS[k] for k in FLOORS if k in WORDS}}
FORM = Form(COLUMNS, TITLES, text=("id", "model", "data", "was", "commit", "note"), wide=("was", "data", "note"))
NOT_RUN = "not run"
TITLE = ("The ListOps study of 2024: accuracy in %, published figures with what their logs show them to be, and ours on each "
         "split.")
NOTES = (
    "ours: mean ± standard deviation (n - 1) over the seeds that count for the line. train: hits of the training steps of the "
    "last epoch. Floors are of the very test rows of the line, counted on its training split: the constant answer, the best "
    "answer to the root operator, and the expression without its lists nested deeper than 1, 2 and 3. Where operators are no "
    "tokens there are no levels. Rows _as_published repeat the fault behind a figure. Minutes: wall time of the training steps "
    "of one seed, on average.",)


def rows_of(known, inputs):
    """(run.name, id, entry, input file or None) for each line of the table."""
    lines = []
    for group, folder in (("rows", "listops_study"), ("depth", "listops_depth")):
        for name, entry in known[group].items():
            path = os.path.join(inputs, folder, name + ".toml")
            lines.append((f"{folder}_{name}", name, entry, path if os.path.isfile(path) else None))
    return lines


def train_accuracy(run):
    """Hits of the steps of the last epoch, or None."""
    accuracy, epoch = run.column("steps", "accuracy"), run.last("epochs", "epoch")
    if not len(accuracy):
        return None
    steps = len(accuracy) if not epoch or epoch <= 1 else max(1, round(len(accuracy) / epoch))
    last = accuracy[-steps:]
    last = last[np.isfinite(last)]
    return float(last.mean()) if len(last) else None


def valid_accuracies(run):
    """The best and the last, or None."""
    found = run.column("epochs", "valid_accuracy")
    found = found[np.isfinite(found)]
    return (float(found.max()), float(found[-1])) if len(found) else None


def valid_cell(runs):
    found = [v for v in map(valid_accuracies, runs) if v]
    if not found:
        return ""
    best, last = (spread(values, 2, 100) for values in zip(*found))
    return f"{best} ({last})"


def line(name, entry, runs, notes, floors):
    out = {"id": name, "model": entry.get("title", ""), "data": entry.get("data", ""),
           "published": entry.get("published", "none"), "was": entry.get("was", "nothing was published"),
           **dict.fromkeys(FIGURES, NOT_RUN), "n": str(len(runs)),
           **dict.fromkeys(FLOORS, "" if floors is None else "no data set"), "minutes": NOT_RUN,
           "parameters": NOT_RUN, "commit": NOT_RUN, "note": "; ".join(notes) or "none"}
    if not runs:
        return out
    tests = [r.final.get("test_accuracy") for r in runs]
    missing = sum(t is None for t in tests)
    if missing:
        notes = [*notes, f"{missing} of {len(runs)} runs without a test figure"]
    hours = [r.hours for r in runs if r.hours is not None]
    out.update(train=spread([train_accuracy(r) for r in runs], 2, 100) or "not recorded",
               valid=valid_cell(runs) or "not recorded",
               test=spread(tests, 2, 100) or "no test figure yet",
               minutes=f"{60 * statistics.fmean(hours):.3g}" if hours else "not recorded",
               parameters=" / ".join(f"{n:,}" for n in sorted({r.parameters for r in runs if r.parameters is not None}))
               or "not recorded",
               commit=" / ".join(dict.fromkeys(c for r in runs for c in r.commits)) or "not recorded",
               note="; ".join(dict.fromkeys(notes)) or "none")
    if floors is not None:
        digest = next((s["data_sha256"] for r in runs for s in r.provenance if s.get("data_sha256")), None)
        found = floors.accuracies(runs[0].data_path, "test", digest, runs[0].max_windows or None)
        if found:
            out.update({k: f"{100 * found['accuracies'][k]:.1f}" if k in found["accuracies"] else "none" for k in FLOORS})
    return out


def belongs(run, names):
    """The row's name that the run's name is or goes on from; the longest, if several are."""
    return max((n for n in names if run.base_name == n or run.base_name.startswith((n + "_", n + "-"))), key=len, default=None)


def make_listops_study(runs, floors=None, inputs=INPUTS):
    """Title and lines of the table."""
    table = rows_of(published("published_listops_study.toml"), inputs)
    paths = {name: path for name, _, _, path in table}
    counted, others = {}, {}
    for run in runs:
        name = belongs(run, paths)
        if name is None:
            continue
        notes = differences(run, paths[name]) if paths[name] else ["its input file is not there"]
        if run.base_name == name and not notes:
            counted.setdefault(name, []).append(run)
        else:
            others.setdefault(name, {}).setdefault(run.row_key, []).append((run, notes))
    lines = []
    for name, label, entry, _ in table:
        lines.append(line(label, entry, counted.get(name, []), [], floors))
        for group in others.get(name, {}).values():
            found = [run for run, _ in group]
            lines.append(line(f"other run: {found[0].base_name}", {"title": entry["title"], "data": found[0].data_path}, found,
                              group[0][1] or ["another name"], floors))
    return TITLE, lines
