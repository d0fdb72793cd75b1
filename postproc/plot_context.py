#!/usr/bin/python3
"""Does long context help? Bits per token by the number of tokens before the scored one.

  weft eval RUN --by-position context.csv
  plot_context.py context.csv... [--labels A B ...] [--out PREFIX] [--bins 24]

Reads CSV files with the header context,bits,count. Draws means over ranges of context that grow by a constant factor, each
weighted by its tokens, and the mean over all of them; writes PREFIX.png and PREFIX.pdf (default: context).
"""
import argparse
import csv
import os
import sys

from figures import finish, plt, save

import numpy as np  # noqa: E402  (figures chooses the backend first)


class CurveError(Exception):
    """A file that is no such curve; the message says what to do."""


def read(path):
    """Columns context, bits and count."""
    try:
        with open(path, encoding="utf-8", newline="") as f:
            rows = list(csv.reader(f))
    except OSError as error:
        raise CurveError(f"{path}: {error.strerror}; make it with weft eval RUN --by-position {path}") from error
    if not rows or rows[0] != ["context", "bits", "count"]:
        raise CurveError(f"{path}: got the header {','.join(rows[0]) if rows else '(empty file)'}, expected "
                         "context,bits,count, as weft eval --by-position writes it")
    try:
        values = np.array([[float(x) for x in row] for row in rows[1:]], dtype=float).reshape(-1, 3)
    except ValueError as error:
        raise CurveError(f"{path}: {error}; expected three numbers in every line") from error
    if not len(values) or not np.isfinite(values).all() or not (values[:, 2] > 0).all():
        raise CurveError(f"{path}: expected finite bits and counts above 0 in at least one line")
    return values.T


def binned(context, bits, count, bins=24):
    """Middle, mean bits and tokens of ranges of context that grow by a constant factor."""
    edges = np.unique(np.round(np.geomspace(1, context.max() + 2, bins + 1)).astype(int))
    at = np.searchsorted(edges, context + 1, side="right") - 1
    tokens = np.bincount(at, count, len(edges))
    total = np.bincount(at, count * bits, len(edges))
    place = np.bincount(at, count * context, len(edges))
    there = tokens > 0
    return place[there] / tokens[there], total[there] / tokens[there], tokens[there]


def areas(tokens):
    """Of the marks, by the tokens behind them: a mean over a handful is no more than a dot."""
    return 1 + 24 * tokens / tokens.max()


def draw(curves, bins=24):
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for label, (context, bits, count) in curves:
        x, y, tokens = binned(context, bits, count, bins)
        mean = float((bits * count).sum() / count.sum())
        line, = axes.plot(x, y, "-", lw=1.3, label=f"{label}: {mean:.3f} over all")
        axes.scatter(x, y, areas(tokens), color=line.get_color())
        axes.axhline(mean, color=line.get_color(), lw=0.8, ls=":")
    axes.set_xscale("symlog", linthresh=1)  # the first token has no context
    axes.set_xlim(left=-0.2)
    axes.set_xlabel("tokens of context (area of a mark: tokens scored there)")
    axes.set_ylabel("bits per token")
    finish(axes)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="CSV")
    parser.add_argument("--labels", nargs="+", metavar="TEXT", help="one for every file; else the files' names")
    parser.add_argument("--out", default="context", metavar="PREFIX")
    parser.add_argument("--bins", type=int, default=24)
    given = parser.parse_args()
    labels = given.labels or [os.path.splitext(os.path.basename(f))[0] for f in given.files]
    if len(labels) != len(given.files):
        parser.error(f"--labels: got {len(labels)}, expected {len(given.files)}, one for every file")
    try:
        curves = [(label, read(path)) for label, path in zip(labels, given.files)]
    except CurveError as error:
        sys.exit(str(error))
    save(draw(curves, given.bins), given.out)


if __name__ == "__main__":
    main()
