"""What the floors of all tasks share."""
import numpy as np


def share(predicted, label):
    return float(np.mean(np.asarray(predicted) == label))


def majority(label, classes):
    return int(np.bincount(label, minlength=classes).argmax())


def by_group(train_group, train_label, test_group, classes):
    """For every row of the test the most frequent class of its group in training; an unknown group: of all."""
    best = {g: majority(train_label[train_group == g], classes) for g in np.unique(train_group)}
    other = majority(train_label, classes)
    return np.array([best.get(g, other) for g in test_group])
