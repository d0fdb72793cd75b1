"""Naive Bayes and cosines on n-grams of tokens (floors_arena.py says what they are)."""
import numpy as np

from floors_shares import share
from runs import RunError

BLOCK = 1 << 22  # n-grams worked on at a time


def gram_blocks(tokens, length, n, vocabulary):
    """Pieces of the sorted n-grams of rows: first row, row of each gram, gram, how often it occurs in the row."""
    bits = np.uint64(max(1, int(vocabulary - 1).bit_length()))
    if int(bits) * n > 63:
        raise RunError(f"n-grams of {n} tokens below {vocabulary} do not fit into 63 bits")
    nothing = np.uint64(2**64 - 1)
    columns = max(1, tokens.shape[1] - n + 1)
    for a in range(0, len(tokens), max(1, BLOCK // columns)):
        piece = tokens[a:a + max(1, BLOCK // columns)].astype(np.uint64)
        keys = np.zeros((len(piece), columns), np.uint64)
        for j in range(n):
            keys = (keys << bits) | piece[:, j:j + columns]
        keys[np.arange(columns)[None, :] + n > length[a:a + len(piece), None]] = nothing
        keys.sort(axis=1)
        first = np.ones(keys.shape, bool)
        first[:, 1:] = keys[:, 1:] != keys[:, :-1]
        row, column = np.nonzero(first)
        following = np.append(np.where(row[1:] == row[:-1], column[1:], columns), columns)[:len(row)]
        grams, often = keys[row, column], following - column
        real = grams != nothing
        yield a, row[real], grams[real], often[real]


def summed(keys, values):
    """Sorted different keys with the sums of their values."""
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, int)
    return keys[first], np.add.reduceat(values, first) if len(first) else values


def places(table, keys):
    """Where each key is in the sorted table, and whether it is there."""
    if not len(table):
        return np.zeros(len(keys), int), np.zeros(len(keys), bool)
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return at, table[at] == keys


def class_counts(data, n, vocabulary, counted):
    """All n-grams of the texts and how often each class has them (classes, grams); counted: else once a text."""
    found = []
    for c in range(data.classes):
        mine, keys, counts = data.label == c, [np.zeros(0, np.uint64)], [np.zeros(0)]
        for _, _, grams, often in gram_blocks(data.tokens[mine], data.length[mine], n, vocabulary):
            a, b = summed(grams, often.astype(float) if counted else np.ones(len(grams)))
            keys.append(a)
            counts.append(b)
        found.append(summed(np.concatenate(keys), np.concatenate(counts)))
    table = np.unique(np.concatenate([keys for keys, _ in found]))
    counts = np.zeros((data.classes, len(table)))
    for c, (keys, values) in enumerate(found):
        counts[c, np.searchsorted(table, keys)] = values
    return table, counts


def log_shares(counts):
    return np.log((counts + 1) / (counts + 1).sum(axis=1, keepdims=True))


def bayes(train, test, n, counted=False):
    vocabulary = int(max(train.tokens.max(), test.tokens.max())) + 1
    table, counts = class_counts(train, n, vocabulary, counted)
    weights = log_shares(counts)
    scores = np.tile(np.log(np.bincount(train.label, minlength=train.classes) + 1e-9), (len(test.label), 1))
    for a, row, grams, often in gram_blocks(test.tokens, test.length, n, vocabulary):
        at, known = places(table, grams)
        times = often[known] if counted else 1
        for c in range(train.classes):
            scores[a:, c] += np.bincount(row[known], times * weights[c, at[known]], minlength=len(scores) - a)
    return share(scores.argmax(axis=1), test.label)


def text(train, test):
    return {f"grams{n}": bayes(train, test, n, counted=n == 1) for n in (1, 2, 3, 5)}


def cosines(data, n, vocabulary, table, idf):
    """Of every pair; the two texts of a block are brought together by (row, gram)."""
    out = np.zeros(len(data.label))
    for one, two in zip(gram_blocks(data.tokens, data.length, n, vocabulary),
                        gram_blocks(data.tokens2, data.length2, n, vocabulary)):
        sides = []
        for a, row, grams, often in (one, two):
            at, known = places(table, grams)
            sides.append((row[known] * len(table) + at[known], row[known], often[known] * idf[at[known]]))
        (k1, r1, w1), (k2, r2, w2) = sides
        at, known = places(k1, k2)
        rows = int(max(r1.max(initial=-1), r2.max(initial=-1))) + 1
        dot = np.bincount(r2[known], w2[known] * w1[at[known]], minlength=rows)
        size = np.sqrt(np.bincount(r1, w1**2, minlength=rows) * np.bincount(r2, w2**2, minlength=rows))
        out[one[0]:one[0] + rows] = dot / np.maximum(size, 1e-30)
    return out


def threshold(score, label):
    """The threshold t for which "score > t means 1" is most often right."""
    order = np.argsort(score, kind="stable")
    score, label = score[order], label[order]
    right = np.concatenate([[0], np.cumsum(label == 0)]) + np.concatenate([np.cumsum((label == 1)[::-1])[::-1], [0]])
    edges = np.concatenate([[-np.inf], (score[1:] + score[:-1]) / 2, [np.inf]])
    possible = np.concatenate([[True], score[1:] > score[:-1], [True]])
    return float(edges[np.where(possible, right, -1).argmax()])


def pairs(train, test):
    vocabulary = int(max(t.max() for d in (train, test) for t in (d.tokens, d.tokens2))) + 1
    out = {}
    for n in (1, 3, 5):
        keys, counts = [], []
        for tokens, length in ((train.tokens, train.length), (train.tokens2, train.length2)):
            for _, _, grams, _ in gram_blocks(tokens, length, n, vocabulary):
                a, b = summed(grams, np.ones(len(grams)))
                keys.append(a)
                counts.append(b)
        table, documents = summed(np.concatenate(keys), np.concatenate(counts))
        idf = np.log(2 * len(train.label) / documents)
        t = threshold(cosines(train, n, vocabulary, table, idf), train.label)
        out[f"grams{n}"] = share(cosines(test, n, vocabulary, table, idf) > t, test.label)
    return out
