"""Small data sets of labelled examples, written as docs/files.md describes them, and input files for them."""
import os

import h5py
import numpy as np

# Of an input file: the copy task for the Reformer; {0}: the folder.
COPY = """
[run]
name = "run"
directory = "{0}/runs"
[data]
path = "{0}/copy"
task = "copy"
[model]
family = "reformer"
"""

# The beginning of every input file of the tests.
RUN = """
[run]
name = "run"
directory = "{directory}/runs"
seed = 1
[data]
path = "{directory}/data"
"""

ARENA = RUN + """task = "classify"
[model]
family = "arena"
layers = 1
width = 32
heads = 2
feedforward = 64
context = {context}
vocabulary = {vocabulary}
positions = "sinusoid"
[attention]
pattern = "dense"
[optimizer]
learning_rate = 3e-3
weight_decay = 0.0
[schedule]
kind = "constant"
warmup_steps = 10
[training]
steps = 100
batch = 64
micro_batch = 32
[checkpoint]
every_steps = 0
[evaluation]
every_steps = 0
test_at_end = false
[log]
every_steps = 20
tensorboard = false
"""


def write_split(folder, split, vocabulary, tokens, lengths=None, labels=None, classes=0):
    """One shard. tokens: (n, N), or two such arrays for pairs; lengths alike, None: all of N; labels None: there are none."""
    os.makedirs(folder, exist_ok=True)
    tokens = [tokens] if isinstance(tokens, np.ndarray) else list(tokens)
    lengths = [lengths] if lengths is None or isinstance(lengths, np.ndarray) else list(lengths)
    lengths += [None] * (len(tokens) - len(lengths))
    n = len(tokens[0])
    with h5py.File(f"{folder}/{split}-00000-of-00001.h5", "w") as file:
        for name, rows, length in zip(("", "2"), tokens, lengths):
            file["tokens" + name] = rows.astype(np.uint8)
            file["length" + name] = np.full(n, rows.shape[1], np.int32) if length is None else length.astype(np.int32)
        file["label"] = np.full(n, -1, np.int32) if labels is None else labels.astype(np.int32)
        file.attrs.update({"task": "test", "vocabulary": vocabulary, "split": split, "shard": 0, "shards": 1,
                           "examples": n, "source_sha256": "0" * 64, "format_version": 1})
        if classes:
            file.attrs["classes"] = classes


def write_input(path, directory, context, vocabulary):
    with open(path, "w", encoding="ascii") as file:
        file.write(ARENA.format(directory=directory, context=context, vocabulary=vocabulary))
