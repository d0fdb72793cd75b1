#!/usr/bin/python3
"""What a training step does when, on every rank: is the sum of the gradients hidden behind the backward pass?

  mpirun -n 2 weft bench INPUT.toml --trace trace.json
  plot_trace.py trace.json [--step K] [--out PREFIX]

Draws one step (default: the last of the trace), one panel for each rank: forward and backward passes with their layers, the
matrix products and attention in them, what the rank waits for, the optimiser, and below them one line for each bucket of
the gradient: on its way out (light), summed, and on its way back (dark). Prints, for each rank, how much of the buckets'
travelling time lies within the backward pass, and how long the rank waits behind it. Writes PREFIX.png and PREFIX.pdf
(default: trace).
"""
import argparse
import json
import sys

from figures import plt, save

LANES = 3  # from the top: passes, layers, kernels; then the buckets
COLOURS = {"forward": "#9ecae1", "backward": "#fdae6b", "wait": "#d62728", "optimiser": "#74c476", "product": "#6baed6",
           "attention": "#e6550d", "bucket out": "#bcbddc", "bucket sum": "#000000", "bucket back": "#756bb1"}
KERNELS = ("product", "attention")
BUCKETS = ("bucket out", "bucket sum", "bucket back")


class TraceError(Exception):
    """A file that `weft bench --trace` did not write; the message says what to do."""


def read(path):
    """{rank: [(kind, number, begin, end)]} in seconds, in the order of their beginnings."""
    try:
        with open(path, encoding="utf-8") as f:
            events = json.load(f)["traceEvents"]
        ranks = {}
        for e in events:
            if e["ph"] == "X":
                begin = e["ts"] / 1e6
                ranks.setdefault(e["pid"], []).append((e["cat"], e["args"]["number"], begin, begin + e["dur"] / 1e6))
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}; make it with weft bench INPUT.toml --trace {path}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TraceError(f"{path}: expected what weft bench INPUT.toml --trace writes ({type(error).__name__}: {error})"
                         ) from error
    if not ranks or any(kind not in {e[0] for e in spans} for spans in ranks.values() for kind in ("step", "backward")):
        raise TraceError(f"{path}: expected at least one \"step\" with a \"backward\" on each rank, as weft bench "
                         "INPUT.toml --trace writes them")
    return {rank: sorted(ranks[rank], key=lambda e: e[2]) for rank in sorted(ranks)}


def one_step(spans, number):
    """The spans of a step (None: the last); the step's own comes first."""
    steps = [e for e in spans if e[0] == "step"]
    chosen = [e for e in steps if e[1] == number] if number is not None else steps[-1:]
    if not chosen:
        raise TraceError(f"--step: got {number}, the trace holds {', '.join(str(e[1]) for e in steps)}")
    step = chosen[0]
    return [step] + [e for e in spans if e is not step and step[2] <= e[2] < step[3]]


def hidden(spans):
    """Of one rank's step: (seconds that at least one bucket travels, of these within a backward pass, seconds waited)."""
    edges = sorted((begin, end) for kind, _, begin, end in spans if kind in BUCKETS)
    passes = [(begin, end) for kind, _, begin, end in spans if kind == "backward"]
    travelling = inside = 0.0
    reached = float("-inf")
    for begin, end in edges:  # their union
        begin = max(begin, reached)
        if end > begin:
            travelling += end - begin
            inside += sum(max(0.0, min(end, z) - max(begin, a)) for a, z in passes)
            reached = end
    return travelling, inside, sum(end - begin for kind, _, begin, end in spans if kind == "wait")


def milliseconds(seconds):
    """In three digits, whole numbers where they are larger."""
    ms = 1e3 * seconds
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def lane(kind):
    """Which lane a span is drawn in; None: not drawn."""
    if kind in KERNELS:
        return 2
    if kind in ("forward layer", "backward layer"):
        return 1
    if kind in ("forward", "backward", "wait", "optimiser"):
        return 0
    return None


def draw_rank(axes, spans, zero):
    """Returns {kind: bars} for a legend."""
    buckets = sorted({number for kind, number, _, _ in spans if kind in BUCKETS})
    bars = {}
    for kind, number, begin, end in spans:
        row = lane(kind) if kind not in BUCKETS else LANES + buckets.index(number)
        if row is None:
            continue
        bars.setdefault((row, kind), []).append((begin - zero, end - begin))
        if kind.endswith("layer") and end - begin > 0.015 * (spans[0][3] - spans[0][2]):
            axes.text((begin + end) / 2 - zero, -row, str(number), ha="center", va="center", fontsize=5)
    shown = {}
    for (row, kind), extents in bars.items():
        layers = kind.endswith("layer")
        shown[kind] = axes.broken_barh(extents, (-row - 0.4, 0.8), facecolor=COLOURS[kind.replace(" layer", "")],
                                       edgecolor="white" if layers else "none", linewidth=0.4 if layers else 0)
    axes.set_yticks([0, -1, -2] + ([-LANES - (len(buckets) - 1) / 2] if buckets else []))
    axes.set_yticklabels(["pass", "layer", "kernel"] + ([f"{len(buckets)} buckets"] if buckets else []), fontsize=7)
    return {kind: bar for kind, bar in shown.items() if kind in COLOURS}


def draw(ranks, number=None):
    """The figure, and the lines to print."""
    steps = {rank: one_step(spans, number) for rank, spans in ranks.items()}
    zero = min(spans[0][2] for spans in steps.values())
    figure, axes = plt.subplots(len(steps), 1, figsize=(9, 2.3 * len(steps)), layout="constrained", squeeze=False,
                                sharex=True)
    lines, legend = [], {}
    for part, (rank, spans) in zip(axes[:, 0], steps.items()):
        legend.update(draw_rank(part, spans, zero))
        travelling, inside, waited = hidden(spans)
        text = f"rank {rank}: step of {milliseconds(spans[0][3] - spans[0][2])}"
        if travelling:
            text += (f", buckets travel for {milliseconds(travelling)}, {100 * inside / travelling:.0f} % of it within the "
                     f"backward pass; waited {milliseconds(waited)}")
        lines.append(text)
        part.set_title(text, fontsize=8, loc="left")
        part.spines[["top", "right", "left"]].set_visible(False)
        part.tick_params(axis="y", length=0)
    axes[-1, 0].set_xlabel("milliseconds", fontsize=8)
    axes[-1, 0].xaxis.set_major_formatter(lambda x, _: f"{1e3 * x:g}")
    kinds = [kind for kind in COLOURS if kind in legend]
    axes[-1, 0].legend([legend[k] for k in kinds], kinds, ncol=len(kinds), frameon=False, fontsize=6.5, handlelength=1,
                       columnspacing=1, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return figure, lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="JSON")
    parser.add_argument("--step", type=int, metavar="K", help="number of the step in the trace; else the last")
    parser.add_argument("--out", default="trace", metavar="PREFIX")
    given = parser.parse_args()
    try:
        figure, lines = draw(read(given.file), given.step)
    except TraceError as error:
        sys.exit(str(error))
    print("\n".join(lines))
    save(figure, given.out)


if __name__ == "__main__":
    main()
