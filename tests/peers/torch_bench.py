#!/usr/bin/python3
"""Whole training steps of the same model in PyTorch and in Weft, in turns, on this machine: how much faster is Weft?

  torch_bench.py --weft build/cpu/weft [--cases NAME...] [--quick] [--rounds 2] [--threads T] [--install DIR]
                 [--precisions fp32 bf16] [--variants eager compiled] [--limit SECONDS] [--json FILE]

All five cases in both precisions, eager and compiled, unless told otherwise, and at the end a table of the ratios
beside their targets. PyTorch gets what its user would write: scaled_dot_product_attention with the pattern as a
boolean mask of N x N (the same for every head; Weft runs attention.shared_summary = true, the same pattern), bf16 by
autocast or plain fp32, eager and through torch.compile, AdamW (fused where it can be), clipping; for dense attention
is_causal instead of a mask. Weft runs `weft bench INPUT`. Both take random tokens, no dropout, and the median of
steps after one to warm up. The ratio is of the best PyTorch variant to Weft.

--limit is for one PyTorch variant (or Weft) of one case in one precision, its start, its compiling and all its turns
together: it is ended then, what it has measured so far counts, and the others go on.

Uses the PyTorch that can be imported; --install DIR makes a virtual environment in DIR with PyTorch from PyPI
(several GB) and runs with that. A PyTorch without scaled_dot_product_attention (before 2.0) runs the same masked
softmax written out, which is said in the output. Exit status 77 (skipped) without PyTorch.
"""
import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile

import turns

# Sizes as in the input file; target: Weft's tokens per second over the best of PyTorch.
CASES = {
    "fixed_4096": dict(layers=6, width=512, heads=8, context=4096, batch=1, pattern="fixed", target=5.0),
    "fixed_12288": dict(layers=2, width=512, heads=8, context=12288, batch=1, pattern="fixed", target=8.0),
    "fixed_1024": dict(layers=6, width=256, heads=8, context=1024, batch=8, pattern="fixed", target=3.0),
    "dense_512": dict(layers=6, width=512, heads=8, context=512, batch=8, pattern="dense", target=1.8),
    # The size of inputs/cifar10/strided_small.toml, with both sets of the pattern in every layer.
    "cifar10": dict(layers=8, width=96, heads=3, context=3072, batch=1, pattern="strided", half_size=True,
                    stride=96, position_shape=[32, 32, 3], target=5.0),
}
QUICK = dict(layers=2, width=64, heads=2, context=256, batch=2)
SUMMARY = "summary = 32\nshared_summary = true\n"  # read by fixed alone
INPUT = """[run]
precision = "{precision}"
[data]
path = "none"
[model]
layers = {layers}
width = {width}
heads = {heads}
context = {context}
dropout = 0.0
half_size = {half}
recompute = "none"
position_shape = {shape}
[attention]
pattern = "{pattern}"
stride = {stride}
{summary}[optimizer]
weight_decay = 0.01
[training]
steps = 10
batch = {batch}
micro_batch = {batch}
"""


def case_of(name, quick):
    case = {"stride": 128, "half_size": False, "position_shape": [], **CASES[name]}
    if quick:
        case.update(QUICK)
        case["position_shape"] = []
        case["stride"] = 64
    return case


def compare(case, precision, given):
    """({program: seconds per step, a list over the turns}, {program: why it has none, or not all}), taken in turns."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "input.toml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(INPUT.format(precision=precision, half=str(case["half_size"]).lower(),
                                 summary=SUMMARY if case["pattern"] == "fixed" else "", shape=json.dumps(case["position_shape"]),
                                 **{k: case[k] for k in ("layers", "width", "heads", "context", "pattern", "stride", "batch")}))
        starts = [lambda: turns.Weft(given.weft, path, (), given.threads, given.limit)]
        for variant in given.variants:
            asked = {"case": case, "precision": precision, "variant": variant}
            starts.append(lambda v=variant, a=asked: turns.Torch(f"torch {v}", "torch_peer.py", a, given.threads, given.limit))
        return turns.in_turns(starts, given.rounds, given.steps, given.limit)


def peer_version():
    """What the PyTorch of this Python is, or None."""
    if importlib.util.find_spec("torch") is None:
        return None
    code = ("import torch; print(torch.__version__, 'scaled_dot_product_attention' if "
            "hasattr(torch.nn.functional, 'scaled_dot_product_attention') else 'masked softmax written out')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def report_case(name, case, precision, given):
    """Prints a case's rows as they come; returns its record."""
    seconds, why = compare(case, precision, given)
    ours = statistics.median(seconds["weft"]) if "weft" in seconds else None
    for program, measured in seconds.items():
        middle = statistics.median(measured)
        ratio = f"{middle / ours:8.2f}x" if ours and program != "weft" else ""
        print(f"{name:<12} {precision:<7} {program:<16} {middle:9.3f} {min(measured):9.3f} {max(measured):9.3f} "
              f"{case['batch'] * case['context'] / middle:9.0f} {ratio:>9}", flush=True)
    for program, reason in why.items():
        print(f"{name:<12} {precision:<7} {program:<16} {reason}", flush=True)
    peers = {program: statistics.median(s) for program, s in seconds.items() if program != "weft"}
    best = min(peers, key=peers.get) if peers else None
    return {"case": name, "precision": precision, "quick": given.quick, "threads": given.threads, "seconds": seconds,
            "missing": why, "best": best, "ratio": peers[best] / ours if best and ours else None, "target": case["target"]}


def verdict(record):
    """The record's line in the table at the end."""
    ratio = f"{record['ratio']:8.2f}x" if record["ratio"] else "-"
    words = record["best"] or "no PyTorch figure"
    if record["ratio"] and not record["quick"]:  # a tiny model says nothing of the targets
        words = f"{'reached' if record['ratio'] >= record['target'] else 'missed':<8} best: {record['best']}"
    return f"{record['case']:<12} {record['precision']:<7} {ratio:>9} {record['target']:7g}x  {words}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    parser.add_argument("--quick", action="store_true", help="a tiny model in place of each case's: does it all run?")
    parser.add_argument("--precisions", nargs="+", choices=("bf16", "fp32"), default=["fp32", "bf16"])
    parser.add_argument("--json", metavar="FILE")
    turns.add_arguments(parser, "--rounds", 2, 600, "for one program of one case in one precision (default: 600)")
    given = parser.parse_args()
    turns.check_program(parser, given)
    if given.rounds < 1 or given.steps < 1 or given.threads < 1 or not given.limit > 0:
        parser.error("--rounds, --steps and --threads: expected at least 1 of each; --limit: expected more than 0")
    version = turns.version_of(peer_version, given, __file__)
    if version is None:
        return 77
    print(f"PyTorch {version}; {given.threads} threads, {given.rounds} turns, at most {given.limit:g} s for each program")
    print(f"{'case':<12} {'storage':<7} {'program':<16} {'s/step':>9} {'min':>9} {'max':>9} {'tokens/s':>9} {'Weft is':>9}",
          flush=True)
    records = [{"torch": version, **report_case(name, case_of(name, given.quick), precision, given)}
               for name in given.cases for precision in given.precisions]
    print(f"\n{'case':<12} {'storage':<7} {'Weft is':>9} {'target':>8}  tokens per second over the best PyTorch")
    print("\n".join(verdict(record) for record in records))
    if given.json:
        with open(given.json + ".partial", "w", encoding="utf-8") as f:
            json.dump(records, f, indent=1)
        os.replace(given.json + ".partial", given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
