"""Bidirectional LSTM layers: our references against PyTorch's on packed sequences, in float64, outputs and every gradient;
and whole models of weft against the same one written with torch.nn. Skipped (77) without PyTorch."""
import importlib.util
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
if importlib.util.find_spec("torch") is None:
    print("SKIPPED: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)
import arena_twin
import h5py
import numpy
import one_step
import torch
from programs import main
from reference import call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

LIMIT = 1e-12
ENDS = ("", "_reverse")


class Layer:
    """One layer by the references: products with x for all steps, the recurrence, and back."""

    def __init__(self, theirs, number):
        def both(name):
            return [getattr(theirs, f"{name}_l{number}{end}").detach().numpy() for end in ENDS]
        self.w = numpy.ascontiguousarray(numpy.concatenate([w.T for w in both("weight_ih")], axis=1))
        self.u = numpy.ascontiguousarray(numpy.stack([u.T for u in both("weight_hh")]))
        self.bias, self.state_bias = (numpy.concatenate(both(name)) for name in ("bias_ih", "bias_hh"))

    def forward(self, x, lengths):
        S, N, D = x.shape
        h = self.u.shape[1]
        self.x, self.lengths, self.sizes = x, lengths, numpy.array([S, N, h])
        self.gates, self.out, self.cells = (numpy.empty((S, N, 2, width)) for width in (4 * h, h, h))
        call("weft_linear_forward", self.gates, x, self.w, self.bias, S * N, D, 8 * h)
        call("weft_lstm_forward", self.sizes, self.out, self.gates, self.cells, self.u, self.state_bias, lengths)
        return self.out.reshape(S, N, 2 * h)

    def backward(self, dout):
        """The gradients of x, W, U (of both directions) and the biases, which have the same one."""
        S, N, D = self.x.shape
        h = self.u.shape[1]
        call("weft_lstm_backward", self.sizes, self.gates, dout, self.cells, self.u, self.lengths)
        dx, dw, du = numpy.empty_like(self.x), numpy.empty_like(self.w), []
        call("weft_linear_backward", dx, dw, self.gates, self.x, self.w, S * N, D, 8 * h)
        for direction in range(2):
            before, own = numpy.empty((S, N, h)), numpy.empty((S, N, 4 * h))
            call("weft_lstm_state_operands", self.sizes, direction, before, own, self.out, self.gates, self.lengths)
            du.append(numpy.einsum("snp,snj->pj", before, own))
        return dx, dw, du, self.gates.sum(axis=(0, 1)).reshape(8 * h)


class Lstm(unittest.TestCase):
    def close(self, name, mine, theirs):
        theirs = theirs.numpy()
        error = numpy.abs(mine - theirs).max() / max(numpy.abs(theirs).max(), 1e-3)
        self.assertLess(error, LIMIT, name)

    def compare(self, lengths, D=5, h=7, layers=2):
        torch.manual_seed(1)
        theirs = torch.nn.LSTM(D, h, layers, batch_first=True, bidirectional=True).double()
        S, N = len(lengths), max(lengths)
        x, dout = torch.randn(S, N, D).double().requires_grad_(), torch.randn(S, N, 2 * h).double()
        packed, _ = theirs(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        out, _ = pad_packed_sequence(packed, batch_first=True, total_length=N)
        out.backward(dout)

        stack = [Layer(theirs, number) for number in range(layers)]
        mine = x.detach().numpy()
        for layer in stack:
            mine = layer.forward(mine, numpy.array(lengths, dtype=numpy.int32))
        self.close("out", mine, out.detach())
        d = dout.numpy()
        for number, layer in reversed(list(enumerate(stack))):
            d, dw, du, dbias = layer.backward(numpy.ascontiguousarray(d))
            for direction, end in enumerate(ENDS):
                part = slice(direction * 4 * h, (direction + 1) * 4 * h)
                for name, gradient in (("weight_ih", dw[:, part].T), ("weight_hh", du[direction].T),
                                       ("bias_ih", dbias[part]), ("bias_hh", dbias[part])):
                    name = f"{name}_l{number}{end}"
                    self.close(name, gradient, getattr(theirs, name).grad)
        self.close("dx", d, x.grad)

    def test_sequences_of_equal_length(self):
        self.compare([6, 6, 6])

    def test_ragged_sequences(self):
        self.compare([4, 9, 1, 7])

    def test_sequences_of_length_1(self):
        self.compare([1, 1])

    def test_one_unit_and_one_layer(self):
        self.compare([3, 8], D=2, h=1, layers=1)


INPUT = one_step.classifier("bilstm", """state_width = 16
pooling = "attention"
pooling_width = 10
""", width=12)


class Classifier(torch.nn.Module):
    """As a PyTorch user would write it; its tensors take weft's numbers by name."""

    def __init__(self, w):
        super().__init__()
        V, D = w["embedding.token"].shape
        h, classes = w["block.00.lstm.state.weight"].shape[1], w["head.logits.bias"].shape[0]
        A = w["head.pool.vector"].shape[0]
        self.embedding = torch.nn.Embedding(V, D)
        self.lstm = torch.nn.LSTM(D, h, 2, batch_first=True, bidirectional=True)
        self.scores = torch.nn.Sequential(torch.nn.Linear(2 * h, A), torch.nn.Tanh(), torch.nn.Linear(A, 1, bias=False))
        self.logits = torch.nn.Linear(2 * h, classes)
        self.double()
        for name, part, mine in self.places():
            with torch.no_grad():
                mine.copy_(part(w[name]))

    def places(self):
        """(weft's name, what of that tensor, transposed or not, torch has, torch's tensor) for all of them."""
        def same(x):
            return x
        yield "embedding.token", same, self.embedding.weight
        yield "head.pool.weight", torch.t, self.scores[0].weight
        yield "head.pool.bias", same, self.scores[0].bias
        yield "head.pool.vector", lambda v: v[None], self.scores[2].weight
        yield "head.logits.weight", torch.t, self.logits.weight
        yield "head.logits.bias", same, self.logits.bias
        h4 = 4 * self.lstm.hidden_size
        for layer in range(2):
            for d, end in enumerate(ENDS):
                block, part = f"block.{layer:02}.lstm.", slice(d * h4, (d + 1) * h4)
                for name, how, theirs in (("input.weight", lambda w, part=part: w[:, part].t(), "weight_ih"),
                                          ("state.weight", lambda w, d=d: w[d].t(), "weight_hh"),
                                          ("input.bias", lambda b, part=part: b[part], "bias_ih"),
                                          ("state.bias", lambda b, part=part: b[part], "bias_hh")):
                    yield block + name, how, getattr(self.lstm, f"{theirs}_l{layer}{end}")

    def forward(self, tokens, real):
        packed = pack_padded_sequence(self.embedding(tokens), real.sum(1), batch_first=True, enforce_sorted=False)
        h, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=tokens.shape[1])
        alpha = self.scores(h)[..., 0].masked_fill(~real, float("-inf")).softmax(-1)
        return self.logits((alpha[..., None] * h).sum(1))


class Whole(unittest.TestCase):
    def test_logits_and_gradients_are_those_of_the_same_model_in_torch(self):
        with tempfile.TemporaryDirectory() as folder:
            sizes = one_step.listops(folder)
            first, gradients, logits = one_step.take(folder, INPUT.format(folder=folder, **sizes))
            config, weights = arena_twin.load(first)
            twin = Classifier(weights)
            tokens, real, labels = arena_twin.split_of(config, "train")
            torch.nn.functional.cross_entropy(twin(tokens, real), labels).backward()
            with h5py.File(gradients) as f:
                arrays = f["parameters"] if "parameters" in f else f
                for name, part, theirs in twin.places():
                    mine = part(torch.tensor(arrays[name][()]).double())
                    self.assertLess(float((mine - theirs.grad).norm() / theirs.grad.norm()), 1e-4, name)
            with h5py.File(logits) as f:
                mine = torch.tensor(f["logits"][()]).double()
            tokens, real, _ = arena_twin.split_of(config, "test")
            rows = slice(0, mine.shape[0])
            self.assertLess(float((mine - twin(tokens[rows], real[rows])).abs().max()), 1e-5)


if __name__ == "__main__":
    main()
