"""Linformer against the package linformer 0.2.3, and the Synthesizer against its formulas in PyTorch, in float64."""
import importlib.util
import math
import os
import sys
import unittest

import packages

if importlib.util.find_spec("torch") is None:
    packages.skip("PyTorch is not installed (Debian: python3-torch)")
packages.need("linformer==0.2.3")
import linformer
import numpy as np
import torch

from reference import call

torch.set_default_dtype(torch.float64)
TOLERANCE = 1e-12


def array(tensor):
    return np.ascontiguousarray(tensor.detach().numpy())


def close(got, want, what):
    want = array(want)
    np.testing.assert_allclose(np.reshape(got, want.shape), want, atol=TOLERANCE * max(1, np.abs(want).max()), rtol=0,
                               err_msg=what)


class Attention:
    """The reference over M keys, with a table of scores or none; q, k, v: [B, N or M, H, width]."""

    def __init__(self, q, k, v, table=None, causal=False, scale=0.0):
        (B, N, H, E), M, Ev = q.shape, v.shape[1], v.shape[3]
        self.sizes = np.array([B, N, H, E, Ev, M, int(causal)])
        self.arguments = q, k, v
        self.table, self.scale = table, scale
        self.out = np.empty((B, N, H, Ev))
        call("weft_scored_attention_forward", self.sizes, table, scale, self.out, np.empty((B, H, N)), q, k, v)

    def backward(self, dout):
        """dq, dk, dv and the gradient of the table."""
        gradients = [np.empty_like(x) for x in self.arguments]
        dtable = None if self.table is None else np.zeros_like(self.table)
        call("weft_scored_attention_backward", self.sizes, self.table, self.scale, dtable, *gradients, dout, *self.arguments)
        return (*gradients, dtable)


class Linformer(unittest.TestCase):
    def test_the_package_has_the_outputs_and_gradients_of_the_reference(self):
        B, N, H, d, k = 3, 11, 2, 4, 5
        D = H * d
        for shared in (False, True):
            for length in (N, 7):
                with self.subTest(shared=shared, length=length):
                    torch.manual_seed(1)
                    peer = linformer.LinformerSelfAttention(D, N, k=k, heads=H)
                    if shared:  # E = F alone: the package's own switch gives keys and values one map, too
                        peer.proj_v = peer.proj_k
                    x = torch.randn(B, length, D, requires_grad=True)
                    y = peer(x)
                    dy = torch.randn_like(y)
                    y.backward(dy)

                    rows = array(x).reshape(-1, D)
                    maps = [array(m.weight.T) for m in (peer.to_q, peer.to_k, peer.to_v)]
                    q, keys, values = (np.ascontiguousarray((rows @ m).reshape(B, length, D)) for m in maps)
                    mix = [array(peer.proj_k)[:length], array(peer.proj_k if shared else peer.proj_v)[:length]]
                    mix = [np.ascontiguousarray(m) for m in mix]
                    sizes = np.array([B, length, k, D])
                    mixed = [np.empty((B, k, D)) for _ in range(2)]
                    for to, m, source in zip(mixed, mix, (keys, values)):
                        call("weft_mix_rows_forward", sizes, to, m, source)
                    heads = [t.reshape(B, -1, H, d) for t in (q, *mixed)]
                    attention = Attention(*heads)
                    attended = attention.out.reshape(-1, D)
                    close(attended @ array(peer.to_out.weight.T) + array(peer.to_out.bias), y, "y")

                    dout = np.ascontiguousarray((array(dy).reshape(-1, D) @ array(peer.to_out.weight)))
                    dq, dmixed_k, dmixed_v, _ = attention.backward(dout.reshape(B, length, H, d))
                    slopes, dmix = [dq.reshape(-1, D)], []
                    for m, source, dmixed in zip(mix, (keys, values), (dmixed_k, dmixed_v)):
                        dsource, dm = np.empty_like(source), np.empty_like(m)
                        call("weft_mix_rows_backward", sizes, dsource, dm, m, dmixed.reshape(B, k, D), source)
                        slopes.append(dsource.reshape(-1, D))
                        dmix.append(dm)
                    for name, m, slope in zip("qkv", (peer.to_q, peer.to_k, peer.to_v), slopes):
                        close(rows.T @ slope, m.weight.grad.T, "to_" + name)
                    close(sum(slope @ m.T for slope, m in zip(slopes, maps)), x.grad, "x")
                    if shared:
                        close(dmix[0] + dmix[1], peer.proj_k.grad[:length], "E = F")
                    else:
                        close(dmix[0], peer.proj_k.grad[:length], "E")
                        close(dmix[1], peer.proj_v.grad[:length], "F")

    def test_with_identities_it_is_full_attention(self):
        B, N, H, E = 2, 9, 3, 4
        q, k, v = np.random.default_rng(2).normal(size=(3, B, N, H, E))
        mixed = [np.empty_like(x) for x in (k, v)]
        for to, source in zip(mixed, (k, v)):
            call("weft_mix_rows_forward", np.array([B, N, N, H * E]), to, np.eye(N), source)
        np.testing.assert_array_equal(Attention(q, *mixed).out, Attention(q, k, v).out)


B, N, H, E, EV = 2, 9, 3, 4, 5


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


def transcription(scores, v, causal):
    """softmax(scores) v for scores [B or 1, H, N, N] and v [B, N, H, Ev]."""
    if causal:
        scores = scores.masked_fill(torch.ones(N, N).triu(1).bool(), -math.inf)
    return torch.einsum("bhij,bjhe->bihe", scores.softmax(-1).expand(B, -1, -1, -1), v)


class Synthesizer(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(3)
        self.q, self.k = leaf(B, N, H, E), leaf(B, N, H, E)
        self.v, self.dout = leaf(B, N, H, EV), torch.randn(B, N, H, EV)

    def dot(self, on):
        return torch.einsum("bihe,bjhe->bhij", self.q, self.k) / math.sqrt(E) if on else 0.0

    def attention(self, table, causal, dot):
        """The reference with one table of scores."""
        width = E if dot else 0
        return Attention(array(self.q[..., :width]), array(self.k[..., :width]), array(self.v), table, causal)

    def check(self, want, table, causal, dot):
        """Output and gradients of q, k, v; returns that of the table."""
        want.backward(self.dout)
        attention = self.attention(array(table), causal, dot)
        close(attention.out, want, "out")
        dq, dk, dv, dtable = attention.backward(array(self.dout))
        close(dv, self.v.grad, "v")
        if dot:
            close(dq, self.q.grad, "q")
            close(dk, self.k.grad, "k")
        return dtable

    def each(self):
        for dot in (False, True):
            for causal in (False, True):
                self.setUp()
                with self.subTest(dot=dot, causal=causal):
                    yield dot, causal

    def test_random_scores(self):
        for dot, causal in self.each():
            table = leaf(H, N, N)
            want = transcription(self.dot(dot) + table[None], self.v, causal)
            close(self.check(want, table, causal, dot), table.grad, "R")

    def test_no_scores_are_the_mean_of_the_values(self):
        got = self.attention(np.zeros((H, N, N)), False, False).out
        close(got, self.v.mean(1, keepdim=True).expand(-1, N, -1, -1), "mean")

    def test_factorised_random_scores(self):
        F = 3
        for dot, causal in self.each():
            left, right = leaf(H, N, F), leaf(H, N, F)
            table = left @ right.transpose(1, 2)
            scores = np.empty((H, N, N))
            sizes = np.array([B, N, H, F])
            call("weft_factor_scores_forward", sizes, scores, array(left), array(right))
            close(scores, table, "scores")
            da = self.check(transcription(self.dot(dot) + table[None], self.v, causal), table, causal, dot)
            dleft, dright = np.empty((2, H, N, F))
            call("weft_factor_scores_backward", sizes, dleft, dright, da, array(left), array(right))
            close(dleft, left.grad, "R1")
            close(dright, right.grad, "R2")

    def test_dense_scores(self):
        d = 6
        for released in (0, 1):
            u, bias = leaf(B, N, H, d), leaf(H, d)
            own = 1 if released else H
            w, c = leaf(own, d, N), leaf(own, N)
            hidden = torch.relu(u + bias)
            if released:  # one map for all heads; (N, H) rows are taken for (H, N) rows
                scores = (hidden @ w[0] + c[0]).reshape(B, H, N, N)
            else:
                scores = torch.einsum("bihf,hfj->bhij", hidden, w) + c[:, None]
            a = np.empty((B, H, N, N))
            sizes = np.array([B, N, H, d + 1])
            call("weft_hidden_scores_forward", sizes, released, a, array(u), array(bias), array(w), array(c))
            close(a, scores, "scores")
            want = transcription(scores + self.dot(True), self.v, False)
            want.backward(self.dout)
            da, q, k, v = np.empty_like(a), *(array(x) for x in (self.q, self.k, self.v))
            for b in range(B):  # a table of each sequence's own
                attention = Attention(*(np.ascontiguousarray(x[b:b + 1]) for x in (q, k, v)), np.ascontiguousarray(a[b]))
                close(attention.out, want[b:b + 1], "out")
                da[b] = attention.backward(array(self.dout[b:b + 1]))[3]
            gradients = [np.empty(x.shape) for x in (u, bias, w, c)]
            call("weft_hidden_scores_backward", sizes, released, *gradients, da, array(u), array(bias), array(w))
            for name, got, x in zip(("u", "b1", "W2", "b2"), gradients, (u, bias, w, c)):
                close(got, x.grad, name)
            self.setUp()

    def test_factorised_dense_scores_are_tiled_and_repeated(self):
        d, inner = 6, 4
        outer = -(-N // inner)
        u, bias, w, c = leaf(2, B, N, H, d), leaf(2, H, d), [leaf(H, d, n) for n in (inner, outer)], [leaf(H, n) for n in (inner, outer)]
        alpha, beta = (torch.einsum("bihf,hfr->bihr", torch.relu(u[x] + bias[x]), w[x]) + c[x] for x in (0, 1))
        scores = (alpha.tile(1, 1, 1, outer) * beta.repeat_interleave(inner, -1))[..., :N].transpose(1, 2)
        da = torch.randn(B, H, N, N)
        scores.backward(da)
        factors, sizes = [], [np.array([B * N, H, d, n]) for n in (inner, outer)]
        for x, n in ((0, inner), (1, outer)):
            factors.append(np.empty((B, N, H, n)))
            call("weft_factor_rows_forward", sizes[x], factors[x], array(u[x]), array(bias[x]), array(w[x]), array(c[x]))
        a, shape = np.empty((B, H, N, N)), np.array([B, N, H, inner, outer])
        call("weft_factored_scores_forward", shape, a, *factors)
        close(a, scores, "scores")
        dfactors = [np.empty_like(x) for x in factors]
        call("weft_factored_scores_backward", shape, *dfactors, array(da), *factors)
        for x in (0, 1):
            gradients = [np.empty(t.shape) for t in (u[x], bias[x], w[x], c[x])]
            call("weft_factor_rows_backward", sizes[x], *gradients, dfactors[x], array(u[x]), array(bias[x]), array(w[x]))
            for name, got, want in zip(("u", "b1", "W2", "b2"), gradients, (u.grad[x], bias.grad[x], w[x].grad, c[x].grad)):
                close(got, want, name)

    def test_a_mixture_has_shares_that_add_up_to_one(self):
        for number in (-1.2, 0.0, 3.0):
            products, synthetic, share = leaf(H, N, N), leaf(H, N, N), torch.tensor(number, requires_grad=True)
            # A softmax over two weights, as in the paper, of which one stays 0.
            weights = torch.stack([torch.zeros(()), share]).softmax(0)
            mixed, dmixed = weights[0] * products + weights[1] * synthetic, torch.randn(H, N, N)
            mixed.backward(dmixed)
            got, gradients = np.empty((H, N, N)), [np.empty((H, N, N)), np.empty((H, N, N)), np.empty(1)]
            call("weft_mixture_forward", got.size, got, array(products), array(synthetic), number)
            call("weft_mixture_backward", got.size, *gradients, array(dmixed), array(products), array(synthetic), number)
            close(got, mixed, "scores")
            for name, mine, theirs in zip(("products", "synthetic", "share"), gradients, (products, synthetic, share)):
                close(mine, theirs.grad, name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
