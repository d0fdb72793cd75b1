"""The Long Range Arena's second table, speed and memory, from weft bench FOLDER --arena --json FILE: table_paper.py --table
lra_speed --bench FILE.

Multiples are of the Transformer at the same length in the same measurement, ours as well as the published ones: a TPU's
steps per second say nothing about another machine's.
"""
import json

from runs import RunError
from tables import Form

COLUMNS = ("model", "N", "steps", "speed", "published_speed", "peak", "memory", "published_memory", "exponent")
TITLES = {"steps": "our steps/s", "speed": "our speed, x", "published_speed": "published, x", "peak": "our peak",
          "memory": "our memory, x", "published_memory": "published, x ", "exponent": "our time grows as"}
FORM = Form(COLUMNS, TITLES, text=("model",))
TITLE = ("Tay et al. 2020, Table 2: the Long Range Arena, speed (higher is better) and peak memory (lower is better) of training "
         "on the Text task")
NOTES = (
    "x: as a multiple of the Transformer's at the same length. Published: batch 32 on 4 x 4 TPU v3 chips, memory per device; "
    "Sparse and Longformer were emulated by dense masks there and not measured; Synthesizer at 3,072 is likely a misprint. "
    "time grows as: exponent of a step's time against N over the lengths shown.",)


def number(value, digits):
    return "n/a" if value is None else f"{value:.{digits}f}"


def size(value):
    return "n/a" if value is None else f"{value / 2**20:,.0f} MiB"


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            rows = json.load(f)["arena"]
        batches = sorted({row["batch"] for row in rows})
        return rows, batches
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: got {error!r}, expected what weft bench FOLDER --arena --json FILE writes") from error


def make(path):
    """Title and lines of the table."""
    rows, batches = read(path)
    lines = []
    for row in rows:
        seconds = row["seconds"]
        lines.append({"model": row["model"], "N": f"{row['N']:,}", "steps": "failed" if seconds is None else f"{1 / seconds:.3g}",
                      "speed": number(row["speed"], 2), "published_speed": number(row["published_speed"], 2),
                      "peak": size(row["peak_bytes"]), "memory": number(row["memory"], 2),
                      "published_memory": number(row["published_memory"], 2),
                      "exponent": "n/a" if row["exponent"] is None else f"N^{row['exponent']:.2f}"})
    return f"{TITLE}; ours with {' or '.join(map(str, batches))} sequences a step.", lines
