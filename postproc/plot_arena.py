#!/usr/bin/python3
"""The Long Range Arena's picture: speed across, score up, memory as the size of the disc; published and ours.

  plot_arena.py --bench FILE [--runs runs] [--at N] [--out PREFIX]

FILE is of weft bench FOLDER --arena --json FILE. Speed and memory are multiples of the Transformer's at length N (default: the
longest measured), published ones filled, ours as rings. The score is the average of the five tasks without Path-X: published,
and of the runs that count for the table (table_paper.py --table lra); a model of ours is drawn where all five have run, and is
named in a line of the output otherwise. Writes PREFIX.png and PREFIX.pdf (default: arena).
"""
import argparse
import glob
import os
import statistics
import sys

from figures import plt, save

import table_lra  # noqa: E402
import table_lra_speed  # noqa: E402
from runs import RunError, load_all  # noqa: E402

LARGEST = 900  # points^2 of the disc of the Transformer's memory


def our_scores(folder, known):
    """Average of five in % by model, and how many tasks the others have run."""
    folders = sorted(os.path.dirname(f) for f in glob.glob(os.path.join(folder, "*", "metrics.h5")))
    counted, _ = table_lra.sorted_out(load_all(folders), known, table_lra.input_names(os.path.join(table_lra.HERE, "..", "inputs")))
    scores, partial = {}, {}
    for model in known["models"]:
        means = []
        for task in table_lra.FIVE:
            found = [r.final["test_accuracy"] for r in counted.get((task, model), []) if "test_accuracy" in r.final]
            means += [statistics.fmean(found)] if found else []
        if len(means) == len(table_lra.FIVE):
            scores[model] = 100 * statistics.fmean(means)
        else:
            partial[model] = len(means)
    return scores, partial


def discs(rows, length, known, scores):
    """(label, speed, score, memory) of published discs and of ours."""
    published, ours = [], []
    for row in rows:
        model = known["models"].get(row["model"])
        if row["N"] != length or model is None:
            continue
        if row["published_speed"] is not None:
            published.append((model["title"], row["published_speed"], model["average"], row["published_memory"]))
        if row["speed"] is not None and row["model"] in scores:
            ours.append((model["title"], row["speed"], scores[row["model"]], row["memory"]))
    return published, ours


def draw(published, ours, length):
    figure, axes = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    for points, style in ((published, {"alpha": 0.55}), (ours, {"facecolors": "none", "lw": 1.6})):
        for number, (label, speed, score, memory) in enumerate(points):
            colour = f"C{number % 10}"
            more = {"edgecolors": colour, **style} if "facecolors" in style else {"color": colour, **style}
            axes.scatter([speed], [score], s=LARGEST * memory, **more)
            axes.annotate(label + ("" if points is published else ", ours"), (speed, score), fontsize=7, ha="center", va="center")
    axes.set_xscale("log")
    axes.set_xlabel(f"training speed at N = {length:,}, multiple of the Transformer's")
    axes.set_ylabel("average accuracy of five tasks, %")
    axes.set_title("filled: published; rings: ours; area: peak memory, as a multiple of the Transformer's", fontsize=9)
    axes.grid(alpha=0.25)
    axes.margins(0.12)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, metavar="FILE")
    parser.add_argument("--runs", default="runs", metavar="DIR")
    parser.add_argument("--at", type=int, metavar="N")
    parser.add_argument("--out", default="arena", metavar="PREFIX")
    given = parser.parse_args()
    known = table_lra.published("published_lra.toml")
    try:
        rows, _ = table_lra_speed.read(given.bench)
        scores, partial = our_scores(given.runs, known)
    except RunError as error:
        sys.exit(str(error))
    lengths = sorted({row["N"] for row in rows})
    length = given.at or lengths[-1]
    if length not in lengths:
        parser.error(f"--at: got {length}, expected one of {', '.join(map(str, lengths))}")
    published, ours = discs(rows, length, known, scores)
    for model, tasks in partial.items():
        print(f"{known['models'][model]['title']}: {tasks} of {len(table_lra.FIVE)} tasks run, so it has no ring")
    save(draw(published, ours, length), given.out)


if __name__ == "__main__":
    main()
