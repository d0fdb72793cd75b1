"""The Reformer's copy task, trained four ways and evaluated five: table_paper.py --table reformer.

For each training (full attention, LSH of 4, 2, 1 rounds) the paper's line, the reproduction's, and ours: over the N/2 slots
that the reproduction scores, over the N/2 - 1 symbols that the paper scores, and with the reproduction's mixture of scores
(keys of length one in LSH, not normalised in full attention). Cells are accuracies from the records of `weft eval`
(scripts/reformer_matrix.sh makes them all); as trained, the figure at the end of training will do. Published figures are in
published_reformer.toml. A run counts for a training if its run.name is reformer_<training> (with _seed1 or the like) and its
settings are those of the input file with this name; for the mixture of the first line reformer_full_raw. Other runs of the
task get lines of their own, which say what they are.
"""
import os
import statistics

from copy_task import chance, chance_of, escape, is_copy, last_slot_bits, length, scoring, symbols_alone
from records import differences
from table_lra import input_names
from tables import Form, published, spread

HERE = os.path.dirname(os.path.abspath(__file__))
EVALUATED = ("full", "lsh8", "lsh4", "lsh2", "lsh1")
COLUMNS = ("trained", "figures", *EVALUATED, "n", "chance", "escape", "score", "parameters", "hours", "commit", "note")
TITLES = {"trained": "trained with", "figures": "whose figures", "full": "evaluated: full", "lsh8": "LSH-8", "lsh4": "LSH-4",
          "lsh2": "LSH-2", "lsh1": "LSH-1", "n": "seeds", "chance": "chance %", "escape": "step of escape"}
FORM = Form(COLUMNS, TITLES, text=("trained", "figures", "score", "commit", "note"), wide=("figures", "note"))
NAMES = {"full": "full", "lsh8": "LSH-8", "lsh4": "LSH-4", "lsh2": "LSH-2", "lsh1": "LSH-1"}
NOT_RUN, MIXED = "not run", "raw in full, unit in LSH"
TITLE = ("Kitaev, Kaiser, Levskaya 2020, Table 2: the copy task by training (rows) and evaluation (columns), accuracy in %, "
         "higher is better.")
NOTES = (
    "ours: mean ± standard deviation (n - 1) over the seeds. Rows of N tokens: the reproduction scores N/2 slots, of which the "
    "last is always the separator, chance ((N/2 - 1)/symbols + 1)/(N/2); the paper N/2 - 1 symbols, chance 1/symbols. Ours over "
    "the symbols follows from ours over the slots, less the last one; ≥ where that one is not known to be right. step of "
    "escape: for each seed the first evaluation on the validation split above twice chance. score: unit, keys of length one; "
    "raw, keys as they are; the reproduction had raw in full attention and unit in LSH, the paper says unit.",)

# What an evaluation must share with the training, whatever its attention.
SHARED = ("self", "other_buckets", "duplicates", "look_back", "join", "fixed_hashes")


def column_of(attention):
    """Which of the five evaluations an attention is, or a name of its own."""
    if attention.get("pattern") == "lsh":
        return f"lsh{attention.get('rounds', 2)}"
    return "full" if attention.get("pattern") == "dense" and attention.get("shared_qk") else str(attention.get("pattern"))


def score_of(run):
    return run.config.get("attention", {}).get("score", "unit")


def text(value):
    """As weft eval writes it."""
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def fits(record, run, entry):
    """Whether a record scores the whole test split with the last weights and, but for the rounds, the trained hashes."""
    if record.get("split") != "test" or record.get("best") or not record.get("as_trained", True):
        return False
    if record.get("max_windows", 0) != run.max_windows or not isinstance(record.get("accuracy"), (int, float)):
        return False
    used, trained = record.get("attention", {}), run.config.get("attention", {})
    keys, hashed = ("self",), used.get("pattern") == "lsh"
    if hashed:
        keys = SHARED + (("buckets", "chunk") if trained.get("pattern") == "lsh" else ())
    if any(text(used[k]) != text(trained[k]) for k in keys if k in used and k in trained):
        return False
    return not hashed or all(text(used.get(k)) == text(entry[k]) for k in ("buckets", "chunk") if k in entry)


def records_of(run, entry):
    """The newest record for every (column, score); of equally new ones that with a figure of the last slot."""
    found = {}
    for record in run.evaluations():
        if not fits(record, run, entry):
            continue
        key = (column_of(record["attention"]), record["attention"].get("score", "unit"))
        rank = (str(record.get("time", "")), last_slot_bits(record, length(run)) is not None)
        if key not in found or rank >= found[key][0]:
            found[key] = rank, record
    return {key: record for key, (_, record) in found.items()}


class Matrix:
    """The records of runs that differ in their seeds alone."""

    def __init__(self, runs, entry):
        self.runs = runs
        self.records = [records_of(run, entry) for run in runs]

    def found(self, column, score):
        """(accuracy, record or {}, run) of every run that has one."""
        out = []
        for run, records in zip(self.runs, self.records):
            record = records.get((column, score))
            if record:
                out.append((record["accuracy"], record, run))
            elif "test_accuracy" in run.final and (column, score) == (column_of(run.config["attention"]), score_of(run)):
                out.append((run.final["test_accuracy"], {}, run))
        return out

    def cell(self, column, score, symbols_only, notes):
        found = self.found(column, score)
        if not found:
            return NOT_RUN
        for _, record, run in found:
            last = run.last("steps", "step")
            if record.get("step", last) != last:
                notes.append(f"{NAMES[column]} evaluated at step {record['step']}")
            if record and column != "full" and run.config["attention"].get("pattern") != "lsh":
                a = record["attention"]
                notes.append(f"LSH with buckets {a.get('buckets')}, chunks of {a.get('chunk')}")
        values, mark = [accuracy for accuracy, _, _ in found], ""
        if symbols_only:
            bits = [last_slot_bits(record, length(run)) for _, record, run in found]
            bounds = [symbols_alone(a, length(run), b) for (a, _, run), b in zip(found, bits)]
            values = [low for low, _ in bounds]
            mark = "≥ " if statistics.fmean(high - low for low, high in bounds) >= 5e-5 else ""
            if None in bits:
                notes.append("the last slot is taken as right")
        return mark + spread(values, 2, 100) + (f" (n = {len(found)})" if len(found) < len(self.runs) else "")


def blank(trained, figures):
    return {**dict.fromkeys(COLUMNS, ""), "trained": trained, "figures": figures}


def our_line(trained, figures, matrix, scores, symbols_only=False, notes=(), lengths=None):
    """One line; scores: of full attention and of LSH. lengths: (N, symbols) of the row where nothing was run."""
    out, notes, runs = blank(trained, figures), list(notes), matrix.runs
    out.update({c: matrix.cell(c, scores[c != "full"], symbols_only, notes) for c in EVALUATED})
    out["score"] = scores[0] if scores[0] == scores[1] else MIXED
    out["n"] = str(len(runs))
    if not runs:
        kind = "paper" if symbols_only else "reproduction"
        out.update(dict.fromkeys(("escape", "parameters", "hours", "commit"), NOT_RUN))
        out["chance"] = f"{100 * chance(*lengths, kind):.2f}"
    else:
        sizes = sorted({r.parameters for r in runs if r.parameters is not None})
        hours = [r.hours for r in runs if r.hours is not None]
        steps = [escape(r) for r in runs]
        out.update(chance=f"{100 * chance_of(runs[0], 'paper' if symbols_only else None):.2f}",
                   escape=" / ".join("never" if s is None else f"{s:,}" for s in steps),
                   parameters=" / ".join(f"{n:,}" for n in sizes) or "not recorded",
                   hours=f"{statistics.fmean(hours):.3g}" if hours else "not recorded",
                   commit=" / ".join(dict.fromkeys(c for r in runs for c in r.commits)) or "not recorded")
    out["note"] = "; ".join(dict.fromkeys(notes))
    return out


def published_line(known, key, whose):
    entry, source = known["trained"][key], known[whose]
    out = blank(NAMES[key], f"{'paper' if whose == 'paper' else 'reproduction'} ({source['source']})")
    out.update(zip(EVALUATED, entry[whose]))
    out.update(n="1" if whose == "reproduction" else "not known", score=source["score"], note=source["note"],
               chance=f"{100 * chance(known['length'], known['symbols'], source['scoring']):.2f}")
    if whose == "reproduction":
        out["note"] += f"; seed {entry['seed']}"
    return out


def replayed(kind, matrix):
    """Whether runs can stand for the reproduction's mixture, and have what is special in it."""
    if not matrix.runs:
        return False
    if kind == "full":
        return score_of(matrix.runs[0]) == "raw" and any(matrix.found(c, "unit") for c in EVALUATED[1:])
    return score_of(matrix.runs[0]) == "unit" and bool(matrix.found("full", "raw"))


def our_lines(trained, kind, matrix, notes):
    """Lines of runs that no published row is repeated by."""
    run = matrix.runs[0]
    half, own = length(run) // 2, (score_of(run),) * 2
    if scoring(run) == "paper":
        return [our_line(trained, f"ours, {half - 1} symbols", matrix, own, notes=notes)]
    lines = [our_line(trained, f"ours, {half} slots", matrix, own, notes=notes),
             our_line(trained, f"ours, {half - 1} symbols", matrix, own, True, notes)]
    if replayed(kind, matrix):
        lines.append(our_line(trained, f"ours, {half} slots, mixed scores", matrix, ("raw", "unit"), notes=notes))
    return lines


def row_lines(known, key, counted, raw):
    """The lines of one training of the published tables. raw: the runs of full attention with keys as they are."""
    entry, name = known["trained"][key], NAMES[key]
    lengths, half = (known["length"], known["symbols"]), known["length"] // 2
    matrix = Matrix(counted, entry)
    mixed = Matrix(raw, entry) if key == "full" else matrix
    if not replayed(key, mixed):
        mixed = Matrix([], entry)
    unit = ("unit", "unit")
    return [published_line(known, key, "paper"), published_line(known, key, "reproduction"),
            our_line(name, f"ours, {half} slots", matrix, unit, lengths=lengths),
            our_line(name, f"ours, {half - 1} symbols", matrix, unit, True, lengths=lengths),
            our_line(name, f"ours, {half} slots, mixed scores", mixed, ("raw", "unit"), lengths=lengths)]


def sorted_out(runs, known, inputs):
    """By training: the runs that count, and the groups of others with the notes on them; and those of the mixture."""
    counted, raw, groups = {}, [], {}
    names = input_names(inputs)
    for run in runs:
        if not is_copy(run):
            continue
        key = column_of(run.config.get("attention", {}))
        entry = known["trained"].get(key, {})
        path = os.path.join(inputs, entry.get("input", ""))
        differing = differences(run, path if os.path.isfile(path) else None)
        if entry and run.base_name == entry["run"] and not differing:
            counted.setdefault(key, []).append(run)
            continue
        if run.base_name == f"{known['trained']['full']['run']}_raw" and differing == ["attention.score raw, not unit"]:
            raw.append(run)
        own = names.get(run.base_name)
        notes = differences(run, own) if own else differing
        steps, batch = (run.config.get("training", {}).get(k) for k in ("steps", "batch"))
        shape = [f"rows of {length(run)}"] + ([f"{steps:,} steps of {batch}"] if steps and batch else [])
        groups.setdefault((key, run.row_key), []).append((run, [", ".join(shape), *notes] if own else notes))
    others = {}
    for (key, _), members in groups.items():
        others.setdefault(key, []).append(([r for r, _ in members], members[0][1]))
    return counted, raw, others


def make_reformer(runs, inputs=os.path.join(HERE, "..", "inputs")):
    """Title and lines of the table."""
    known = published("published_reformer.toml")
    counted, raw, others = sorted_out(runs, known, inputs)
    lines = []
    for key in [*known["trained"], *(k for k in others if k not in known["trained"])]:
        if key in known["trained"]:
            lines += row_lines(known, key, counted.get(key, []), raw)
        for group, notes in others.get(key, []):
            label = f"other run: {group[0].base_name} ({NAMES.get(key, key)})"
            lines += our_lines(label, key, Matrix(group, {}), notes)
    for line in lines:
        for column in COLUMNS:
            line[column] = line[column] or ("none" if column == "note" else "not known")
    return TITLE, lines
