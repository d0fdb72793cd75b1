"""Linear attention: our references against performer-pytorch 1.1.4 and formulas in PyTorch, all in float64, and whole models
of the Long Range Arena's form against a transcription of its formulas. Skipped (77) without PyTorch or the package."""
import importlib.util
import os
import sys
import tempfile
import types
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
if importlib.util.find_spec("torch") is None:
    print("SKIPPED: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)
import h5py
import numpy
import one_step
import packages
import torch

packages.need("performer-pytorch==1.1.4", "einops==0.6.1")
for name, part in (("local_attention", "LocalAttention"), ("axial_positional_embedding", "AxialPositionalEmbedding")):
    sys.modules[name] = types.ModuleType(name)  # only other parts of the package use them
    setattr(sys.modules[name], part, None)
from performer_pytorch import performer_pytorch as peer
from programs import main
from reference import call

LIMIT = 1e-10
B, N, H, E, Ev = 2, 9, 3, 8, 5


def numbers(*shapes, seed=1):
    random = numpy.random.default_rng(seed)
    return [random.normal(size=shape) for shape in shapes]


def tensors(*arrays):
    return [torch.tensor(a, requires_grad=True) for a in arrays]


def heads_first(x):
    return x.transpose(1, 2)


class Ours:
    """Features of q and k, attention and its gradient by the references."""

    def __init__(self, causal, guard, features, back, seen=None):
        self.causal, self.guard, self.features, self.back, self.seen = causal, guard, features, back, seen

    def run(self, q, k, v, dout):
        phi_q, phi_k = self.features(q, False), self.features(k, True)
        sizes = numpy.array([B, N, H, phi_q.shape[-1], Ev, self.causal])
        out, dv = numpy.empty_like(v), numpy.empty_like(v)
        dphi_q, dphi_k = numpy.empty_like(phi_q), numpy.empty_like(phi_k)
        call("weft_linear_attention_forward", sizes, float(self.guard), self.seen, out, phi_q, phi_k, v)
        call("weft_linear_attention_backward", sizes, float(self.guard), self.seen, dphi_q, dphi_k, dv, dout, phi_q, phi_k, v)
        return out, self.back(dphi_q, phi_q, q), self.back(dphi_k, phi_k, k), dv


def mapped(relu):
    def features(x, _):
        phi = numpy.empty_like(x)
        call("weft_features_forward", int(relu), 1e-3 if relu else 0.0, phi, x, x.size)
        return phi

    def back(dphi, _, x):
        dx = numpy.empty_like(x)
        call("weft_features_backward", int(relu), dx, dphi, x, x.size)
        return dx
    return features, back


def random_features(omega, causal, epsilon=1e-4):
    sizes = numpy.array([B, N, H, E, omega.shape[0]])

    def features(x, keys):
        phi, top = numpy.empty((B, N, H, omega.shape[0])), numpy.empty((B, N, H))
        call("weft_random_features_forward", sizes, (2 if causal else 1) if keys else 0, epsilon, phi, top, x, omega, None)
        return phi

    def back(dphi, phi, x):
        dx = numpy.empty_like(x)
        call("weft_random_features_backward", sizes, epsilon, dx, dphi, phi, x, omega)
        return dx
    return features, back


class Linear(unittest.TestCase):
    def compare(self, ours, attend, limit=LIMIT):
        """attend(q, k, v) of tensors (B, N, H, .): the same values and gradients of a random weighted sum."""
        q, k, v, dout = numbers((B, N, H, E), (B, N, H, E), (B, N, H, Ev), (B, N, H, Ev))
        got = ours.run(q, k, v, dout)
        inputs = tensors(q, k, v)
        out = attend(*inputs)
        out.backward(torch.tensor(dout))
        for name, mine, theirs in zip(("out", "dq", "dk", "dv"), got, [out.detach()] + [x.grad for x in inputs]):
            error = numpy.abs(mine - theirs.numpy()).max() / numpy.abs(theirs.numpy()).max()
            self.assertLess(error, limit, name)

    def test_softmax_features_are_those_of_performer_pytorch(self):
        for features in (2, 16, 21):
            fast = peer.FastAttention(E, nb_features=features).double()
            omega = fast.projection_matrix.numpy()
            self.compare(Ours(False, 0, *random_features(omega, False)),
                         lambda q, k, v: heads_first(fast(*map(heads_first, (q, k, v)))))

    def test_causal_attention_is_that_of_performer_pytorch(self):
        # Its keys have a stabiliser that sees the future; given features go into its causal product.
        for relu in (False, True):
            def attend(q, k, v):
                phi = (lambda x: torch.relu(x) + 1e-3) if relu else (lambda x: torch.nn.functional.elu(x) + 1)
                return heads_first(peer.causal_linear_attention_noncuda(*map(heads_first, (phi(q), phi(k), v)), eps=0.0,
                                                                        chunk_size=3))
            self.compare(Ours(True, 0, *mapped(relu)), attend)

    def test_causal_softmax_features_are_the_formula_without_a_stabiliser_of_keys(self):
        omega = numbers((11, E), seed=3)[0]

        def attend(q, k, v):
            def phi(x, stabilise):
                x = x * E**-0.25
                u = x @ torch.tensor(omega).t()
                top = u.amax(-1, keepdim=True).detach() if stabilise else 0
                return (torch.exp(u - (x * x).sum(-1, keepdim=True) / 2 - top) + 1e-4) / 11**0.5
            w = torch.einsum("bihm,bjhm->bhij", phi(q, True), phi(k, False)).tril()
            return torch.einsum("bhij,bjhe->bihe", w / w.sum(-1, keepdim=True), v)
        self.compare(Ours(True, 0, *random_features(omega, True)), attend)

    def test_relu_features_of_raw_queries_and_keys(self):
        kernel = lambda x: peer.generalized_kernel(x, projection_matrix=None, normalize_data=False)
        self.compare(Ours(False, 0, *mapped(True)),
                     lambda q, k, v: heads_first(peer.linear_attention(*(kernel(heads_first(x)) for x in (q, k)),
                                                                       heads_first(v))))

    def test_the_linear_transformer_is_its_formula_with_and_without_padding(self):
        seen = numpy.array([0b011011101, 0b000001111], dtype=numpy.uint32)
        real = torch.tensor([[bool(int(word) >> i & 1) for i in range(N)] for word in seen])
        for causal in (False, True):
            for bits in (None, seen):
                def attend(q, k, v):
                    phi = lambda x: torch.nn.functional.elu(x) + 1
                    w = torch.einsum("bihe,bjhe->bhij", phi(q), phi(k))
                    if bits is not None:
                        w = w * real[:, None, None, :]
                    w = w.tril() if causal else w
                    return torch.einsum("bhij,bjhe->bihe", w, v) / (w.sum(-1) + 1e-6).transpose(1, 2)[..., None]
                self.compare(Ours(causal, 1e-6, *mapped(False), seen=bits), attend)


INPUT = one_step.RUN + one_step.ENCODER + """positions = "learned"
pooling = "cls"
[attention]
pattern = "{pattern}"
form = "lra"
width = 16
{more}
""" + one_step.ONE_STEP


class Released(unittest.TestCase):
    """Whole models in form = "lra": every position is a key, padding too, and so is the CLS vector."""

    def test_logits_and_gradients_are_those_of_the_formulas(self):
        with tempfile.TemporaryDirectory() as folder:
            sizes = one_step.listops(folder)
            for pattern, more in (("linear", ""), ("performer", "kernel = 'relu'")):
                with self.subTest(pattern):
                    files = one_step.take(folder, INPUT.format(folder=folder, pattern=pattern, more=more, **sizes))
                    done = one_step.judged("arena_twin.py", files)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    self.assertIn("agrees", done.stdout)


if __name__ == "__main__":
    main()
