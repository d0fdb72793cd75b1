#!/usr/bin/python3
"""Bits per token of runs beside the published figures.

  table_bits.py RUN... [--out PREFIX] [--compressors]

Prints the table and writes PREFIX.csv, PREFIX.md and PREFIX.tex (default: table_bits). Runs that differ only in their
seed are one row, mean ± standard deviation (n - 1). Published figures are found by run.name in published.toml.
--compressors adds gzip, bzip2 and xz on the very bytes that each row's test figure was measured on.
"""
import argparse
import csv
import io
import os
import statistics
import sys
import tomllib

from runs import RunError, compressed_bits, load_all

COLUMNS = ("row", "published", "ours", "seeds", "valid", "train", "parameters", "epochs", "steps", "commit", "source",
           "note")
TITLES = {"ours": "ours (test)", "valid": "ours (best valid)", "train": "ours (last train)"}
TEXT = ("row", "commit", "source", "note")  # columns aligned to the left


def published():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "published.toml"), "rb") as f:
        return tomllib.load(f)


def spread(values):
    """'1.2345', or '1.2345 ± 0.0012' of several, or '' of none. Values that are missing are left out."""
    values = [v for v in values if v is not None]
    if not values:
        return ""
    mean = f"{statistics.fmean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.4f}"


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
    known, seen = published(), set()
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


def as_csv(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def shown(rows):
    """Columns that say something, with their titles."""
    return [(c, TITLES.get(c, c)) for c in COLUMNS if c in ("row", "published", "ours") or any(r[c] for r in rows)]


def as_markdown(rows):
    columns = shown(rows)
    lines = ["Bits per token (byte), lower is better.", "", "| " + " | ".join(title for _, title in columns) + " |",
             "| " + " | ".join("---" if c in TEXT else "---:" for c, _ in columns) + " |"]
    lines += ["| " + " | ".join(r[c].replace("|", "\\|") for c, _ in columns) + " |" for r in rows]
    return "\n".join(lines) + "\n"


def as_latex(rows):
    columns = shown(rows)
    special = {"\\": r"\textbackslash{}", "±": r"$\pm$", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
               "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}

    def tex(text):
        return "".join(special.get(c, c) for c in text)

    align = "".join("l" if c in TEXT else "r" for c, _ in columns)
    lines = [r"% needs \usepackage{booktabs}", r"\begin{tabular}{" + align + "}", r"\toprule",
             " & ".join(tex(title) for _, title in columns) + r" \\", r"\midrule"]
    lines += [" & ".join(tex(r[c]) for c, _ in columns) + r" \\" for r in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def write(path, text):
    with open(path + ".partial", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".partial", path)


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
    for ending, form in ((".csv", as_csv), (".md", as_markdown), (".tex", as_latex)):
        write(given.out + ending, form(rows))
    print(as_markdown(rows), end="")


if __name__ == "__main__":
    main()
