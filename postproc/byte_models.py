"""Naive floors: what a held-out byte costs without any learning worth the name. Bits per byte, in NumPy.

uniform        8 bits: every byte equally likely
gzip -9, xz -9e  the test bytes compressed alone
marginal       order 0: train counts of single bytes, one added to every count
order 5        interpolated n-gram model, Witten-Bell: with context c of k bytes, n(c) train occurrences, t(c) distinct
               followers,  p_k(x|c) = (n(c,x) + t(c) p_{k-1}(x|c')) / (n(c) + t(c)),  c' without its oldest byte, p_{-1}
               = 1/256; a context never seen hands down p_{k-1}. Contexts are 64-bit words of the bytes themselves, so
               that no two share a count.
"""
import json
import os

import numpy as np

from runs import compressed_bits

TRAIN_BYTES = 4_000_000  # the n-gram counts come from the first so many train bytes
TEST_BYTES = 500_000  # and score the first so many test bytes


def contexts(data, order):
    """For every position i >= order the `order` bytes before it, as one integer."""
    data = np.asarray(data, dtype=np.uint64)
    key = np.zeros(max(0, len(data) - order), dtype=np.uint64)
    for back in range(order):
        key = (key << np.uint64(8)) | data[back:len(data) - order + back]
    return key


class ByteModel:
    """Counts of train bytes up to an order; 0 <= order <= 7. Probabilities are those of the formula above."""

    def __init__(self, train, order=5):
        if not 0 <= order <= 7:
            raise ValueError(f"order {order}: expected 0 to 7, a context and its byte being one 64-bit word")
        train = np.frombuffer(train, dtype=np.uint8) if isinstance(train, bytes) else np.asarray(train, dtype=np.uint8)
        self.order, self.levels = order, []
        for k in range(order + 1):
            key = contexts(train, k)
            joint, count = np.unique((key << np.uint64(8)) | train[k:].astype(np.uint64), return_counts=True)
            context, first = np.unique(joint >> np.uint64(8), return_index=True)
            total = np.add.reduceat(count, first) if len(count) else count
            kinds = np.diff(np.append(first, len(joint)))
            self.levels.append((joint, count, context, total, kinds))

    @staticmethod
    def _find(table, values, keys):
        """values where table == keys, 0 elsewhere; table is sorted."""
        if not len(table):
            return np.zeros(len(keys))
        at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
        return np.where(table[at] == keys, values[at], 0).astype(float)

    def probabilities(self, data):
        """p(data[i] | the bytes before it), every i; the first positions have shorter contexts."""
        data = np.frombuffer(data, dtype=np.uint8) if isinstance(data, bytes) else np.asarray(data, dtype=np.uint8)
        p = np.full(len(data), 1 / 256)
        for k, (joint, count, context, total, kinds) in enumerate(self.levels):
            key = contexts(data, k)
            n = self._find(context, total, key)
            t = self._find(context, kinds, key)
            hit = self._find(joint, count, (key << np.uint64(8)) | data[k:].astype(np.uint64))
            p[k:] = np.where(n > 0, (hit + t * p[k:]) / np.maximum(n + t, 1), p[k:])
        return p

    def bits(self, data):
        return float(-np.log2(self.probabilities(data)).mean())


def marginal_bits(train, test):
    """Order 0: cross-entropy of the test bytes under (train count + 1) / (train bytes + 256)."""
    counts = np.bincount(np.frombuffer(train, np.uint8), minlength=256) + 1.0
    seen = np.bincount(np.frombuffer(test, np.uint8), minlength=256)
    return float(-(seen @ np.log2(counts / counts.sum())) / seen.sum())


def floors(train, test):
    """All floors in bits per byte, with how many bytes each was trained and scored on."""
    packed = compressed_bits(test)
    model = ByteModel(train[:TRAIN_BYTES])
    return {"uniform": 8.0, "gzip -9": packed["gzip -9"], "xz -9e": packed["xz -9e"],
            "marginal": marginal_bits(train, test), "order 5": model.bits(test[:TEST_BYTES]),
            "order 5 train bytes": min(len(train), TRAIN_BYTES), "order 5 test bytes": min(len(test), TEST_BYTES),
            "train bytes": len(train), "test bytes": len(test)}


def kept_floors(path, key, make):
    """floors.json of an output folder: the entry `key`, made by make() where it is not yet there."""
    kept = {}
    if os.path.isfile(path):
        try:
            with open(path, encoding="utf-8") as f:
                kept = json.load(f)
        except ValueError:
            kept = {}  # not ours or cut off: made anew
    if key not in kept:
        kept[key] = make()
        with open(path + ".partial", "w", encoding="utf-8") as f:
            json.dump(kept, f, indent=1, sort_keys=True)
        os.replace(path + ".partial", path)
    return kept[key]
