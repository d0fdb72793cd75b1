#!/usr/bin/python3
"""What `weft bench` measured: attention's time against N with fitted exponents, and every kernel on the roofline.

  weft bench --json bench.json
  plot_bench.py bench.json... [--labels A B ...] [--pieces] [--out PREFIX] [--from N]

Draws, for each file, forward + backward time against N for every pattern and storage type, and each figure's operations
per second over its operations per byte below the lines that the machine was measured to reach (memory, matrix product).
Prints the exponents of time against N, fitted by least squares of the logarithms over N >= --from (default: the upper half
of the lengths), and how the matrix products stand beside bare ones. With --pieces the files are parts of one measurement
(some lengths in each, say) and are drawn together, below the best rates of any of them. Writes PREFIX.png and PREFIX.pdf (default: bench).
"""
import argparse
import json
import math
import os
import sys

from figures import plt, save

import numpy as np  # noqa: E402  (figures chooses the backend first)

NEEDED = ("operation", "what", "precision", "N", "width", "operations", "bytes", "seconds")
HEAD_WIDTH = 64  # of the curves against N


class BenchError(Exception):
    """A file that `weft bench --json` did not write; the message says what to do."""


def read(path):
    """The machine and the figures of a file."""
    try:
        with open(path, encoding="utf-8") as f:
            bench = json.load(f)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}; make it with weft bench --json {path}") from error
    except ValueError as error:
        raise BenchError(f"{path}: {error}; expected what weft bench --json writes") from error
    figures = bench.get("figures") if isinstance(bench, dict) else None
    machine = bench.get("machine") if isinstance(bench, dict) else None
    if not isinstance(machine, dict) or not figures:
        raise BenchError(f"{path}: expected \"machine\" and at least one of \"figures\", as weft bench --json writes them "
                         "without an input file")
    for figure in figures:
        missing = [key for key in NEEDED if key not in figure]
        if missing or not figure["seconds"] > 0:
            raise BenchError(f"{path}: a figure has {'no ' + missing[0] if missing else 'no time above 0'}")
    return machine, figures


def together(benches):
    """Pieces of one measurement as one: all figures, the best rates."""
    machines = [machine for machine, _ in benches]
    rates = {key: max(m[key] for m in machines) for key in ("matrix_fp32", "matrix_bf16", "copy_bandwidth")}
    return {**machines[0], **rates}, [f for _, figures in benches for f in figures]


def bare_lines(figures):
    """For each storage type, what the bare product takes of our time at the shapes measured."""
    lines = []
    for precision in ("fp32", "bf16"):
        ratios = [f["bare_ratio"] for f in figures if f["precision"] == precision and "bare_ratio" in f]
        if ratios:
            lines.append(f"products, {precision}: a bare one takes {np.median(ratios):.2f} of the time at the median shape, "
                         f"{min(ratios):.2f} to {max(ratios):.2f} over {len(ratios)}")
    return lines


def curves(figures, of="seconds"):
    """{(pattern, precision): (N, seconds (or operations) forward + backward)} of attention at one head width, N ascending."""
    times = {}
    for f in figures:
        if f["operation"] in ("attention forward", "attention backward") and f["width"] == HEAD_WIDTH:
            times.setdefault((f["what"], f["precision"]), {}).setdefault(f["N"], {})[f["operation"]] = f[of]
    out = {}
    for key, by_length in times.items():
        whole = sorted((n, sum(parts.values())) for n, parts in by_length.items() if len(parts) == 2)
        if whole:
            out[key] = tuple(np.array(column, dtype=float) for column in zip(*whole))
    return out


def exponent(lengths, seconds, first=None):
    """Slope of log seconds against log N; not a number with fewer than two lengths."""
    chosen = np.asarray(lengths) >= (lengths[(len(lengths) - 1) // 2] if first is None else first)
    if chosen.sum() < 2:
        return math.nan
    return float(np.polyfit(np.log(lengths[chosen]), np.log(seconds[chosen]), 1)[0])


def draw_times(axes, figures, first):
    """Returns the lines to print."""
    lines, work = [], curves(figures, "operations")
    for (pattern, precision), (n, seconds) in curves(figures).items():
        slope = exponent(n, seconds, first)
        style = "o-" if precision == "fp32" else "s--"
        axes.plot(n, seconds, style, ms=3, lw=1.2, label=f"{pattern}, {precision}: N^{slope:.2f}")
        lines.append(f"{pattern}, {precision}: time grows as N^{slope:.2f}, {len(n)} lengths, N = {n[0]:.0f} to {n[-1]:.0f}; "
                     f"the operations of its tiles as N^{exponent(*work[pattern, precision], first):.2f}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("N")
    axes.set_ylabel("forward + backward, s")
    return lines


def draw_roofline(axes, machine, figures):
    kinds = {}
    for f in figures:
        # A pass over memory has no operations that count: it is drawn by its bytes, one operation per byte.
        operations = f["operations"] or f["bytes"]
        kind = f["operation"].split()[0] if f["operations"] else "passes (1 operation per byte)"
        kinds.setdefault(kind, []).append((operations / f["bytes"], operations / f["seconds"]))
    for kind, points in sorted(kinds.items()):
        axes.plot(*zip(*points), "o", ms=3, alpha=0.7, label=kind)
    intensity = np.geomspace(0.5, max(2000.0, max(p[0] for points in kinds.values() for p in points)), 200)
    for precision, style in (("fp32", "-"), ("bf16", "--")):
        axes.plot(intensity, np.minimum(machine["matrix_" + precision], machine["copy_bandwidth"] * intensity), style,
                  color="0.4", lw=1, label=f"the machine, {precision}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations per byte")
    axes.set_ylabel("operations per second")


def draw(benches, first=None):
    """The figure, and the lines to print."""
    figure, axes = plt.subplots(len(benches), 2, figsize=(11, 4.2 * len(benches)), layout="constrained", squeeze=False)
    lines = []
    for row, (label, (machine, figures)) in zip(axes, benches):
        lines += [f"{label}: {line}" for line in draw_times(row[0], figures, first) + bare_lines(figures)]
        draw_roofline(row[1], machine, figures)
        for part in row:
            part.set_title(label, fontsize=9)
            part.grid(alpha=0.25)
            part.spines[["top", "right"]].set_visible(False)
            if part.get_legend_handles_labels()[0]:
                part.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))  # beside the curves
    return figure, lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="JSON")
    parser.add_argument("--labels", nargs="+", metavar="TEXT", help="one for every file; else the files' names")
    parser.add_argument("--pieces", action="store_true", help="the files are parts of one measurement: one row")
    parser.add_argument("--out", default="bench", metavar="PREFIX")
    parser.add_argument("--from", dest="first", type=int, metavar="N", help="fit the exponents from this N on")
    given = parser.parse_args()
    if given.pieces and not given.labels:
        given.labels = ["all"]
    if given.pieces and len(given.labels) != 1:
        parser.error(f"--labels: got {len(given.labels)}, expected 1 with --pieces")
    labels = given.labels or [os.path.splitext(os.path.basename(f))[0] for f in given.files]
    if not given.pieces and len(labels) != len(given.files):
        parser.error(f"--labels: got {len(labels)}, expected {len(given.files)}, one for every file")
    try:
        read_files = [read(path) for path in given.files]
    except BenchError as error:
        sys.exit(str(error))
    benches = [(labels[0], together(read_files))] if given.pieces else list(zip(labels, read_files))
    figure, lines = draw(benches, given.first)
    print("\n".join(lines))
    save(figure, given.out)


if __name__ == "__main__":
    main()
