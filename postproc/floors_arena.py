"""What an accuracy on a data set with labels is worth: what needs no neural network, counted on the training split.

  constant        the most frequent class
  ListOps         root_operator   the most frequent class behind each first symbol
                  levels1 .. 4    the expression without the lists nested deeper than k (nothing left: root_operator)
  text            grams1          naive Bayes on how often each byte occurs
                  grams2, 3, 5    naive Bayes on which byte n-grams occur
  pairs           grams1, 3, 5    the cosine of the two texts' n-gram counts times idf = ln(documents / documents with
                                  it), against the threshold that is best on the training split
  image           histogram       ridge on the square roots of the counts of 32 grey levels
                  nearest_mean    the class whose mean training picture is nearest
                  ridge           least squares on the pixels; penalty: 2 times the sum of a pixel's squares, on average
  pathfinder      lit             how many pixels are not black, against the threshold that is best on the training split
                  histogram       as above
Naive Bayes: class c with the greatest ln n(c) + sum over features f of x(f) ln ((m(f, c) + 1) / sum over f of (m + 1)), with
n and m counted in training. All are shares, not per cent. Ties go to the lower class.
"""
import h5py
import numpy as np

from floors_grams import pairs, text
from floors_listops import listops
from floors_shares import majority, share
from runs import RunError, shards

TASKS = {"imdb": "text", "text": "text", "aan": "pairs", "pairs": "pairs", "listops": "listops", "image": "image",
         "pathfinder": "pathfinder"}
ORDER = ("constant", "root_operator", "levels1", "levels2", "levels3", "levels4", "grams1", "grams2", "grams3", "grams5",
         "lit", "histogram", "nearest_mean", "ridge")  # of columns, and of what is printed
WORDS = {"root_operator": "root operator", **{f"levels{k}": f"{k} level{'s' * (k > 1)}" for k in range(1, 5)},
         **{f"grams{n}": f"{n}-grams" for n in (1, 2, 3, 5)}, "nearest_mean": "nearest mean",
         "lit": "lit pixels"}


class Examples:
    """The first `limit` rows (None: all) of a split: tokens and lengths of one or two texts, labels, attributes."""

    def __init__(self, folder, split, limit=None):
        names = ("tokens", "length", "label", "tokens2", "length2")
        parts, rows = {name: [] for name in names}, 0
        for path in shards(folder, split):
            with h5py.File(path, "r") as f:
                if "label" not in f or f["tokens"].ndim != 2:
                    raise RunError(f"{path} holds no examples with labels: got "
                                   f"{', '.join(sorted(f)) or 'nothing'}, expected tokens, length and label")
                take = None if limit is None else max(0, limit - rows)
                for name in names:
                    if name in f:
                        parts[name].append(f[name][:take])
                rows += len(parts["label"][-1])
                self.attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in f.attrs.items()}
        for name in names:
            setattr(self, name, np.concatenate(parts[name]) if parts[name] else None)
        if not rows or self.label.min() < 0:
            raise RunError(f"split {split} of {folder} has {'no rows' if not rows else 'rows without a class (-1)'}: "
                           "floors need labelled examples")
        self.classes = int(self.attributes.get("classes", self.label.max() + 1))

    @property
    def task(self):
        found = TASKS.get(str(self.attributes.get("task", "")).split("-")[0].split("_")[0])
        return found or ("pairs" if self.tokens2 is not None else "")


def ridge(train, train_label, test, classes):
    """Least squares from features to the classes' indicators with a penalty of 2 times a feature's mean sum of squares."""
    mean = train.mean(axis=0)
    centred = (train - mean).astype(np.float64)
    products = centred.T @ centred
    penalty = 2 * products.trace() / len(products) + 1e-12
    wanted = np.eye(classes)[train_label] - np.bincount(train_label, minlength=classes) / len(train_label)
    weights = np.linalg.solve(products + penalty * np.eye(len(products)), centred.T @ wanted)
    return ((test - mean) @ weights).argmax(axis=1)


def grey_counts(tokens, levels=32):
    return np.stack([np.bincount(row, minlength=levels) for row in (tokens.astype(np.int64) * levels) // 256])


def histogram(train, test):
    predicted = ridge(np.sqrt(grey_counts(train.tokens)), train.label, np.sqrt(grey_counts(test.tokens)), train.classes)
    return share(predicted, test.label)


def image(train, test):
    x, y = train.tokens.astype(np.float64), test.tokens.astype(np.float64)
    means = np.stack([x[train.label == c].mean(axis=0) if np.any(train.label == c) else np.full(x.shape[1], 1e9)
                      for c in range(train.classes)])
    distance = (means**2).sum(axis=1) - 2 * y @ means.T
    return {"histogram": histogram(train, test), "nearest_mean": share(distance.argmin(axis=1), test.label),
            "ridge": share(ridge(x, train.label, y, train.classes), test.label)}


def pathfinder(train, test):
    """Label 1 on one side of the threshold, 0 on the other: the side and the threshold with most right in training."""
    lit, label = (train.tokens > 0).sum(axis=1), train.label
    ones = np.bincount(lit[label == 1], minlength=train.tokens.shape[1] + 2).cumsum()
    zeros = np.bincount(lit[label == 0], minlength=train.tokens.shape[1] + 2).cumsum()
    above = zeros + ones[-1] - ones  # right, if more lit pixels than the threshold mean label 1
    below = ones + zeros[-1] - zeros
    one_above = above.max() >= below.max()
    threshold = int((above if one_above else below).argmax())
    predicted = ((test.tokens > 0).sum(axis=1) > threshold) == one_above
    return {"lit": share(predicted, test.label), "histogram": histogram(train, test)}


FAMILIES = {"listops": listops, "text": text, "pairs": pairs, "image": image, "pathfinder": pathfinder}


def accuracies(folder, split="test", limit=None, train_limit=None):
    """All floors of the first `limit` rows (None: all) of a split, from the training split, in the order of ORDER."""
    train, test = Examples(folder, "train", train_limit), Examples(folder, split, limit)
    train.classes = test.classes = max(train.classes, test.classes)
    out = {"constant": share(majority(train.label, train.classes), test.label)}
    if test.task:
        out.update(FAMILIES[test.task](train, test))
    return {"task": test.task, "split": split, "rows": len(test.label), "train_rows": len(train.label),
            "accuracies": {name: out[name] for name in ORDER if name in out}}


def describe(found):
    """A table in Markdown."""
    names = list(found["accuracies"])
    return "\n".join(["| floor | accuracy in % |", "| --- | ---: |",
                      *(f"| {WORDS.get(n, n)} | {100 * found['accuracies'][n]:.1f} |" for n in names),
                      "", f"{found['rows']:,} rows of {found['split']}, counted on {found['train_rows']:,} of train"])
