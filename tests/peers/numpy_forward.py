#!/usr/bin/python3
"""One page of NumPy, written from docs/checkpoint.md alone: loads a checkpoint and recomputes the logits.

  numpy_forward.py CHECKPOINT.h5 LOGITS.h5 [--limit 1e-4]

LOGITS.h5 is what `weft eval CHECKPOINT --logits LOGITS.h5` wrote: tokens (B, N) and logits (B, N, V). Exit status 0 if
every logit agrees within the limit (largest absolute difference), 1 if not. Computes in fp64.
"""
import argparse
import sys
import tomllib

import h5py
import numpy as np

PAIRS = {"strided": ("local", "strided"), "fixed": ("block", "summary")}


def key_set(name, config, head):
    """(N, N) booleans: may slot i (row) see slot s (column)?"""
    n, a = config["model"]["context"], config["attention"]
    l, c = a["stride"], a["summary"]
    i, s = np.arange(n)[:, None], np.arange(n)[None, :]
    if name == "merged":
        names = PAIRS.get(a["pattern"], (a["pattern"],))
        return np.any([key_set(each, config, head) for each in names], axis=0)
    if name == "summary":
        group = 0 if a["shared_summary"] else head % (l // c)
        allowed = (s % l >= l - (group + 1) * c) & (s % l < l - group * c)
    else:
        allowed = {
            "dense": s >= 0,
            "local": s > i - l,
            "strided": (i - s) % l == 0,
            "block": s // l == i // l,
        }[name]
    return allowed & (s <= i)


def set_name(config, block, head):
    combination = config["attention"]["combination"]
    combination = [combination] if isinstance(combination, str) else combination
    entry = combination[block % len(combination)]
    if entry in ("interleaved", "heads"):
        return PAIRS[config["attention"]["pattern"]][(block if entry == "interleaved" else head) % 2]
    return entry


def norm(x, gain, bias, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return gain * centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) + bias


def attention(x, p, config, block):
    heads, width = config["model"]["heads"], config["model"]["width"]
    inner = width // 2 if config["model"]["half_size"] else width
    y = x @ p["attention.qkv.weight"] + p["attention.qkv.bias"]
    q, k, v = (np.split(part, heads, axis=-1) for part in np.split(y, [inner, 2 * inner], axis=-1))
    outputs = []
    for head in range(heads):
        allowed = key_set(set_name(config, block, head), config, head)
        scores = np.where(allowed, q[head] @ k[head].swapaxes(-1, -2) / np.sqrt(inner // heads), -np.inf)
        largest = scores.max(-1, keepdims=True)
        weights = np.exp(scores - np.where(np.isneginf(largest), 0, largest))  # an empty row stays all zeros
        total = weights.sum(-1, keepdims=True)
        outputs.append(weights / np.where(total == 0, 1, total) @ v[head])
    return np.concatenate(outputs, -1) @ p["attention.out.weight"] + p["attention.out.bias"]


def feedforward(x, p):
    u = x @ p["feedforward.in.weight"] + p["feedforward.in.bias"]
    return u / (1 + np.exp(-1.702 * u)) @ p["feedforward.out.weight"] + p["feedforward.out.bias"]


def embedding(tokens, p, config):
    m = config["model"]
    l = config["attention"]["stride"]
    shape = m["position_shape"] or [-(-m["context"] // l), l]
    places = np.arange(m["context"] - 1)
    position = sum(p[f"embedding.position.{c}"][k] for c, k in enumerate(np.unravel_index(places, shape)))
    start = np.broadcast_to(p["embedding.start"], (len(tokens), 1, m["width"]))
    return np.concatenate([start, p["embedding.token"][tokens[:, :-1]] + position], axis=1)


def logits(tokens, p, config):
    layers = config["model"]["layers"]
    digits = max(2, len(str(layers - 1)))
    h = embedding(tokens, p, config)
    for block in range(layers):
        prefix = f"block.{block:0{digits}d}."
        b = {name[len(prefix) :]: values for name, values in p.items() if name.startswith(prefix)}
        h = h + attention(norm(h, b["norm1.gain"], b["norm1.bias"], 1e-5), b, config, block)
        h = h + feedforward(norm(h, b["norm2.gain"], b["norm2.bias"], 1e-5), b)
    return norm(h, p["norm.gain"], p["norm.bias"], 1e-6) @ p["output.weight"]


def load(path):
    """The parameters by name, in fp64, and the resolved input file."""
    with h5py.File(path) as f:
        config = f.attrs["config"]
        config = tomllib.loads(config.decode() if isinstance(config, bytes) else config)
        return {name: array[...].astype(np.float64) for name, array in f["parameters"].items()}, config


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("checkpoint")
    arguments.add_argument("logits")
    arguments.add_argument("--limit", type=float, default=1e-4)
    given = arguments.parse_args()
    parameters, config = load(given.checkpoint)
    with h5py.File(given.logits) as f:
        tokens, theirs = f["tokens"][...].astype(np.int64), f["logits"][...].astype(np.float64)
    worst = 0.0
    for row in range(len(tokens)):
        ours = logits(tokens[row : row + 1], parameters, config)[0]
        worst = np.maximum(worst, np.abs(ours - theirs[row]).max())  # keeps a NaN
    good = len(tokens) > 0 and worst <= given.limit  # a NaN is not <= anything
    print(f"{tokens.size} slots, largest logit {np.abs(theirs).max():.4g}, largest difference {worst:.3g}, "
          f"limit {given.limit:g}: {'agrees' if good else 'DIFFERS'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
