"""LSH attention against two public implementations of it, in double precision, forward and gradients.

reformer-pytorch 1.4.4 in the paper's setting (the union of what the rounds see in the query's bucket) and in its own; not where
all buckets are attended and duplicates removed, where it weighs pairs that meet over the border of two rounds by 1e9.
transformers 4.41.2 with given buckets: the multiset of what the rounds see.
"""
import os
import sys
import unittest

from packages import REFORMER_PYTORCH, TRANSFORMERS, need, skip  # noqa: E402

try:
    import numpy as np
    import torch
except ImportError as error:
    skip(str(error))
need(*REFORMER_PYTORCH, *TRANSFORMERS)
from reformer_pytorch.reformer_pytorch import LSHAttention  # noqa: E402
from transformers import ReformerConfig  # noqa: E402
from transformers.models.reformer.modeling_reformer import LSHSelfAttention  # noqa: E402
from reference import call  # noqa: E402

B, H, N, E, ROUNDS, CHUNK = 2, 2, 64, 16, 3, 8
UNIT, TRAX = 0, 1
SCALE = {UNIT: 0.25, TRAX: 1.0}  # 1 / sqrt(16), and 1


def ours(score, buckets, q, v, dout, causal, other_buckets, duplicates):
    """Output and gradients by q and v; arrays (B, N, H, E), buckets (B, H, ROUNDS, N)."""
    sizes = np.array([B, N, H, E, E, ROUNDS, CHUNK, causal, True, other_buckets, duplicates, True, False], dtype=np.int64)
    buckets = np.ascontiguousarray(buckets, dtype=np.int32)
    out, dq, dv = (np.empty_like(v) for _ in range(3))
    call("weft_lsh_forward", sizes, SCALE[score], score, buckets, out, q, v)
    call("weft_lsh_backward", sizes, SCALE[score], score, buckets, dq, dv, dout, q, v)
    return out, dq, dv


class Given(torch.nn.Module):
    """Stands for a projection whose result is known."""

    def __init__(self, tensor):
        super().__init__()
        self.tensor = tensor

    def forward(self, _):
        return self.tensor


class LshTest(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(3)
        self.q, self.v, self.dout = random.normal(size=(3, B, N, H, E))
        self.buckets = random.integers(0, 6, (B, H, ROUNDS, N))
        torch.manual_seed(4)

    def compare(self, theirs, mine, limit):
        for name, a, b in zip(("output", "gradient by q", "gradient by v"), theirs, mine):
            error = np.abs(a - b).max() / np.abs(b).max()
            self.assertLess(error, limit, name)

    def heads_in_front(self, x):
        """(B, N, H, E) to the peer's (B H, N, E), as a leaf."""
        return torch.tensor(x.transpose(0, 2, 1, 3).reshape(B * H, N, E), requires_grad=True)

    def back(self, x):
        return np.ascontiguousarray(x.detach().numpy().reshape(B, H, N, E).transpose(0, 2, 1, 3))

    def test_reformer_pytorch(self):
        for causal in (False, True):
            for across, duplicates in ((False, False), (True, True), (False, True)):
                with self.subTest(causal=causal, across=across, duplicates=duplicates):
                    layer = LSHAttention(bucket_size=CHUNK, n_hashes=ROUNDS, causal=causal, attend_across_buckets=across,
                                         allow_duplicate_attention=duplicates, random_rotations_per_head=True)
                    layer.eval()
                    q, v = self.heads_in_front(self.q), self.heads_in_front(self.v)
                    out, _, buckets = layer(q, v)
                    out.backward(self.heads_in_front(self.dout).detach())
                    of_round = np.arange(ROUNDS)[:, None] * (N // CHUNK)  # the peer counts buckets over all rounds
                    buckets = buckets.numpy().reshape(B, H, ROUNDS, N) - of_round
                    self.assertTrue(0 <= buckets.min() and buckets.max() < N // CHUNK)
                    mine = ours(UNIT, buckets, self.q, self.v, self.dout, causal, across, duplicates)
                    self.compare([self.back(x) for x in (out, q.grad, v.grad)], mine, 1e-6)

    def test_transformers(self):
        for causal in (False, True):
            with self.subTest(causal=causal):
                config = ReformerConfig(hidden_size=H * E, num_attention_heads=H, attention_head_size=E, num_hashes=ROUNDS,
                                        lsh_attn_chunk_length=CHUNK, lsh_num_chunks_before=1, lsh_num_chunks_after=0,
                                        num_buckets=6, is_decoder=causal, lsh_attention_probs_dropout_prob=0.0)
                layer = LSHSelfAttention(config).double().eval()
                q, v = (torch.tensor(x.reshape(B, N, H * E), requires_grad=True) for x in (self.q, self.v))
                layer.query_key, layer.value = Given(q), Given(v)
                of_round = np.arange(ROUNDS)[:, None] * 6
                out = layer(torch.zeros(B, N, H * E, dtype=torch.double),
                            buckets=torch.tensor((self.buckets + of_round).reshape(B, H, ROUNDS * N))).hidden_states
                out.backward(torch.tensor(self.dout.reshape(B, N, H * E)))
                mine = ours(TRAX, self.buckets, self.q, self.v, self.dout, causal, True, True)
                self.compare([x.detach().numpy().reshape(B, N, H, E) for x in (out, q.grad, v.grad)], mine, 1e-6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
