#!/usr/bin/python3
"""The Sparse Transformer paper's Tables 2 and 3 and the 2024 reproduction's Tables 1 and 2, with our runs beside them.

  table_paper.py --table sparse2|sparse3|repro1|repro2 --runs runs/ [--data DIR] --out DIR

Rows are those of tables.toml. A run counts for the row with the longest stem that its name begins with; runs with other
settings than their seed are rows of their own. Ours is mean ± standard deviation (n - 1) of final/test_bits, in Table 3
of the bits in evaluations/test-m<m>.json. Floors (byte_models.py) are on the test bytes that the runs scored, or, where
none has run, on those of DIR/<data of the row>; kept in OUT/floors.json. Writes OUT/<table>.csv, .md and .tex.
"""
import argparse
import csv
import glob
import hashlib
import io
import json
import os
import sys
import tomllib

import h5py
import numpy as np

from byte_models import floors, kept_floors
from runs import Run, RunError
from table_bits import spread, write

FLOORS = ("uniform", "gzip -9", "xz -9e", "marginal", "order 5")
COLUMNS = ("row", "published", "measured", "ours", "n", *FLOORS, "parameters", "epochs", "hours", "energy", "commit", "input")
TITLES = {"measured": "what the published figure measured", "n": "runs", "energy": "energy (kWh)", "input": "input file"}
NOT_RUN, UNKNOWN = "not run", "not measured"
SPECIAL = {"\\": r"\textbackslash{}", "±": r"$\pm$", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
           "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}",
           "<": r"\textless{}", ">": r"\textgreater{}"}


def tables():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tables.toml"), "rb") as f:
        return tomllib.load(f)


def stem_of(name, stems):
    """The longest stem that the name begins with, or None."""
    return max((s for s in stems if name.startswith(s)), key=len, default=None)


def find_runs(folder, stems):
    """Runs under a folder by stem; a folder without metrics.h5 has not begun and is passed over."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*", "metrics.h5"))):
        run = Run(os.path.dirname(path))
        stem = stem_of(run.name, stems)
        if stem:
            found.setdefault(stem, []).append(run)
    return found


def test_bits(run, minimum_context=None):
    """The figure of a row, or None where the run has not got that far."""
    if minimum_context is None:
        return run.final.get("test_bits")
    path = os.path.join(run.folder, "evaluations", f"test-m{minimum_context}.json")
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as f:
            record = json.load(f)
        if record["split"] != "test" or record["minimum_context"] != minimum_context:
            raise RunError(f"{path} is of split {record['split']}, minimum context {record['minimum_context']}; expected "
                           f"test and {minimum_context}: run weft eval again")
        return float(record["bits"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is no evaluation record ({error!r}): run weft eval again") from error


def split_bytes(folder, split):
    """The bytes of a split, shard after shard, streams and examples alike; '' of the source where no shard names one."""
    parts, source = [], ""
    for shard in sorted(glob.glob(os.path.join(folder, f"{split}-*-of-*.h5"))):
        with h5py.File(shard, "r") as f:
            parts.append(np.asarray(f["tokens"][...]).reshape(-1).astype(np.uint8))
            source = source or str(f.attrs.get("source_sha256", ""))
    return (np.concatenate(parts).tobytes() if parts else b""), source


def row_floors(folder, limit, kept):
    """Floors on the first `limit` test bytes (None: all) of a data set, or None where it is not there."""
    test, source = split_bytes(folder, "test")
    test = test[:limit]
    if not test:
        return None
    source = source or hashlib.sha256(test).hexdigest()
    key = f"{source} test {len(test)} {hashlib.sha256(test).hexdigest()[:16]}"
    return kept_floors(kept, key, lambda: floors(split_bytes(folder, "train")[0], test))


def scored(run):
    """How many test bytes the run's plain evaluation scored at most, or None for all."""
    windows = run.config.get("evaluation", {}).get("max_windows", 0)
    return windows * run.config["model"]["context"] if windows else None


def hours(run):
    seconds = run.column("steps", "seconds")
    return float(np.nansum(seconds)) / 3600 if len(seconds) else None


def energy(run):
    """Kilowatt hours of all steps, or None where a step has none."""
    joules = run.column("steps", "energy_j")
    return float(joules.sum()) / 3.6e6 if len(joules) and np.all(np.isfinite(joules)) and joules.sum() > 0 else None


def mean_of(values, form, missing):
    values = [v for v in values if v is not None]
    return form.format(sum(values) / len(values)) if values else missing


def make_row(entry, group, floor):
    """One row; group holds the runs that repeat it, none of them where it has not been run."""
    bits = [test_bits(r, entry.get("minimum_context")) for r in group]
    done = [r for r, b in zip(group, bits) if b is not None]
    counts = " / ".join(f"{n:,}" for n in sorted({r.parameters for r in done if r.parameters is not None}))
    epochs = " ".join(sorted({f"{e:.4g}" for e in (r.last("epochs", "epoch") for r in done) if e is not None}))
    made = {
        "row": entry["row"], "published": entry["published"], "measured": entry["measured"], "input": entry["input"],
        "ours": spread(bits) or NOT_RUN + (" (no test figure yet)" if group else ""), "n": str(len(done)),
        "parameters": (counts or NOT_RUN) + f" (published: {entry.get('parameters', 'not stated')})",
        "epochs": (epochs or NOT_RUN) + f" (published: {entry.get('epochs', 'not stated')})",
        "hours": mean_of([hours(r) for r in done], "{:.3g}", UNKNOWN) if done else NOT_RUN,
        "energy": mean_of([energy(r) for r in done], "{:.4g}", UNKNOWN),
        "commit": " ".join(sorted({c for r in done for c in r.commits})) or ("not recorded" if done else NOT_RUN),
    }
    for name in FLOORS:
        made[name] = f"{floor[name]:.4f}" if floor else ("8.0000" if name == "uniform" else "no data")
    return made


def make_table(table, runs_folder, data, out):
    known = tables()
    stems = {row["stem"] for each in known.values() for row in each["rows"]}
    found, rows = find_runs(runs_folder, stems), []
    for entry in known[table]["rows"]:
        groups = {}
        for run in found.get(entry["stem"], []):
            groups.setdefault(run.row_key, []).append(run)
        several = len(groups) > 1
        for group in list(groups.values()) or [[]]:
            folder = group[0].config.get("data", {}).get("path", "") if group else os.path.join(data, entry["data"])
            floor = row_floors(folder, scored(group[0]) if group else None, os.path.join(out, "floors.json"))
            name = entry["row"]
            if several or any(r.base_name != entry["stem"] for r in group):
                name += f" ({', '.join(r.name for r in group)})"
            if group and scored(group[0]):
                name += f" [first {scored(group[0]):,} test bytes]"
            rows.append(make_row(entry | {"row": name}, group, floor))
    return rows


def as_csv(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_markdown(rows, title, note):
    titles = [TITLES.get(c, c) for c in COLUMNS]
    lines = [title, "", "| " + " | ".join(titles) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(r[c].replace("|", "\\|") for c in COLUMNS) + " |" for r in rows]
    return "\n".join([*lines, "", note]) + "\n"


def tex(text):
    return "".join(SPECIAL.get(c, c) for c in text)


def as_latex(rows, title, note):
    lines = ["% needs \\usepackage{booktabs}", f"% {title}", f"% {note}", r"\begin{tabular}{" + "l" * len(COLUMNS) + "}",
             r"\toprule", " & ".join(tex(TITLES.get(c, c)) for c in COLUMNS) + r" \\", r"\midrule"]
    lines += [" & ".join(tex(r[c]) for c in COLUMNS) + r" \\" for r in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


NOTE = ("Floors in bits per byte on the same test bytes; order 5: interpolated byte model (Witten-Bell), counts from the first "
        "4,000,000 train bytes, scored on the first 500,000 test bytes. Lower is better.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, choices=tuple(tables()))
    parser.add_argument("--runs", required=True, metavar="DIR", help="folder of run folders")
    parser.add_argument("--data", default="data", metavar="DIR", help="folder of data sets, for rows that have not run")
    parser.add_argument("--out", required=True, metavar="DIR")
    given = parser.parse_args()
    os.makedirs(given.out, exist_ok=True)
    try:
        rows = make_table(given.table, given.runs, given.data, given.out)
    except RunError as error:
        sys.exit(str(error))
    title = tables()[given.table]["title"]
    text = as_markdown(rows, title, NOTE)
    for ending, made in (("csv", as_csv(rows)), ("md", text), ("tex", as_latex(rows, title, NOTE))):
        write(os.path.join(given.out, f"{given.table}.{ending}"), made)
    print(text, end="")


if __name__ == "__main__":
    main()
