#!/usr/bin/python3
"""Training steps of the Long Range Arena's models in Weft and in PyTorch with a peer's attention, in turns, on this
machine.

  arena_bench.py --weft build/cpu/weft [--models NAME...] [--length 4096] [--batch 4] [--layers 4] [--width 256]
                 [--repeats 3] [--steps 2] [--threads T] [--variants eager compiled] [--limit SECONDS]
                 [--out FILE] [--install DIR]

The whole classifier of the Text task (inputs/lra/text: width 256, 4 heads, fp32, AdamW on all tensors), forward,
backward and update. Weft runs `weft bench inputs/lra/text/MODEL.toml` with attention.form = "paper", for the peers
are the papers' models; PyTorch the same blocks around a peer's attention (arena_peer.py):
scaled_dot_product_attention and torch.nn.TransformerEncoderLayer, local-attention, linformer, reformer-pytorch,
sinkhorn-transformer, performer-pytorch, and Longformer and BigBird of transformers, all from PyPI; what has no
package is written out in PyTorch, and sparse is a mask. `--models mega bilstm` are inputs/lra_two_cores/listops_MODEL.toml
beside the blocks of transformers and torch.nn.LSTM (recurrent_peer.py), at the sizes asked for. Both take the mean over the rows in place of a CLS vector
(peers want a length of whole blocks), no padding and no dropout, which peers lose more by. Packages that cannot be
had, and what cannot be compiled, are left out with the reason.

Prints a line of JSON for each program of a model as soon as it is timed (--out FILE: adds it to the file, too), and a
table with the ratio of the best PyTorch to Weft at the end. --limit is for one program of one model, with its start,
compiling and all turns. Exit status 77 (skipped) without PyTorch; --install DIR as in torch_bench.py.
"""
import argparse
import json
import math
import os
import statistics
import sys

import turns
from arena_peer import MODULES, RECURRENT
from torch_bench import peer_version

ROOT = os.path.dirname(os.path.dirname(turns.HERE))
TARGET = 2.0  # at the default sizes
TARGETS = {"mega": 3.0, "bilstm": 1.5}  # with --width 128 --length 1024 --batch 8
ASKED_FOR = ("setuptools", "requests", "pyyaml", "packaging")  # by the peers, which packages.py fetches without them


def case_of(given):
    """Sizes for both sides: the arena's and the papers' where the length has room for them."""
    N = given.length
    block = 64 if N >= 1024 else max(8, N // 16)
    return dict(length=N, batch=given.batch, layers=given.layers, width=given.width, heads=4, feedforward=4 * given.width,
                block=block, window=min(512, N // 2), sparse_block=50, summary=10, projected=16, rounds=4, iterations=8)


def input_of(model, case):
    """(input file, overrides) for weft."""
    D, layers, N, batch = case["width"], case["layers"], case["length"], case["batch"]
    sizes = [f"model.context={N}", f"model.layers={layers}", f"model.width={D}", f"training.batch={batch}",
             f"training.micro_batch={batch}", "model.dropout=0"]
    if model in RECURRENT:
        own = {"mega": [f"model.feedforward={2 * D}", f"attention.value_width={2 * D}"],
               "bilstm": [f"model.state_width={D}", f"model.pooling_width={D}"]}[model]
        return (os.path.join(ROOT, "inputs", "lra_two_cores", f"listops_{model}.toml"),
                [*sizes, "model.vocabulary=257", "model.classes=2", *own])
    own = {
        "local": [f"attention.stride={case['block']}"],
        "longformer": [f"attention.window={case['window']}", "attention.global=0"],
        "reformer": [f"attention.rounds={case['rounds']}", f"attention.chunk={case['block']}",
                     f"attention.buckets=[{case['length'] // case['block']}]", "attention.other_buckets=true",
                     "attention.duplicates=true"],
        "sinkhorn": [f"attention.stride={case['block']}", f"attention.iterations={case['iterations']}",
                     "attention.sort_net='linear'"],
        "bigbird": [f"attention.stride={case['block']}"],
        "performer_softmax": ["attention.kernel='softmax'"],
    }.get(model, [])
    no_dropout = [] if model.split("_")[0] in ("linear", "performer") else ["attention.dropout=0"]  # they drop no weights
    common = [*sizes, f"model.feedforward={case['feedforward']}", "attention.form='paper'", "model.pooling='mean'"]
    return os.path.join(ROOT, "inputs", "lra", "text", model.split("_")[0] + ".toml"), common + no_dropout + own


def programs_of(model, case, given):
    starts = [lambda: turns.Weft(given.weft, *input_of(model, case), given.threads, given.limit)]
    for module in {**MODULES, **RECURRENT}[model]:
        for variant in given.variants:
            asked = {"model": model, "module": module, "variant": variant, "case": case}
            starts.append(lambda a=asked, n=f"{variant}, {module}": turns.Torch(n, "arena_peer.py", a, given.threads, given.limit))
    return starts


class Rows:
    """Where the lines of JSON go."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8") if path else None  # pylint: disable=consider-using-with

    def add(self, row):
        line = json.dumps(row)
        print(line, flush=True)
        if self.file:
            self.file.write(line + "\n")
            self.file.flush()


def compare(model, given, rows):
    """A model's figures: {"ours": ms, "eager": ms, "compiled": ms, "why": {program: reason}}."""
    case, weft = case_of(given), []

    def remembered(start):
        weft.append(start())
        return weft[0]

    first, *others = programs_of(model, case, given)
    try:
        seconds, why = turns.in_turns([lambda: remembered(first), *others], given.repeats, given.steps, given.limit)
    except SystemExit as error:  # weft cannot take a step of this size; the other models go on
        seconds, why = {}, {"weft": str(error).strip().splitlines()[-1]}
    common = {"model": model, **{k: case[k] for k in ("length", "batch", "layers")}, "threads": given.threads}
    figures = {"model": model, "why": why}
    for program, measured in seconds.items():
        middle, fastest, slowest = (round(1000 * f(measured), 3) for f in (statistics.median, min, max))
        row = {**common, "program": program, "ms": middle, "fastest_ms": fastest, "slowest_ms": slowest}
        if program == "weft":
            row.update({k: round(weft[0].row[k], 3) for k in ("products_share", "attention_share", "rest_share", "share", "peak_bytes")})
            figures["ours"] = middle
        else:
            kind = program.split(",")[0]
            figures[kind] = min(middle, figures.get(kind, math.inf))
        rows.add(row)
    for program, reason in why.items():
        rows.add({**common, "program": program, "missing": reason})
    peers = [figures[kind] for kind in given.variants if kind in figures]
    figures["ratio"] = min(peers) / figures["ours"] if peers and "ours" in figures else None
    return figures


def print_table(lines, given):
    def number(value):
        return f"{value:12.1f}" if value else f"{'-':>12}"

    sizes = (given.length, given.batch, given.width)
    print(f"\nN = {given.length}, batch {given.batch}, width {given.width}, {given.layers} layers, {given.threads} threads; "
          "ms for a step")
    print(f"{'model':<18} {'Weft':>12} {'eager':>12} {'compiled':>12} {'ratio':>7}")
    for line in lines:
        ratio, recurrent = line["ratio"], line["model"] in RECURRENT
        asked = sizes == (1024, 8, 128) if recurrent else (*sizes, given.layers) == (4096, 4, 256, 4)
        target = TARGETS.get(line["model"], TARGET)
        words = [f"target {target:g} {'reached' if ratio >= target else 'missed'}"] if ratio and asked else []
        words += [f"{program}: {reason}" for program, reason in line["why"].items()]
        print(f"{line['model']:<18} {number(line.get('ours'))} {number(line.get('eager'))} {number(line.get('compiled'))} "
              f"{f'{ratio:7.2f}' if ratio else '      -'}  {'; '.join(words)}".rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=[*MODULES, *RECURRENT], default=list(MODULES),
                        help="default: those of the arena, without " + " and ".join(RECURRENT))
    parser.add_argument("--length", type=int, default=4096, help="a power of two, at least 256")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256, help="a multiple of 32")
    parser.add_argument("--out", metavar="FILE")
    turns.add_arguments(parser, "--repeats", 3, 1800, "for one program of one model")
    given = parser.parse_args()
    turns.check_program(parser, given)
    if given.length < 256 or given.length & (given.length - 1):
        parser.error(f"--length: got {given.length}, expected a power of two, at least 256: peers want whole blocks")
    if given.width < 32 or given.width % 32:
        parser.error(f"--width: got {given.width}, expected a multiple of 32, at least 32")
    if min(given.batch, given.layers, given.repeats, given.steps, given.threads) < 1 or not given.limit > 0:
        parser.error("--batch, --layers, --repeats, --steps and --threads: expected at least 1 of each; --limit: more than 0")
    version = turns.version_of(peer_version, given, __file__, *ASKED_FOR)
    if version is None:
        return 77
    print(f"PyTorch {version}", flush=True)
    rows = Rows(given.out)
    print_table([compare(model, given, rows) for model in given.models], given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
