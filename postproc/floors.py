#!/usr/bin/python3
"""Naive floors: what needs no neural network, measured on the very bytes that a run was scored on.

  uniform       8 bits: every byte alike
  marginal      the byte distribution of the training split (order 0 of the model below)
  gzip, xz      general compressors on the test bytes alone
  order 5       an interpolated model of the next byte from the five before it, counted on the training split
  neighbour     images only: the distribution of the difference to the same channel of the pixel to the left

The order-5 model is Witten-Bell interpolation. With c(h, s) how often byte s followed the bytes h in training, n(h) its
sum over s and T(h) the number of different bytes that followed,
  p_k(s | h) = (c(h, s) + T(h) p_{k-1}(s | h without its first byte)) / (n(h) + T(h)),   p_{-1} = 1/256,
and p_k = p_{k-1} where h was never seen. Nothing is learnt from the test bytes. Bytes before the beginning of a split, or
of an example, count as 0. Counts are exact (sorted n-grams, no hashing).

Results are kept in a floors.json: with it a second call needs neither time nor the data set.

  floors.py DATA [--split test] [--rows N] [--train-rows N] [--json FILE]

prints those of a data set: of examples with classes what an accuracy is worth (floors_arena.py says how), else the bits
above. FILE gets what was printed, as {"accuracies": {"constant": 0.1716, ...}, ...} or as a floors.json has it.
"""
import argparse
import hashlib
import json
import os
import sys
import zlib

import h5py
import numpy as np

from floors_arena import TASKS, accuracies, describe
from runs import RunError, compressed_bits, held_out, shards
from tables import write

ORDER = 5
TRAIN_LIMIT = 100_000_000  # training bytes that are counted: all of enwik8 and most of CIFAR-10
BLOCK = 1 << 23            # bytes worked on at a time


def blocks(tokens, width=None, order=ORDER):
    """Pieces (rows, order + length) of the tokens, each position with the `order` tokens before it. width: length of an
    example; None: one stream."""
    size = BLOCK
    if width is None:
        for a in range(0, len(tokens), size):
            piece = tokens[max(0, a - order):a + size]
            yield np.pad(piece, (max(0, order - a), 0))[None, :]
    else:
        rows, step = tokens.reshape(-1, width), max(1, size // width)
        for a in range(0, len(rows), step):
            yield np.pad(rows[a:a + step], ((0, 0), (order, 0)))


def grams(piece, k, order=ORDER):
    """For every position the number made of its k + 1 bytes: the byte itself lowest, the one before it next, and so on."""
    length = piece.shape[1] - order
    keys = np.zeros((piece.shape[0], length), np.uint64)
    for j in range(k + 1):
        keys |= piece[:, order - j:order - j + length].astype(np.uint64) << np.uint64(8 * j)
    return keys.reshape(-1)


def places(table, keys):
    """Where each key is in the sorted table, and whether it is there."""
    if not len(table):
        return np.zeros(len(keys), int), np.zeros(len(keys), bool)
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return at, table[at] == keys


def merged(keys, counts):
    """Sorted different keys and the sums of their counts."""
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, int)
    return keys[first], np.add.reduceat(counts, first) if len(first) else counts


class Counts:
    """c, n and T of contexts of k bytes in the training tokens; with `wanted` (sorted) of these contexts only."""

    def __init__(self, tokens, k, width=None, wanted=None, order=ORDER):
        eight = np.uint64(8)
        keys, counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        for piece in blocks(tokens, width, order):
            new, how_often = np.unique(grams(piece, k, order), return_counts=True)
            if wanted is not None:
                _, known = places(wanted, new >> eight)
                new, how_often = new[known], how_often[known]
            keys, counts = merged(np.concatenate([keys, new]), np.concatenate([counts, how_often]))
        self.keys, self.counts = keys, counts
        above = keys >> eight
        first = np.flatnonzero(np.concatenate([[True], above[1:] != above[:-1]])) if len(keys) else np.zeros(0, int)
        self.contexts = above[first]
        self.totals = np.add.reduceat(counts, first) if len(first) else counts
        self.different = np.diff(np.append(first, len(keys)))

    def mix(self, p, keys):
        """p_k of the bytes in `keys` from their p_{k-1}."""
        at, known = places(self.keys, keys)
        c = np.where(known, self.counts[at] if len(self.counts) else 0, 0)
        at, known = places(self.contexts, keys >> np.uint64(8))
        if not len(self.contexts):
            return p
        n, different = self.totals[at], self.different[at]
        return np.where(known, (c + different * p) / (n + different), p)


def context_bits(train, test, width=None, order=ORDER):
    """Bits per byte of the test tokens under the models of order 0 to `order`, as a list."""
    p, bits = np.full(len(test), 1 / 256), []
    pieces = list(blocks(test, width, order))
    for k in range(order + 1):
        wanted = np.unique(np.concatenate([np.unique(grams(piece, k, order) >> np.uint64(8)) for piece in pieces]))
        counts, at = Counts(train, k, width, wanted, order), 0
        for piece in pieces:
            keys = grams(piece, k, order)
            p[at:at + len(keys)] = counts.mix(p[at:at + len(keys)], keys)
            at += len(keys)
        bits.append(float(-np.log2(p).mean()))
    return bits


def distribution(train, context, width=None, order=ORDER):
    """The model's 256 probabilities of the byte after `context`."""
    last = np.concatenate([np.zeros(order, np.uint8), np.asarray(context, np.uint8)])[len(context):]
    piece = np.concatenate([np.repeat(last[None, :], 256, 0), np.arange(256, dtype=np.uint8)[:, None]], 1)
    p = np.full(256, 1 / 256)
    for k in range(order + 1):
        p = Counts(train, k, width, None, order).mix(p, grams(piece, k, order))
    return p


def neighbour_bits(train, test, width):
    """Bits per byte of the test images by the difference (mod 256) to the byte three before, counted in training; what
    was never counted is taken as seen once."""
    def differences(tokens):
        rows = np.pad(tokens.reshape(-1, width), ((0, 0), (3, 0)))
        return np.bincount((rows[:, 3:] - rows[:, :-3]).reshape(-1), minlength=256)

    counted = differences(train) + 1.0
    hits = differences(test)
    return float(-(hits * np.log2(counted / counted.sum())).sum() / hits.sum())


def described(folder, split):
    """What is written on a split: its digest, its size in bytes, the width of its examples (None: a stream) and its task."""
    files, size, width, digest, task = shards(folder, split), 0, None, "", ""
    for path in files:
        with h5py.File(path, "r") as f:
            size += int(f["tokens"].size)
            width = int(f["tokens"].shape[1]) if f["tokens"].ndim == 2 else None
            digest, task = (f.attrs.get(key, "") for key in ("source_sha256", "task"))
    text = [v.decode() if isinstance(v, bytes) else str(v) for v in (digest, task)]
    if not text[0]:
        text[0] = "bytes-" + hashlib.sha256(held_out(folder, split)).hexdigest()
    return text[0], size, width, text[1]


def measure(folder, split, size, of, width, task):
    """All floors of the first `size` bytes of a split."""
    data = held_out(folder, split, size)
    train = np.frombuffer(held_out(folder, "train", TRAIN_LIMIT), np.uint8)
    if width:
        train = train[:len(train) // width * width]
    test = np.frombuffer(data, np.uint8)
    packed = compressed_bits(data)
    orders = context_bits(train, test, width)
    out = {"split": split, "bytes": size, "of_bytes": of, "train_bytes": len(train), "uniform": 8.0,
           "marginal": orders[0], "gzip": packed["gzip -9"], "xz": packed["xz -9e"], "order5": orders[-1],
           "by_order": orders}
    if width and width % 3 == 0 and task in ("cifar10", "images"):
        out["neighbour"] = neighbour_bits(train, test, width)
    return out


class Floors:
    """Floors by data set, split and number of bytes, kept in a file."""

    def __init__(self, path, most=1 << 26):
        self.path, self.most, self.known = path, most, {}
        if os.path.isfile(path):
            try:
                with open(path, encoding="utf-8") as f:
                    self.known = json.load(f)
            except ValueError as error:
                raise RunError(f"{path} cannot be read as JSON ({error}): remove it, it is made again") from error

    def of(self, folder, split="test", limit=None, digest=None):
        """Floors of the first `limit` bytes (None: all, at most `most`) of a split, or None where neither the data set nor
        an earlier result (by `digest`, the source_sha256 in a run's provenance) is at hand."""
        try:
            digest, of, width, task = described(folder, split)
        except RunError:
            return self.known.get(f"{digest}/{split}/{limit or 'all'}")
        key = f"{digest}/{split}/{limit or 'all'}"
        size = min(of, limit or of, self.most)
        if width and size >= width:
            size = size // width * width
        if self.known.get(key, {}).get("bytes") == size:
            return self.known[key]
        print(f"floors of {size:,} bytes of {folder} ({split}) ...", file=sys.stderr)
        try:
            self.known[key] = measure(folder, split, size, of, width, task)
        except RunError:
            return None  # no training split beside it
        write(self.path, json.dumps(self.known, indent=1, sort_keys=True) + "\n")
        return self.known[key]

    def accuracies(self, folder, split="test", digest=None, limit=None):
        """What floors_arena.accuracies finds for the first `limit` rows (None: all) of a split, or None where neither the data set nor an earlier result is at
        hand: without it the one of `digest`, if it is the only one."""
        try:
            digest, rows, length, symbols = labelled_shape(folder, split)
        except RunError:
            kept = [v for k, v in self.known.items() if k.startswith(f"{digest}/{split}/accuracies ")]
            return kept[0] if len(kept) == 1 else None
        key = f"{digest}/{split}/accuracies {min(rows, limit or rows)} of {rows} x {length}" + (f" in symbols {symbols}" if symbols else "")
        if key not in self.known:
            print(f"floors of {folder} ({split}) ...", file=sys.stderr)
            try:
                self.known[key] = accuracies(folder, split, limit)
            except RunError as error:
                print(f"no floors of {folder}: {error}", file=sys.stderr)
                return None
            write(self.path, json.dumps(self.known, indent=1, sort_keys=True) + "\n")
        return self.known[key]


def labelled_shape(folder, split):
    """Of a split of examples: source_sha256, rows, length and what its tokens mean (as a check sum), which tell one preparation of
    a source from another."""
    rows = length = 0
    symbols = ""
    for path in shards(folder, split):
        with h5py.File(path, "r") as f:
            if f["tokens"].ndim != 2:
                raise RunError(f"{path} holds a stream, expected examples")
            rows, length = rows + f["tokens"].shape[0], f["tokens"].shape[1]
            digest, symbols = f.attrs.get("source_sha256", "unknown"), f.attrs.get("symbols", "")
    symbols = symbols.encode() if isinstance(symbols, str) else bytes(symbols)
    symbols = f"{zlib.crc32(symbols):08x}" if symbols else ""
    return digest.decode() if isinstance(digest, bytes) else str(digest), rows, length, symbols


def has_classes(folder, split):
    """Whether a data set is there for its labels: those of cifar10 stand beside pictures that are to be made."""
    with h5py.File(shards(folder, split)[0], "r") as f:
        task = f.attrs.get("task", "")
        return "label" in f and ("classes" in f.attrs or (task.decode() if isinstance(task, bytes) else task) in TASKS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA", help="folder of shards")
    parser.add_argument("--split", default="test", choices=("train", "valid", "test"))
    parser.add_argument("--rows", type=int, metavar="N", help="the first N examples of the split only")
    parser.add_argument("--train-rows", type=int, metavar="N", help="counted on the first N training examples only")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    try:
        if has_classes(given.data, given.split):
            found = accuracies(given.data, given.split, given.rows, given.train_rows)
            print(describe(found))
        else:
            _, size, width, task = described(given.data, given.split)
            found = measure(given.data, given.split, min(size, 1 << 26), size, width, task)
            print("\n".join(f"{name:<10} {found[name]:.4f} bits per token" for name in
                            ("uniform", "marginal", "gzip", "xz", "order5", "neighbour") if name in found))
    except RunError as error:
        sys.exit(f"floors.py: {error}")
    if given.json:
        write(given.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
