#!/usr/bin/python3
"""Attention patterns as in Figure 3 of Child et al. 2019: above, the keys that one query sees, row by row as in an image;
below, which keys every query sees.

  weft pattern INPUT.toml model.context=36 attention.stride=6 --csv strided.csv
  plot_patterns.py strided.csv[+second.csv]... [--labels A B ...] [--width l] [--query i] [--out PREFIX]

Reads CSV files with one line per query: its position, then the positions it sees, no header. FILE+FILE draws two sets in one
picture, the first dark, the second light (two heads or two layers of a factorised pattern). --width: positions per row of the
upper pictures (default: the root of the length); --query: the query of the upper pictures (default: one third from the end).
Writes PREFIX.png and PREFIX.pdf (default: patterns).
"""
import argparse
import math
import os
import sys

from figures import plt, save

import matplotlib.colors  # noqa: E402  (figures chooses the backend first)
import numpy as np  # noqa: E402

LARGEST = 4096  # positions; longer sequences make no picture that anybody could read
FUTURE, UNSEEN, SECOND, FIRST, OWN = range(5)
COLOURS = matplotlib.colors.ListedColormap(["#ffffff", "#e8e8e8", "#9ecae1", "#4292c6", "#08306b"])


class PatternError(Exception):
    """A file that is no pattern; the message says what to do."""


def read(path):
    """The keys of every query: a list of sorted lists."""
    keys = []
    try:
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f):
                try:
                    query, *seen = (int(x) for x in line.split(","))
                except ValueError:
                    raise PatternError(f"{path}, line {number + 1}: got {line.strip()[:40]!r}, expected a position and the "
                                       "positions it sees, as weft pattern --csv writes them") from None
                if query != number:
                    raise PatternError(f"{path}, line {number + 1}: got query {query}, expected {number}: one line for "
                                       "each, from 0")
                keys.append(seen)
    except OSError as error:
        raise PatternError(f"{path}: {error.strerror}; make it with weft pattern INPUT --csv {path}") from error
    if not 1 <= len(keys) <= LARGEST:
        raise PatternError(f"{path}: got {len(keys)} queries, expected 1 to {LARGEST}: give weft pattern a smaller "
                           "model.context")
    if any(not 0 <= k < len(keys) for seen in keys for k in seen):
        raise PatternError(f"{path}: got a key outside 0 to {len(keys) - 1}")
    return keys


def matrix(sets):
    """Rows are queries, columns keys; what the first set sees is dark, what only the second sees light. A key after its
    query that is seen nevertheless is drawn like any other: it is a leak, and shows above the diagonal."""
    n = len(sets[0])
    out = np.where(np.tri(n, dtype=bool), UNSEEN, FUTURE)
    for colour, keys in reversed(list(zip((FIRST, SECOND), sets))):
        for query, seen in enumerate(keys):
            out[query, seen] = colour
    own = [q for q in range(n) if out[q, q] in (FIRST, SECOND)]
    out[own, own] = OWN
    return out


def folded(row, query, width):
    """One row of the matrix as lines of `width` positions; what is behind the end is like the future."""
    lines = -(-len(row) // width)
    out = np.full(lines * width, FUTURE)
    out[:len(row)] = row
    out[query] = OWN
    return out.reshape(lines, width)


FINEST_GRID = 64  # cells of a side: with more, the lines between them are as wide as the cells


def show(axes, picture, grid):
    axes.imshow(picture, cmap=COLOURS, vmin=FUTURE, vmax=OWN, interpolation="nearest", aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    if grid:
        for at, size in ((axes.set_xticks, picture.shape[1]), (axes.set_yticks, picture.shape[0])):
            at(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", lw=0.4)
        axes.tick_params(which="minor", length=0)


def draw(patterns, width=None, query=None):
    """patterns: (label, list of sets)."""
    figure, axes = plt.subplots(2, len(patterns), figsize=(2.6 * len(patterns) + 0.3, 4.6), squeeze=False,
                                layout="constrained", height_ratios=(1, 2))
    for (label, sets), (above, below) in zip(patterns, axes.T):
        picture = matrix(sets)
        n = len(picture)
        q = min(query if query is not None else n - 1 - n // 3, n - 1)
        w = width or max(1, math.isqrt(n))
        show(above, folded(picture[q], q, w), n <= FINEST_GRID)
        above.set_title(f"{label}\nquery {q}, rows of {w}", fontsize=8)
        show(below, picture, n <= FINEST_GRID)
        below.set_xlabel("key", fontsize=8)
        seen = int((picture > UNSEEN).sum())
        below.set_ylabel("query", fontsize=8)
        below.set_title(f"{seen:,} keys, {seen / n:.1f} per query", fontsize=8)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="CSV[+CSV]")
    parser.add_argument("--labels", nargs="+", metavar="TEXT", help="one for every picture; else the files' names")
    parser.add_argument("--width", type=int)
    parser.add_argument("--query", type=int)
    parser.add_argument("--out", default="patterns", metavar="PREFIX")
    given = parser.parse_args()
    labels = given.labels or [os.path.splitext(os.path.basename(f.split("+")[0]))[0] for f in given.files]
    if len(labels) != len(given.files):
        parser.error(f"--labels: got {len(labels)}, expected {len(given.files)}, one for every picture")
    if (given.width is not None and given.width < 1) or (given.query is not None and given.query < 0):
        parser.error("--width is at least 1, --query at least 0")
    try:
        patterns = []
        for label, files in zip(labels, given.files):
            sets = [read(path) for path in files.split("+")]
            if len(sets) > 2 or len({len(s) for s in sets}) > 1:
                raise PatternError(f"{files}: expected one or two files of equally many queries")
            patterns.append((label, sets))
    except PatternError as error:
        sys.exit(str(error))
    save(draw(patterns, given.width, given.query), given.out)


if __name__ == "__main__":
    main()
