#!/usr/bin/python3
"""A published table beside our runs and beside what needs no neural network.

  table_paper.py --table sparse2|sparse3|repro1|repro2|lra|lra_speed|reformer|listops_study|all [--runs runs] [--out tables]
                 [--no-floors] [--columns A,B,...]

  sparse2  Child et al. 2019, Table 2 (enwik8, CIFAR-10) and ImageNet 64x64
  sparse3  Child et al. 2019, Table 3: minimum context on enwik8, from the records of `weft eval`
  repro1   Soós and Halli Sudhakara 2024, Table 1 (enwik8)
  repro2   Soós and Halli Sudhakara 2024, Table 2 (CIFAR-10)
  lra      Tay et al. 2020, Table 1: the Long Range Arena; table_lra.py says which runs count and what stuck means
  lra_speed  Tay et al. 2020, Table 2: speed and memory, from --bench FILE of weft bench FOLDER --arena --json FILE
  reformer  Kitaev et al. 2020, Table 2: the copy task by training and evaluation; table_reformer.py says which runs count
  listops_study  the ListOps study of 2024, and comparisons of depth and of length; table_listops_study.py says which runs count

Writes OUT/<table>.csv, .md and .tex, prints the Markdown and keeps the floors in OUT/floors.json (see floors.py). Rows are
in tables.toml, published figures in published.toml. A run counts for a row if its run.name is the row's (with _seed1 or
the like) and its settings are those of the row's input file; runs whose names go on (enwik8_fixed_small) or whose settings
differ get lines of their own below it, which say what differs. What was never run says "not run".
"""
import argparse
import glob
import os
import statistics
import sys
import tomllib

from floors import Floors
from records import differences, evaluation, evaluations_of
from runs import RunError, load_all
import table_listops_study
import table_lra
import table_lra_speed
import table_reformer
from tables import Form, published, spread, write_all

HERE = os.path.dirname(os.path.abspath(__file__))
INPUTS = os.path.join(HERE, "..", "inputs")
FLOORS = ("uniform", "marginal", "gzip", "xz", "order5", "neighbour")
COLUMNS = ("row", "published", "measures", "ours", "n", *FLOORS, "parameters", "epochs", "hours", "energy", "machine",
           "published_step", "step", "commit", "note")
TITLES = {"measures": "what the published figure is", "ours": "ours (test)", "gzip": "gzip -9", "xz": "xz -9e",
          "order5": "order-5 model", "neighbour": "left neighbour", "published_step": "published s/step",
          "step": "our s/step"}
TEXT, WIDE = ("row", "measures", "machine", "commit", "note"), ("row", "measures", "note")
FORM = Form(COLUMNS, TITLES, TEXT, WIDE)
OWN = {"lra": table_lra, "reformer": table_reformer, "listops_study": table_listops_study}  # tables with columns of their own
NOT_RUN = "not run"
# What an empty cell says in a column where other lines have something to say.
EMPTY = {**dict.fromkeys(FLOORS, "n/a"), "published": "none", "published_step": "none", "note": "none"}
NOTES = (
    "ours: mean ± standard deviation (n - 1) over the n runs that count for the row. Floors are bits per byte of the very "
    "test bytes of the line: marginal, order-5 and left-neighbour models are counted on the training split, gzip and xz see "
    "the test bytes alone. Parameters and epochs: ours, the published ones in brackets. Hours: wall time of the training "
    "steps.",)


def settings_note(run, entry):
    """What makes a run another one than the row's, as texts."""
    path = os.path.join(INPUTS, entry["input"])
    return differences(run, path if os.path.isfile(path) else None, entry.get("test_bytes"))


def belongs(run, names):
    """The row's name that the run's name is or goes on from; the longest, if several are."""
    fitting = [n for n in names if run.base_name == n or run.base_name.startswith((n + "_", n + "-"))]
    return max(fitting, key=len, default=None)


def assigned(runs, known):
    """For every row's name: the runs that count, and the groups of others with the notes on them."""
    rows = {name: ([], []) for name in known}
    groups = {}
    for run in runs:
        name = belongs(run, known)
        if name is None:
            continue
        notes = settings_note(run, known[name])
        if run.base_name == name and not notes:
            rows[name][0].append(run)
        else:
            groups.setdefault((name, run.row_key), []).append((run, notes))
    for (name, _), members in groups.items():
        rows[name][1].append(([run for run, _ in members], members[0][1]))
    return rows


def floor_cells(floors, folder, digest=None, limit=None):
    """Cells of the floors, and notes on them."""
    if floors is None:
        return dict.fromkeys(FLOORS, ""), []
    found = floors.of(folder, "test", limit, digest)
    if found is None:
        return {**dict.fromkeys(FLOORS, "no data set"), "uniform": "8.0000", "neighbour": ""}, []
    cells = {name: f"{found[name]:.4f}" if name in found else "" for name in FLOORS}
    cut = found["bytes"] < (limit or found["of_bytes"])
    return cells, [f"floors on the first {found['bytes']:,} test bytes"] if cut else []


def several(texts):
    """Different texts once each, in the order given."""
    return " / ".join(dict.fromkeys(texts))


def machine(run):
    if not run.provenance:
        return "not recorded"
    start = run.provenance[-1]
    ranks = start.get("ranks", 1)
    return f"{ranks} rank{'s' * (ranks != 1)}: {'; '.join(dict.fromkeys(start.get('devices', []))) or 'device not recorded'}"


def spent(runs):
    """Cells on size, length and cost of runs; all say "not run" if there is none."""
    if not runs:
        return dict.fromkeys(("parameters", "epochs", "hours", "energy", "machine", "step", "commit"), NOT_RUN)

    def each(value, form):
        values = [value(r) for r in runs]
        known = [v for v in values if v is not None]
        return several(form.format(v) for v in known) if known else "not recorded"

    hours = [r.hours for r in runs if r.hours is not None]
    energy = [r.energy_kwh for r in runs]
    steps = [v for r in runs for v in r.column("steps", "seconds") if v == v]
    return {
        "parameters": each(lambda r: r.parameters, "{:,}"),
        "epochs": each(lambda r: r.last("epochs", "epoch"), "{:.4g}"),
        "hours": f"{statistics.fmean(hours):.3g}" if hours else "not recorded",
        "energy": "not measured" if None in energy else f"{statistics.fmean(energy):.3g} kWh",
        "machine": several(machine(r) for r in runs),
        "step": f"{statistics.median(steps):.3g}" if steps else "not recorded",
        "commit": several(c for r in runs for c in r.commits) or "not recorded",
    }


def make_line(label, entry, ours, n, runs, notes, floors):
    """One line; entry: what was published, {} for nothing; runs: those it is made of."""
    digest = next((s["data_sha256"] for r in runs for s in r.provenance if s.get("data_sha256")), None)
    folder = runs[0].data_path if runs else entry.get("data", "")
    limit = runs[0].max_windows * runs[0].config["model"]["context"] if runs and runs[0].max_windows else None
    cells, more = floor_cells(floors, folder, digest, limit)
    row = {"row": label, "ours": ours, "n": str(n), **cells, **spent(runs)}
    row["published"] = entry.get("figure", f"{entry['bits']:.2f}" if "bits" in entry else "")
    row["measures"] = entry.get("measures", "nothing was published")
    row["published_step"] = f"{entry['seconds']:.2f}" if "seconds" in entry else ""
    for key in ("parameters", "epochs"):
        if key in entry:
            row[key] += f" ({entry[key]})"
    row["note"] = "; ".join([*notes, *more])
    return {c: row[c] for c in COLUMNS}


def figures(runs):
    """Cell and count of the test figures of runs, and notes."""
    bits = [r.final["test_bits"] for r in runs if "test_bits" in r.final]
    missing = len(runs) - len(bits)
    notes = [f"{missing} of {len(runs)} runs without a test figure"] if missing else []
    return (spread(bits) or ("no test figure yet" if runs else NOT_RUN)), len(bits), notes


def bits_lines(table, known, rows, floors):
    lines = []
    for override in table["rows"]:
        entry = {**known[override["run"]], **override}
        if "figure" in override:
            entry.pop("seconds", None)  # the table at hand gives none
        counted, others = rows[override["run"]]
        ours, n, notes = figures(counted)
        if "note" in entry:
            notes.append(entry["note"])
        lines.append(make_line(entry["row"], entry, ours, n, counted, notes, floors))
        for runs, differing in others:
            ours, n, notes = figures(runs)
            lines.append(make_line(f"other run: {runs[0].base_name}", {}, ours, n, runs, notes + differing, floors))
    return lines


def context_lines(table, known, rows, floors):
    """Lines of a table by minimum context."""
    base = known[table["run"]]
    counted, others = rows[table["run"]]
    lines = []

    def line(label, entry, m, runs, notes):
        found = [(r, evaluation(r, m)) for r in runs]
        bits = [e["bits"] for _, e in found if e]
        late = [f"evaluated at step {e['step']}" for r, e in found
                if e and "step" in e and e["step"] != r.last("steps", "step")]
        used = [r for r, e in found if e]
        made = make_line(label, entry, spread(bits) or NOT_RUN, len(bits), used, notes + late, floors)
        commits = [str(e["commit"])[:10] for _, e in found if e and e.get("commit")]
        if commits:
            made["commit"] = several(commits)
        return made

    for row in table["minimum_context"]:
        entry = {k: base[k] for k in ("parameters", "epochs", "data") if k in base}
        entry.update(figure=row["figure"], measures=table["measures"])
        lines.append(line(f"m = {row['m']:,}", entry, row["m"], counted, []))
    known_m = {row["m"] for row in table["minimum_context"]}
    for runs, notes in [(counted, []), *others]:
        for m in sorted({m for r in runs for m in evaluations_of(r)} - (known_m if runs is counted else set())):
            label = f"{'other run: ' + runs[0].base_name + ', ' if runs is not counted else ''}m = {m:,}"
            lines.append(line(label, {}, m, runs, notes))
    return lines


def filled(lines):
    """Nothing is left blank in a column that is shown."""
    for column, text in EMPTY.items():
        if any(line[column] for line in lines):
            for line in lines:
                line[column] = line[column] or text
    return lines


def make_table(name, runs, floors=None):
    """Title and lines of one of the tables of tables.toml."""
    with open(os.path.join(HERE, "tables.toml"), "rb") as f:
        table = tomllib.load(f)[name]
    known = published("published.toml")
    rows = assigned(runs, known)
    make = context_lines if "minimum_context" in table else bits_lines
    return table["title"], filled(make(table, known, rows, floors))


def title_and_lines(name, runs, floors):
    if name == "lra":
        return table_lra.make_lra(runs, floors)
    if name == "listops_study":
        return table_listops_study.make_listops_study(runs, floors)
    return table_reformer.make_reformer(runs) if name == "reformer" else make_table(name, runs, floors)


def chosen_columns(text, form):
    """The form with the columns of a list with commas (None: all). ValueError where one is unknown."""
    chosen = text.split(",") if text else form.columns
    wrong = [c for c in chosen if c not in form.columns]
    if wrong:
        raise ValueError(f"--columns: got {', '.join(wrong)}, expected some of {', '.join(form.columns)}")
    return Form(chosen, form.titles, form.text, form.wide)


def speed_table(parser, given):
    """The one table that is of a measurement and not of runs."""
    if not given.bench:
        parser.error("--table lra_speed: got no --bench FILE, expected what weft bench inputs/lra/text --arena --json FILE wrote")
    try:
        form = chosen_columns(given.columns, table_lra_speed.FORM)
        title, lines = table_lra_speed.make(given.bench)
    except ValueError as error:
        parser.error(str(error))
    except RunError as error:
        sys.exit(str(error))
    write_all(os.path.join(given.out, "lra_speed"), table_lra_speed.FORM, lines, title, table_lra_speed.NOTES, form)
    print(form.markdown(lines, title, table_lra_speed.NOTES))
    return None


def main():
    with open(os.path.join(HERE, "tables.toml"), "rb") as f:
        tables = list(tomllib.load(f))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, choices=[*tables, *OWN, "lra_speed", "all"])
    parser.add_argument("--runs", default="runs", metavar="DIR", help="folder of run folders")
    parser.add_argument("--out", default="tables", metavar="DIR")
    parser.add_argument("--bench", metavar="FILE", help="for lra_speed: what weft bench FOLDER --arena --json FILE wrote")
    parser.add_argument("--no-floors", action="store_true", help="leave the floors out: nothing of the data set is read")
    parser.add_argument("--columns", metavar="A,B,...", help="these only in Markdown and LaTeX (CSV has all): " +
                        ", ".join(COLUMNS) + "".join(f"; {n}: {', '.join(t.COLUMNS)}" for n, t in OWN.items()))
    given = parser.parse_args()
    kinds = {name: (FORM, NOTES) for name in tables} | {name: (own.FORM, own.NOTES) for name, own in OWN.items()}
    if given.table == "lra_speed":
        return speed_table(parser, given)
    wanted = list(kinds) if given.table == "all" else [given.table]
    forms = {}
    for name in wanted:
        try:
            forms[name] = chosen_columns(given.columns, kinds[name][0])
        except ValueError as error:
            if given.table != "all" or name not in OWN:  # which have other columns: left out of all where they are chosen
                parser.error(str(error))
    folders = sorted(os.path.dirname(f) for f in glob.glob(os.path.join(given.runs, "*", "metrics.h5")))
    if not folders:
        print(f"no run folders in {given.runs}: every row will say \"{NOT_RUN}\"", file=sys.stderr)
    runs = load_all(folders)
    runs.sort(key=lambda r: (r.base_name, r.seed is None, r.seed))
    os.makedirs(given.out, exist_ok=True)
    try:
        floors = None if given.no_floors else Floors(os.path.join(given.out, "floors.json"))
        for name in forms:
            title, lines = title_and_lines(name, runs, floors)
            form, notes = kinds[name]
            write_all(os.path.join(given.out, name), form, lines, title, notes, forms[name])
            print(forms[name].markdown(lines, title, notes))
    except RunError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
