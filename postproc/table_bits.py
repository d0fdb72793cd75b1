#!/usr/bin/python3
"""Bits per token of runs beside the published figures.

  table_bits.py RUN... [--out PREFIX] [--compressors]

Prints the table and writes PREFIX.csv, PREFIX.md and PREFIX.tex (default: table_bits). Runs that differ only in their
seed are one row, mean ± standard deviation (n - 1). Published figures are found by run.name in published.toml.
--compressors adds gzip, bzip2 and xz on the very bytes that each row's test figure was measured on.
"""
import argparse
import sys

from runs import RunError, compressed_bits, load_all
from tables import Form, published, spread, write_all

COLUMNS = ("row", "published", "ours", "seeds", "valid", "train", "parameters", "epochs", "steps", "commit", "source",
           "note")
TITLES = {"ours": "ours (test)", "valid": "ours (best valid)", "train": "ours (last train)"}
FORM = Form(COLUMNS, TITLES, text=("row", "commit", "source", "note"), always=("row", "published", "ours"))
HEAD = "Bits per token (byte), lower is better."


def make_row(runs, known):
    """One row of the table from the runs that repeat it."""
    entry = known.get(runs[0].base_name, {})
    notes = [entry["note"]] if "note" in entry else []
    missing = sum("test_bits" not in r.final for r in runs)
    if missing:
        notes.append("no test figure yet" if len(runs) == 1 else f"{missing} of {len(runs)} without a test figure")
    windows = runs[0].config.get("evaluation", {}).get("max_windows", 0)
    if windows:
        notes.append(f"first {windows} windows only")
    epochs = [r.last("epochs", "epoch") for r in runs]
    published_epochs = f" of {entry['epochs']}" if "epochs" in entry else ""
    published_parameters = f" ({entry['parameters']})" if "parameters" in entry else ""
    counts = sorted({r.parameters for r in runs if r.parameters is not None})
    return {
        "row": entry.get("row", runs[0].base_name),
        "published": entry.get("figure", f"{entry['bits']:.2f}" if "bits" in entry else ""),
        "ours": spread([r.final.get("test_bits") for r in runs]),
        "seeds": " ".join(str(r.seed) for r in runs),
        "valid": spread([r.best("epochs", "valid_bits") for r in runs]),
        "train": spread([r.last("epochs", "train_bits") for r in runs]),
        "parameters": " / ".join(f"{n:,}" for n in counts) + published_parameters,
        "epochs": " ".join(sorted({f"{e:.4g}" for e in epochs if e is not None})) + published_epochs,
        "steps": " ".join(sorted({f"{int(r.steps['step'][-1])}" for r in runs if len(r.steps.get("step", []))})),
        "commit": " ".join(sorted({c for r in runs for c in r.commits})),
        "source": entry.get("source", ""),
        "note": "; ".join(notes),
    }


def make_table(runs, compressors=False):
    rows, groups = [], {}
    for run in runs:
        groups.setdefault(run.row_key, []).append(run)
    known, seen = published("published.toml"), set()
    for group in groups.values():
        group.sort(key=lambda r: (r.seed is None, r.seed))
        rows.append(make_row(group, known))
        if compressors:
            data = group[0].held_out()
            if data not in seen:
                seen.add(data)
                for name, bits in compressed_bits(data).items():
                    note = f"on the same {len(data):,} bytes alone"
                    rows.append({"row": name, "ours": f"{bits:.4f}", "note": note})
    return [{c: row.get(c, "") for c in COLUMNS} for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder")
    parser.add_argument("--out", default="table_bits", metavar="PREFIX")
    parser.add_argument("--compressors", action="store_true", help="rows of gzip, bzip2 and xz on the same test bytes")
    given = parser.parse_args()
    try:
        rows = make_table(load_all(given.runs), given.compressors)
    except RunError as error:
        sys.exit(str(error))
    write_all(given.out, FORM, rows, HEAD)
    print(FORM.markdown(rows, HEAD), end="")


if __name__ == "__main__":
    main()
