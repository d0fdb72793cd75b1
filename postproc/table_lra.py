"""The Long Range Arena's table beside our runs and beside what needs no neural network: table_paper.py --table lra.

A line for each model and task. A run counts for it if its run.name is lra_<task>_<model> (with _seed1 or the like), an input
file has that name, and the settings are that file's; other runs on labelled data get lines of their own below their task,
which say what differs. Published figures are in published_lra.toml.

chance is the share of the constant answer. A run is stuck if its test accuracy is not above chance by more than three
standard deviations of a coin thrown once for each test row (2 points where the rows are not known); it has escaped at the
first evaluation on the validation split from which on no accuracy falls back there.
"""
import glob
import math
import os
import re
import statistics
import tomllib

from floors_arena import ORDER, WORDS
from records import differences
from runs import RunError, shards
from tables import Form, published, spread

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS = ("task", "model", "published", "ours", "n", "stuck", "escape", "floors", "parameters", "ratio", "hours", "commit",
           "note")
TITLES = {"published": "published %", "ours": "ours % (test)", "n": "seeds", "escape": "step of escape",
          "floors": "floors %", "ratio": "of the base Transformer"}
FORM = Form(COLUMNS, TITLES, text=("task", "model", "floors", "commit", "note"), wide=("floors", "note"))
NOT_RUN = "not run"
FIVE = ("listops", "text", "retrieval", "image", "pathfinder")  # that the published average is of
TITLE = "Tay et al. 2020, Table 1: the Long Range Arena, accuracy on the test split in %, higher is better."
NOTES = (
    "ours: mean ± standard deviation (n - 1) over the seeds that count for the line. stuck: seeds that never left chance, the "
    "constant answer; step of escape: for each seed the first evaluation from which on it stays above chance. Floors are of "
    "the very test rows of the line, counted on its training split: they need no neural network. Parameters: ours, and as a "
    "multiple of the base Transformer of the task's released setting (the arena's rule allows 1.10).",)


def input_names(folder):
    """Input files by the run.name that they give."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "**", "*.toml"), recursive=True)):
        with open(path, "rb") as f:
            found[tomllib.load(f).get("run", {}).get("name", "")] = path
    return found


def task_of(run, tasks):
    """The task whose word stands in the run's name, else in the path of its data; None for runs without classes."""
    if run.config.get("data", {}).get("task", "next_token") not in ("classify", "pairs"):
        return None
    for text in (run.base_name, run.data_path):
        for name, task in tasks.items():
            if any(word in re.split(r"[^a-z0-9]+", text.lower()) for word in task["words"]):
                return name
    return None


def model_of(run, models):
    family, pattern = (run.config.get(s, {}).get(k) for s, k in (("model", "family"), ("attention", "pattern")))
    for wanted in (family, pattern) if family == "arena" else (family,):  # another family's patterns are other models
        for name, model in models.items():
            if model["pattern"] == wanted:
                return name
    return None


def chance_of(task, floors):
    """The constant answer's share, and what a figure must exceed to be more than luck."""
    chance = floors["accuracies"]["constant"] if floors else task["chance"] / 100
    margin = 3 * math.sqrt(chance * (1 - chance) / floors["rows"]) if floors else 0.02
    return chance, chance + margin


def escape(run, limit):
    """The step of the first evaluation from which on all are above the limit, or None."""
    steps, accuracy = run.column("epochs", "step"), run.column("epochs", "valid_accuracy")
    found = None
    for step, value in zip(steps, accuracy):
        if value != value:
            continue  # not evaluated there
        found = (step if found is None else found) if value > limit else None
    return None if found is None else int(found)


def tokenisation(folder):
    """Which of the three inputs ListOps shards hold: their figures may not stand beside each other."""
    import h5py
    try:
        with h5py.File(shards(folder, "test")[0], "r") as f:
            symbols = f.attrs.get("symbols", "")
    except (RunError, OSError):
        return []
    words = (symbols.decode() if isinstance(symbols, bytes) else str(symbols)).split()
    if not words:
        return []
    return ["tokens " + ("brackets" if "(" in words else "lra" if "]" in words else "lra2020: no closing brackets, not "
                         "comparable")]


def floor_cell(found):
    return "; ".join(f"{WORDS.get(n, n)} {100 * found['accuracies'][n]:.1f}" for n in ORDER if n in found["accuracies"])


def line(task, label, model, runs, notes, floors):
    """One line from the runs that repeat it; model: a table of published_lra.toml, or {} for nothing published."""
    key, entry = task
    figure = model.get(key, "")
    out = {"task": entry["title"], "model": label, "published": figure if isinstance(figure, str) else f"{figure:.2f}",
           "ours": NOT_RUN, "n": "0", "stuck": NOT_RUN, "escape": NOT_RUN, "parameters": NOT_RUN, "ratio": NOT_RUN,
           "hours": NOT_RUN, "commit": NOT_RUN, "floors": "no data set" if floors is not None else "", "note": ""}
    if not runs:
        return {**out, "note": "; ".join(notes)}
    digest = next((s["data_sha256"] for r in runs for s in r.provenance if s.get("data_sha256")), None)
    found = floors.accuracies(runs[0].data_path, "test", digest, runs[0].max_windows or None) if floors is not None else None
    _, limit = chance_of(entry, found)
    scores = [r.final["test_accuracy"] for r in runs if "test_accuracy" in r.final]
    if len(scores) < len(runs):
        notes = [*notes, f"{len(runs) - len(scores)} of {len(runs)} runs without a test figure"]
    if key == "listops":
        notes = [*notes, *tokenisation(runs[0].data_path)]
    if runs[0].max_windows:
        notes = [*notes, f"first {runs[0].max_windows} examples of the split only"]
    sizes = sorted({r.parameters for r in runs if r.parameters is not None})
    hours = [r.hours for r in runs if r.hours is not None]
    escapes = [escape(r, limit) for r in runs]
    out.update(ours=spread(scores, 2, 100) or "no test figure yet", n=str(len(scores)),
               stuck=f"{sum(s <= limit for s in scores)} of {len(scores)}" if scores else "none",
               escape=" / ".join("never" if e is None else f"{e:,}" for e in escapes),
               parameters=" / ".join(f"{n:,}" for n in sizes) or "not recorded",
               ratio=" / ".join(f"{n / entry['base']:.2f}" for n in sizes) or "not recorded",
               hours=f"{statistics.fmean(hours):.3g}" if hours else "not recorded",
               commit=" / ".join(dict.fromkeys(c for r in runs for c in r.commits)) or "not recorded")
    if found:
        out["floors"] = floor_cell(found)
    return {**out, "note": "; ".join(dict.fromkeys(notes))}


def sorted_out(runs, known, inputs):
    """Runs that count by (task, model), and by task the groups of others with their model and the notes on them."""
    counted, groups = {}, {}
    for run in runs:
        task, model = task_of(run, known["tasks"]), model_of(run, known["models"])
        if task is None:
            continue
        path = inputs.get(run.base_name)
        notes = differences(run, path) if path else ["no input file has this name"]
        if path and not notes and run.base_name == f"lra_{task}_{model}":
            counted.setdefault((task, model), []).append(run)
        else:
            groups.setdefault((task, run.row_key), []).append((run, model, notes))
    others = {}
    for (task, _), members in groups.items():
        others.setdefault(task, []).append(([r for r, _, _ in members], members[0][1], members[0][2]))
    return counted, others


def average_line(key, model, counted):
    """Of the five tasks without Path-X, where all of them have a figure."""
    means = []
    for task in FIVE:
        scores = [r.final["test_accuracy"] for r in counted.get((task, key), []) if "test_accuracy" in r.final]
        means += [statistics.fmean(scores)] if scores else []
    out = dict.fromkeys(COLUMNS, "")
    out.update(task="average of five", model=model["title"], published=f"{model['average']:.2f}",
               ours=spread([statistics.fmean(means)], 2, 100) if len(means) == len(FIVE) else f"{len(means)} of 5 tasks run",
               note=model.get("note", ""))
    return out


def make_lra(runs, floors=None, inputs=os.path.join(HERE, "..", "inputs")):
    """Title and lines of the table."""
    known = published("published_lra.toml")
    counted, others = sorted_out(runs, known, input_names(inputs))
    lines = []
    for task in known["tasks"]:
        entry = (task, known["tasks"][task])
        lines += [line(entry, m["title"], m, counted.get((task, key), []), [], floors) for key, m in known["models"].items()]
        for group, model, notes in others.get(task, []):
            title = known["models"][model]["title"] if model else "other model"
            lines.append(line(entry, f"other run: {group[0].base_name} ({title})", {}, group, notes, floors))
    lines += [average_line(key, m, counted) for key, m in known["models"].items()]
    for row in lines:
        for column in COLUMNS:
            if column != "floors" or floors is not None:  # a column that nobody asked for stays empty, and is not shown
                row[column] = row[column] or ("none" if column in ("published", "note") else "n/a")
    return TITLE, lines
