#!/usr/bin/python3
"""Curves of runs: bits per token, or accuracy over seeds.

  plot_curves.py RUN... [--out PREFIX] [--against tokens|step|time] [--compressors]
  plot_curves.py RUN... --accuracy [--by section.key,...] [--left PERCENT] [--out PREFIX] [--against tokens|step|time]

The first draws bits per token against tokens seen, training and validation. --compressors draws what gzip, bzip2 and xz
reach on the first run's test bytes. The second draws accuracy on the validation split against optimiser steps: a thin line
for each run and a thick one for the mean of the runs that differ in their seeds alone, or that agree in the keys of --by
(attention.pattern,attention.rounds,optimizer.learning_rate). A mark stands where a run left chance: at its first evaluation
above twice chance in the copy task, above --left in any task. Writes PREFIX.png and PREFIX.pdf (default: curves).
"""
import argparse
import sys

from figures import finish, in_words, plt, save

import numpy as np  # noqa: E402  (figures chooses the backend first)

from copy_task import chance_of, escape, is_copy  # noqa: E402
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
    in_words(axes.xaxis)
    axes.set_ylabel("bits per token")
    values = np.concatenate([r.column(*which) for r in runs for which in (("steps", "bits"), ("epochs", "valid_bits"))])
    finite = values[np.isfinite(values)]
    if len(finite):
        axes.set_ylim(min([finite.min(), *floors.values()]) * 0.95, min(8.1, finite.max() * 1.02))
    finish(axes)
    return figure


def setting(run, key):
    """The run's value of section.key. ValueError where it has none."""
    section, _, name = key.partition(".")
    try:
        return run.config[section][name]
    except (KeyError, TypeError):
        raise ValueError(f"--by {key}: {run.name} has no such key in its config.toml, expected one such as "
                         "optimizer.learning_rate") from None


def grouped(runs, keys):
    """Runs that one mean is of, by the name of its line, in the order given."""
    groups = {}
    for run in runs:
        values = tuple(f"{k.partition('.')[2]} {setting(run, k)}" for k in keys)
        groups.setdefault(values or run.row_key, []).append(run)
    names = [", ".join(key) if keys else members[0].base_name for key, members in groups.items()]
    repeated = {name for name in names if names.count(name) > 1}
    names = [f"{name} ({members[0].name} ...)" if name in repeated else name for name, members in zip(names, groups.values())]
    return dict(zip(names, groups.values()))


def accuracy(run, against):
    """Evaluations on the validation split: abscissa and accuracy in %."""
    at, value = run.column("epochs", "step"), 100 * run.column("epochs", "valid_accuracy")
    if len(value) != len(at):
        return np.array([]), np.array([])
    x = np.interp(at, run.column("steps", "step"), abscissa(run, against)) if against != "step" else at
    known = np.isfinite(value)
    return x[known], value[known]


def mean_curve(curves):
    """Mean of curves over the stretch that all have, at every abscissa of any of them."""
    x = np.unique(np.concatenate([c[0] for c in curves]))
    x = x[(x >= max(c[0][0] for c in curves)) & (x <= min(c[0][-1] for c in curves))]
    return x, np.mean([np.interp(x, *c) for c in curves], axis=0)


def draw_accuracy(runs, against, keys, left=None):
    figure, axes = plt.subplots(figsize=(7.0, 4.3), layout="constrained")
    chances, marked = {}, False
    for number, (name, members) in enumerate(grouped(runs, keys).items()):
        colour, curves, escaped = f"C{number % 10}", [], 0
        for run in members:
            x, y = accuracy(run, against)
            if not len(x):
                continue
            curves.append((x, y))
            axes.plot(x, y, lw=0.7, alpha=0.5, color=colour)
            if is_copy(run):
                chances[f"{100 * chance_of(run):.2f}"] = 100 * chance_of(run)
            step = escape(run, left) if left is not None or is_copy(run) else None
            if step is not None:
                escaped, first = escaped + 1, list(accuracy(run, "step")[0]).index(step)
                axes.plot(x[first], y[first], "v", ms=6, color=colour, mec="black", mew=0.5, zorder=3)
        marked = marked or escaped > 0
        told = f", {escaped} of {len(members)} left chance" if left is not None or is_copy(members[0]) else ""
        if curves:
            axes.plot(*mean_curve(curves), lw=2.2, color=colour, label=f"{name}, n = {len(members)}{told}")
    for text, value in chances.items():
        axes.axhline(value, color="0.35", lw=0.9, ls="--", label=f"chance: {text} %")
    if marked:
        axes.plot([], [], "v", ms=6, color="white", mec="black", label="a run leaves chance")
    axes.set_xlabel(AXES[against])
    in_words(axes.xaxis)
    axes.set_ylabel("accuracy on the validation split, %")
    axes.set_ylim(0, 102)
    finish(axes)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder")
    parser.add_argument("--out", default="curves", metavar="PREFIX")
    parser.add_argument("--against", choices=AXES, help="default: tokens, with --accuracy step")
    parser.add_argument("--compressors", action="store_true")
    parser.add_argument("--accuracy", action="store_true", help="accuracy over seeds instead of bits")
    parser.add_argument("--by", metavar="KEY,...", help="with --accuracy: one mean for each value of these keys")
    parser.add_argument("--left", type=float, metavar="PERCENT", help="with --accuracy: a run above it has left chance")
    given = parser.parse_args()
    if given.compressors if given.accuracy else given.by or given.left is not None:
        parser.error("--by and --left are for --accuracy, --compressors is for bits")
    runs = load_all(given.runs)
    if given.accuracy:
        if not any(len(accuracy(r, "step")[0]) for r in runs):
            sys.exit("none of these runs has an accuracy on its validation split yet")
        try:
            left = None if given.left is None else given.left / 100
            save(draw_accuracy(runs, given.against or "step", given.by.split(",") if given.by else [], left), given.out)
        except ValueError as error:
            parser.error(str(error))
        return
    try:
        floors = compressed_bits(runs[0].held_out()) if given.compressors else {}
    except RunError as error:
        sys.exit(str(error))
    save(draw(runs, given.against or "tokens", floors), given.out)


if __name__ == "__main__":
    main()
