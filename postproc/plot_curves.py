#!/usr/bin/python3
"""Loss curves of runs: bits per token against tokens seen, training and validation.

  plot_curves.py RUN... [--out PREFIX] [--against tokens|step|time] [--compressors]

Writes PREFIX.png and PREFIX.pdf (default: curves). --compressors draws what gzip, bzip2 and xz reach on the first run's
test bytes.
"""
import argparse
import sys

from figures import finish, plt, save

import numpy as np  # noqa: E402  (figures chooses the backend first)

from runs import RunError, compressed_bits, load_all  # noqa: E402

AXES = {"tokens": "tokens seen", "step": "optimiser steps", "time": "training time (minutes)"}
POINTS = 200  # of a training curve: each is the mean of the steps around it


def abscissa(run, against):
    """One value for every row of /steps."""
    if against == "time":
        return np.cumsum(np.nan_to_num(run.column("steps", "seconds"))) / 60
    return run.column("steps", against)


def thinned(x, y, points=POINTS):
    """Means over equal stretches of rows; rows that are not finite are left out."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) <= points:
        return x, y
    edges = np.linspace(0, len(x), points + 1).astype(int)
    return tuple(np.array([v[a:b].mean() for a, b in zip(edges[:-1], edges[1:])]) for v in (x, y))


def draw(runs, against, floors):
    figure, axes = plt.subplots(figsize=(7.0, 4.3), layout="constrained")
    for run in runs:
        x, step = abscissa(run, against), run.column("steps", "step")
        line, = axes.plot(*thinned(x, run.column("steps", "bits")), lw=1.0, alpha=0.6, label=f"{run.name}, training")
        at, valid = run.column("epochs", "step"), run.column("epochs", "valid_bits")
        if len(at) and len(step):
            axes.plot(np.interp(at, step, x), valid, "o-", ms=3.5, lw=1.4, color=line.get_color(),
                      label=f"{run.name}, validation")
    for (name, bits), style in zip(floors.items(), ("--", ":", "-.")):
        axes.axhline(bits, color="0.35", lw=0.9, ls=style, label=f"{name}: {bits:.2f}")
    axes.set_xlabel(AXES[against])
    axes.set_ylabel("bits per token")
    values = np.concatenate([r.column(*which) for r in runs for which in (("steps", "bits"), ("epochs", "valid_bits"))])
    finite = values[np.isfinite(values)]
    if len(finite):
        axes.set_ylim(min([finite.min(), *floors.values()]) * 0.95, min(8.1, finite.max() * 1.02))
    finish(axes)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder")
    parser.add_argument("--out", default="curves", metavar="PREFIX")
    parser.add_argument("--against", choices=AXES, default="tokens")
    parser.add_argument("--compressors", action="store_true")
    given = parser.parse_args()
    runs = load_all(given.runs)
    try:
        floors = compressed_bits(runs[0].held_out()) if given.compressors else {}
    except RunError as error:
        sys.exit(str(error))
    save(draw(runs, given.against, floors), given.out)


if __name__ == "__main__":
    main()
