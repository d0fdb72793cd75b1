#!/usr/bin/python3
"""MEGA's moving average as a scan (Weft) and as a convolution by FFT (Hugging Face's module in PyTorch), in turns.

  average_bench.py --weft build/cpu/weft [--lengths 1024 4096 16384] [--threads T] [--install DIR]

One sequence of width 256, 16 averages per channel and direction, fp32, forward and backward. The FFT's time holds the
making of its kernel, as a training step does. Prints a line for each length; exit status 77 (skipped) without PyTorch.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import turns
from torch_bench import peer_version

D = 256


def scan(weft, length, threads):
    """Milliseconds of both passes."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "bench.json")
        subprocess.run([weft, "bench", "--only", "operations", "--lengths", str(length), "--json", out], check=True,
                       capture_output=True, env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
        with open(out, encoding="utf-8") as f:
            figures = json.load(f)["figures"]
    both = [f["seconds"] for f in figures if f["operation"].startswith("average") and f["precision"] == "fp32"
            and f["N"] == length and f["what"].endswith("directions")]
    assert len(both) == 2, both
    return 1000 * sum(both)


def convolution(length, threads, turns_of=5):
    import mega_peer
    import torch
    torch.set_num_threads(threads)
    modeling = mega_peer.mega()
    module = modeling.MegaMultiDimensionDampedEma(
        modeling.MegaConfig(hidden_size=D, ema_projection_size=16, bidirectional=True, truncation=None))
    for p in module.parameters():
        torch.nn.init.normal_(p, 0, 0.2)
    x = torch.randn(length, 1, D, requires_grad=True)
    seconds = []
    for _ in range(turns_of + 1):
        begin = time.monotonic()
        module(x)[0].sum().backward()
        seconds.append(time.monotonic() - begin)
    return 1000 * statistics.median(seconds[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weft", default=os.environ.get("WEFT", "build/cpu/weft"))
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--install", metavar="DIR")
    given = parser.parse_args()
    turns.check_program(parser, given)
    version = turns.version_of(peer_version, given, __file__)
    if version is None:
        return 77
    print(f"PyTorch {version}, {given.threads} threads; ms for both passes\n{'N':>8} {'scan':>10} {'FFT':>10} {'ratio':>7}")
    for length in given.lengths:
        pairs = [(scan(given.weft, length, given.threads), convolution(length, given.threads)) for _ in range(3)]
        ours, theirs = (statistics.median(one) for one in zip(*pairs))
        print(f"{length:>8} {ours:10.2f} {theirs:10.2f} {theirs / ours:7.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
