#!/usr/bin/python3
"""Bits by position in the window: does long context help?

  plot_context.py FILE... --out F [--bins 24]

FILE: CSV with header context,bits,count (weft eval --by-position FILE). Writes F.png and F.pdf, a curve per file; bins
are equal on a log axis of context + 1, means weighted by count.
"""
import argparse
import csv
import os
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)
import numpy as np  # noqa: E402


def read(path):
    """context, bits, count as arrays."""
    try:
        with open(path, newline="", encoding="utf-8") as f:
            reader = csv.DictReader(f)
            rows = [(float(r["context"]), float(r["bits"]), float(r["count"])) for r in reader]
    except (OSError, KeyError, TypeError, ValueError) as error:
        sys.exit(f"{path}: {error!r}; expected a CSV with header context,bits,count, as weft eval --by-position writes it")
    if not rows:
        sys.exit(f"{path} has no rows: expected one per position of the window")
    return np.array(rows).T


def binned(context, bits, count, bins=24):
    """Mean context and mean bits, weighted by count, of bins equal in log(context + 1); empty bins are left out."""
    use = (count > 0) & np.isfinite(bits)
    context, bits, count = context[use], bits[use], count[use]
    if not len(context):
        return context, bits
    scale = np.log(context + 1)
    which = np.minimum((scale / max(scale.max(), 1e-12) * bins).astype(int), bins - 1)
    weight = np.bincount(which, count, bins)
    full = weight > 0
    return tuple(np.bincount(which, count * v, bins)[full] / weight[full] for v in (context, bits))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--out", required=True, metavar="F")
    parser.add_argument("--bins", type=int, default=24)
    given = parser.parse_args()
    if given.bins < 1:
        sys.exit(f"--bins {given.bins}: expected at least 1")
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for path in given.files:
        x, y = binned(*read(path), given.bins)
        axes.plot(x + 1, y, "o-", ms=3, lw=1.2, label=os.path.splitext(os.path.basename(path))[0])
    axes.set(xscale="log", xlabel="bytes of context + 1", ylabel="bits per byte")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    stem = os.path.splitext(given.out)[0] if given.out.endswith((".png", ".pdf")) else given.out
    for ending in ("png", "pdf"):
        partial = f"{stem}.partial.{ending}"
        figure.savefig(partial, dpi=150)
        os.replace(partial, f"{stem}.{ending}")
        print(f"{stem}.{ending}")


if __name__ == "__main__":
    main()
