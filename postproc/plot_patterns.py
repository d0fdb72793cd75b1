#!/usr/bin/python3
"""Query-key matrices of attention patterns side by side, like Figure 3 of Child et al. 2019.

  plot_patterns.py CSV... --out F

CSV: of `weft pattern INPUT --csv F`; per line the query's position, then its keys. Writes F.png and F.pdf: queries down,
keys across, a key that a query sees dark, the query's own position darker.
"""
import argparse
import os
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)
import numpy as np  # noqa: E402

LARGEST = 4096


def matrix(path):
    """N x N: 0 not seen, 1 seen, 2 seen and its own position."""
    try:
        with open(path, encoding="utf-8") as f:
            lines = [[int(v) for v in line.split(",") if v.strip()] for line in f if line.strip()]
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: {error}; expected a line per query, its position and then its keys, as weft pattern --csv writes")
    size = max((max(line) for line in lines), default=-1) + 1
    if not 0 < size <= LARGEST or min(map(min, lines)) < 0:
        sys.exit(f"{path}: {size} positions; expected 1 to {LARGEST}, none negative: use a shorter model.context")
    seen = np.zeros((size, size), dtype=np.uint8)
    for query, *keys in lines:
        seen[query, keys] = 1
        if query in keys:
            seen[query, query] = 2
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="CSV")
    parser.add_argument("--out", required=True, metavar="F")
    given = parser.parse_args()
    count = len(given.files)
    figure, row = plt.subplots(1, count, figsize=(3.2 * count, 3.5), layout="constrained", squeeze=False)
    for path, axes in zip(given.files, row[0]):
        colours = matplotlib.colors.ListedColormap(["#f4f4f4", "#7fa8d6", "#123f7a"])
        axes.imshow(matrix(path), cmap=colours, vmin=0, vmax=2, interpolation="nearest")
        axes.set(title=os.path.splitext(os.path.basename(path))[0], xlabel="key", ylabel="query")
    stem = os.path.splitext(given.out)[0] if given.out.endswith((".png", ".pdf")) else given.out
    for ending in ("png", "pdf"):
        partial = f"{stem}.partial.{ending}"
        figure.savefig(partial, dpi=150)
        os.replace(partial, f"{stem}.{ending}")
        print(f"{stem}.{ending}")


if __name__ == "__main__":
    main()
