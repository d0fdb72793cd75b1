"""The references behind tests/peers/reference.py are those of the kernels: dense attention against NumPy."""
import os
import sys
import unittest

import numpy

from reference import call


class Reference(unittest.TestCase):
    def test_dense_attention_is_the_softmax_of_the_products(self):
        B, N, H, E, Ev = 2, 7, 3, 4, 5
        random = numpy.random.default_rng(1)
        q, k = random.normal(size=(2, B, N, H, E))
        v, dout = random.normal(size=(2, B, N, H, Ev))
        sizes = numpy.array([B, N, H, E, Ev])
        begin = N * numpy.arange(N + 1)
        keys = numpy.tile(numpy.arange(N, dtype=numpy.int32), N)
        out, lse = numpy.empty_like(v), numpy.empty((B, H, N))
        call("weft_attention_forward", sizes, begin, keys, out, lse, q, k, v)
        score = numpy.einsum("bihe,bjhe->bhij", q, k) / numpy.sqrt(E)
        weight = numpy.exp(score - numpy.log(numpy.exp(score).sum(-1, keepdims=True)))
        numpy.testing.assert_allclose(out, numpy.einsum("bhij,bjhe->bihe", weight, v), atol=1e-12)
        dq, dk, dv = numpy.empty_like(q), numpy.empty_like(k), numpy.empty_like(v)
        call("weft_attention_backward", sizes, begin, keys, dq, dk, dv, dout, q, k, v)
        numpy.testing.assert_allclose(dv, numpy.einsum("bhij,bihe->bjhe", weight, dout), atol=1e-12)


if __name__ == "__main__":
    unittest.main(verbosity=2)
