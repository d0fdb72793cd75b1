"""The Linear Transformer against its authors' package pytorch-fast-transformers 0.4.0, causal and not, with padding and
without. Its causal product is fp32. Skipped (77) without PyTorch or the package; the causal one without PyTorch's headers."""
import os
import sys
import unittest

import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
import linear_test as ours  # or its reason to skip
import fast_transformers_source as source
import packages
import torch
from programs import main

LENGTHS = (ours.N, 5)


class FastTransformers(unittest.TestCase):
    compare = ours.Linear.compare

    def agree(self, attention, mask, masking, causal, limit, number=lambda x: x):
        bits = numpy.array([(1 << n) - 1 for n in LENGTHS], dtype=numpy.uint32)
        for seen in (None, bits):
            lengths = masking.LengthMask(torch.tensor(LENGTHS if seen is not None else (ours.N,) * ours.B), max_len=ours.N)

            def attend(q, k, v):
                return attention(number(q), number(k), number(v), mask, lengths, lengths).double()
            self.compare(ours.Ours(causal, 1e-6, *ours.mapped(False), seen=seen), attend, limit)

    def test_every_position(self):
        LinearAttention, masking = source.linear()
        self.agree(LinearAttention(ours.E), masking.FullMask(ours.N), masking, False, ours.LIMIT)

    def test_earlier_positions(self):
        skipped = packages.skip
        packages.skip = self.skipTest
        try:
            CausalLinearAttention, masking = source.causal_linear()
        finally:
            packages.skip = skipped
        mask = masking.TriangularCausalMask(ours.N)
        self.agree(CausalLinearAttention(ours.E), mask, masking, True, 1e-6, lambda x: x.float())


if __name__ == "__main__":
    main()
