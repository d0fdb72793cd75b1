#!/usr/bin/python3
"""How a step's time grows with ranks: predicted from one rank, compared with what was measured, and for large machines.

  weft bench INPUT.toml --json one.json;  mpirun -n 2 weft bench INPUT.toml --json two.json
  scaling_model.py one.json [two.json ...] [--cores 2]       or: scaling_model.py RUN/metrics.h5 --micro-batches 8
  scaling_model.py --devices-only

The model. A step on R ranks: the slots (micro-batches) of the rank that has most, one after the other; the gradient sum;
the update of the weights, which every rank does for itself.
  seconds(R) = ceil(S / R) * slot * crowd + exposed(R) + update * crowd
  slot       one micro-batch forward and backward: (seconds(1) - update) / S
  update     passes over the weights, bound by memory: norm 4, optimiser 28, storage copy 6 bytes per weight
  crowd      ranks beyond the cores share them: max(1, R * threads / cores)
  sum(R)     alpha-beta: 2 (R - 1) / R of the gradient's bytes over the link, and messages at alpha. In rounds of pairs, which
             Weft takes where R is a power of two from 4 on, 2 log2 R messages per bucket; else directly, every rank gets its
             piece of each bucket from every other and sends the sum back: 2 (R - 1) messages
  exposed(R) what the backward pass of the last slot (two thirds of it) does not hide, one bucket at least
On one host the link is memory: a byte is written once and read once, so half the copy bandwidth, shared by the ranks.
Assumed: equal ranks; no jitter; computing does not slow down because the link works beside it.

For large machines the compute is the operations of the model over --reached of the device's published peak, and ranks grow
with the batch (one sequence of 12,288 tokens per device: the paper's batch of 16 has no more than 16 slots). Ranks are taken
to be numbered host by host: then the first rounds of pairs stay in the host, and what is left for the network is one
part in as many as the host has devices. `direct` is what the other scheme would take there.
"""
import argparse
import json
import math
import sys

GRADIENT_BYTES, UPDATE_BYTES = 4, 38  # per weight
BUCKET = 4 * 2**20  # parallel.bucket_mib
MEMORY_ALPHA = 2e-6  # seconds per message between processes of a host; Open MPI over shared memory takes 0.5 to 3 us

# Published, per device. Peak: dense bf16. Links: one direction.
DEVICE = {
    "name": "H100 SXM",
    "peak": 989e12,         # NVIDIA H100 Tensor Core GPU data sheet: 1,979 TFLOP/s bf16 with sparsity, half without
    "memory": 3.35e12,      # the same: 3.35 TB/s
    "host_link": 450e9,     # the same: NVLink 900 GB/s, both directions together
    "net_link": 50e9,       # NVIDIA DGX H100 data sheet: eight ConnectX-7 ports of 400 Gb/s for eight devices
    "per_host": 8,
    "host_alpha": 5e-6,     # assumed, not published: a message between devices of a host, launch included
    "net_alpha": 10e-6,     # assumed, not published: between hosts
}
# The enwik8 model (Child et al. 2019, section 6.1; inputs/enwik8/fixed.toml).
ENWIK8 = dict(layers=30, width=512, context=12288, stride=128, summary=32, vocabulary=256)


class ModelError(Exception):
    """A file that cannot be used; the message says what to do."""


def direct_sum(ranks, gradient_bytes, alpha, bandwidth, bucket=BUCKET):
    """Seconds of Weft's gradient sum where every rank sends to every other."""
    if ranks == 1:
        return 0.0
    buckets = math.ceil(gradient_bytes / bucket)
    return buckets * 2 * (ranks - 1) * alpha + 2 * (ranks - 1) / ranks * gradient_bytes / bandwidth


def pair_sum(ranks, gradient_bytes, link_of, bucket=BUCKET):
    """Seconds of Weft's gradient sum in rounds of pairs. link_of(distance): (alpha, bandwidth) to the rank so far away."""
    buckets = math.ceil(gradient_bytes / bucket)
    seconds, distance = 0.0, 1
    while distance < ranks:  # out, and back with copies for sums
        alpha, bandwidth = link_of(distance)
        seconds += 2 * (buckets * alpha + gradient_bytes / (2 * distance) / bandwidth)
        distance *= 2
    return seconds


def in_pairs(ranks):
    """Whether Weft sums in pairs; also the slots must be a power of two per rank, as here."""
    return ranks >= 4 and ranks & (ranks - 1) == 0


def exposed(total, slot, gradient_bytes, bucket=BUCKET):
    """What of the sum the last slot's backward pass does not hide: its last bucket at least."""
    last = total * min(1.0, bucket / gradient_bytes)
    return max(last, total - 2 / 3 * slot)


def predict(one, ranks, cores):
    """Seconds per step on `ranks` ranks of one host, from the figures of one rank."""
    crowd = max(1.0, ranks * one["threads"] / cores)
    slots = one["slots"]
    if ranks > slots:
        raise ModelError(f"{ranks} ranks, but the run has only {slots} micro-batches; raise training.batch")
    update = min(one["parameters"] * UPDATE_BYTES / one["copy"], 0.5 * one["seconds"])
    slot = (one["seconds"] - update) / slots
    gradient = GRADIENT_BYTES * one["parameters"]
    link = (MEMORY_ALPHA, one["copy"] / 2 / ranks)
    total = pair_sum(ranks, gradient, lambda _: link) if in_pairs(ranks) else direct_sum(ranks, gradient, *link)
    hidden = exposed(total, slot * crowd, gradient) if ranks > 1 else 0.0
    return math.ceil(slots / ranks) * slot * crowd + hidden + update * crowd


def from_json(path):
    try:
        with open(path, encoding="utf-8") as f:
            bench = json.load(f)
        step, machine = bench["steps"][0], bench["machine"]
        return {"name": path, "ranks": step["ranks"], "threads": step["threads"], "seconds": step["seconds"],
                "parameters": step["parameters"], "slots": step["batch"] // step["micro_batch"],
                "copy": machine["copy_bandwidth"], "batch": step["batch"], "N": step["N"],
                "kind": (step["width"], step["layers"], step["N"], step["batch"], step["micro_batch"], step["precision"])}
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; make it with weft bench INPUT.toml --json {path}") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelError(f"{path}: expected what weft bench INPUT.toml --json writes ({type(error).__name__}: {error})"
                         ) from error


def from_metrics(path, slots, copy):
    """The median step of a run of one rank."""
    import h5py
    import numpy as np
    try:
        with h5py.File(path, "r") as f:
            seconds, parameters = f["steps/seconds"][1:], int(f.attrs["parameters"])
    except (OSError, KeyError) as error:
        raise ModelError(f"{path}: expected metrics.h5 of a run ({error})") from error
    if not len(seconds):
        raise ModelError(f"{path}: got fewer than two steps, expected more")
    return {"name": path, "ranks": 1, "threads": 1, "seconds": float(np.median(seconds)), "parameters": parameters,
            "slots": slots, "copy": copy, "kind": None}


def enwik8_work():
    """Parameters, and operations of one sequence forward and backward with attention recomputed (model.recompute)."""
    m = ENWIK8
    d, n = m["width"], m["context"]
    matrices = m["layers"] * 12 * d * d
    parameters = matrices + 2 * m["vocabulary"] * d + (n // m["stride"] + m["stride"] + 1) * d + (m["layers"] * 13 + 2) * d
    # Keys of the average query: half its block, and the summary columns of half of all blocks.
    keys = m["stride"] / 2 + m["summary"] * n / m["stride"] / 2
    attention = m["layers"] * 4 * d * keys
    again = m["layers"] * 2 * 3 * d * d + attention
    per_token = 3 * 2 * (matrices + d * m["vocabulary"]) + 3.5 * attention + again
    return parameters, per_token * n


def large_machines(reached, counts=(8, 64, 4096)):
    """(devices, seconds per step in pairs, the same sent directly, efficiency of both) per count."""
    parameters, operations = enwik8_work()
    slot = operations / (reached * DEVICE["peak"])
    update = parameters * UPDATE_BYTES / DEVICE["memory"]
    gradient = GRADIENT_BYTES * parameters
    links = ((DEVICE["host_alpha"], DEVICE["host_link"]), (DEVICE["net_alpha"], DEVICE["net_link"]))

    def link_of(distance):
        return links[distance >= DEVICE["per_host"]]

    rows = []
    for devices in counts:
        sums = pair_sum(devices, gradient, link_of), direct_sum(devices, gradient, *link_of(devices - 1))
        pairs, direct = (slot + update + exposed(total, slot, gradient) for total in sums)
        rows.append((devices, pairs, direct, (slot + update) / pairs, (slot + update) / direct))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="JSON|metrics.h5", help="one of one rank; the others are compared")
    parser.add_argument("--cores", type=int, help="of this host (default: the threads of the largest run measured, or 2)")
    parser.add_argument("--micro-batches", type=int, default=1, help="of a step, with metrics.h5")
    parser.add_argument("--copy", type=float, default=20e9, help="bytes per second, with metrics.h5")
    parser.add_argument("--reached", type=float, default=0.35, help="share of a device's peak in the large machines' table")
    parser.add_argument("--devices-only", action="store_true")
    given = parser.parse_args()
    try:
        runs = [from_metrics(f, given.micro_batches, given.copy) if f.endswith(".h5") else from_json(f)
                for f in given.files]
        if not given.devices_only:
            first = [r for r in runs if r["ranks"] == 1]
            if len(first) != 1:
                raise ModelError(f"got {len(first)} files of one rank, expected one: the prediction starts from it")
            one, cores = first[0], given.cores or 2
            print(f"{one['name']}: one rank, {one['seconds']:.4f} s per step, {one['slots']} micro-batches; {cores} cores")
            print(f"{'ranks':>6} {'predicted':>11} {'measured':>11} {'error':>8}")
            measured = {}
            for run in runs:
                if run["kind"] != one["kind"] or run["threads"] != one["threads"]:
                    raise ModelError(f"{run['name']} is of another model, batch or number of threads than {one['name']}")
                measured[run["ranks"]] = run["seconds"]
            for ranks in sorted({2, 4} | set(measured)):
                if ranks > one["slots"] and ranks not in measured:
                    continue
                seconds = predict(one, ranks, cores)
                known = measured.get(ranks)
                tail = f"{known:10.4f}s {100 * (seconds / known - 1):+7.1f}%" if known else f"{'-':>11} {'-':>8}"
                print(f"{ranks:>6} {seconds:10.4f}s {tail}")
    except ModelError as error:
        sys.exit(str(error))
    parameters, operations = enwik8_work()
    print(f"\nenwik8 model: {parameters / 1e6:.1f} M parameters, {operations / 1e12:.1f} T operations per sequence; "
          f"{DEVICE['name']}, {100 * given.reached:.0f} % of {DEVICE['peak'] / 1e12:.0f} TFLOP/s assumed, one sequence per "
          "device and step")
    print(f"{'devices':>8} {'in pairs':>11} {'efficiency':>11} {'tokens/s':>11} {'direct':>11} {'efficiency':>11}")
    for devices, pairs, direct, share, direct_share in large_machines(given.reached):
        print(f"{devices:>8} {pairs:10.4f}s {100 * share:10.1f}% {devices * ENWIK8['context'] / pairs:11.3g} "
              f"{direct:10.4f}s {100 * direct_share:10.1f}%")


if __name__ == "__main__":
    main()
