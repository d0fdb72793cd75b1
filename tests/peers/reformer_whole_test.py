"""Whole Reformers of two public packages in double precision against ours: the twin that the program agrees with
(reformer_twin.py), whose attention is the double-precision reference of the kernels. Embedding, axial positions, reversible
layers with LSH attention and chunked feed-forward, norms, output; the streams or logits, and the gradient of every parameter, to
1e-6. Buckets are those that the peers drew.

reformer-pytorch 1.4.4 in the paper's setting (the union of the rounds within a bucket): its language model. Its own conventions
and what is done about them: tokens are not multiplied by sqrt(D), a factor of the embedding; the settings of buckets cannot be
reached through ReformerLM and are set in its layers; axial positions are added up unless the widths are given, so its positions
are made with them; the attention's output has a bias, which is zero here and not trained; a tied output takes tokens of length
one, so the output is untied.

transformers 4.41.2: embeddings and encoder. Keys of length sqrt(E) and the multiset of the rounds over all buckets of the chunks
are settings of ours (attention.score = "trax", other_buckets, duplicates). The peer puts its two streams side by side and
normalises 2 D numbers, where ours takes their mean, so the streams are compared.
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
from axial_positional_embedding import AxialPositionalEmbedding  # noqa: E402
from reformer_pytorch import ReformerLM  # noqa: E402
from transformers import ReformerConfig  # noqa: E402
from transformers.models.reformer.modeling_reformer import ReformerEmbeddings, ReformerEncoder  # noqa: E402
from reference import call  # noqa: E402
from reformer_twin import Twin  # noqa: E402

LIMIT = 1e-6
B, N, D, H, F, V, LAYERS, ROUNDS, CHUNK = 2, 48, 32, 2, 64, 11, 3, 2, 8
E = D // H
SHAPE, WIDTHS = (8, 6), (12, 20)
CONFIG = {"model.width": D, "model.heads": H, "model.context": N, "model.layers": LAYERS, "model.stream": "reversible",
          "model.positions": "axial", "data.scoring": "reproduction", "attention.pattern": "lsh"}
UNIT, TRAX = (0, 0.25), (1, 1.0)  # kinds of kernels/lsh/keys.hpp, and the scores' factors: 1 / sqrt(16), and 1


class Reference(torch.autograd.Function):
    """Attention by the kernels' double-precision reference; buckets (B, H, ROUNDS, N)."""

    @staticmethod
    def forward(ctx, q, v, buckets, score, sizes):
        q, v = (x.detach().transpose(1, 2).contiguous().numpy() for x in (q, v))
        ctx.known = sizes, score, np.ascontiguousarray(buckets, dtype=np.int32), q, v
        out = np.empty_like(v)
        call("weft_lsh_forward", sizes, score[1], score[0], ctx.known[2], out, q, v)
        return torch.from_numpy(out).transpose(1, 2)

    @staticmethod
    def backward(ctx, dout):
        sizes, score, buckets, q, v = ctx.known
        dq, dv = np.empty_like(q), np.empty_like(v)
        call("weft_lsh_backward", sizes, score[1], score[0], buckets, dq, dv, dout.transpose(1, 2).contiguous().numpy(), q, v)
        return torch.from_numpy(dq).transpose(1, 2), torch.from_numpy(dv).transpose(1, 2), None, None, None


def attend(buckets, score, other_buckets, duplicates):
    """causal, cyclic, ..., self_last, not mean_of_rounds. buckets: one array for each layer."""
    sizes = np.array([B, N, H, E, E, ROUNDS, CHUNK, True, True, other_buckets, duplicates, True, False], dtype=np.int64)
    return lambda q, v, layer: Reference.apply(q, v, buckets[layer], score, sizes)


class Same:
    """Our tensor as theirs: arrange(their tensors) * factor."""

    def __init__(self, *theirs, arrange=lambda x: x, factor=1.0):
        self.theirs, self.arrange, self.factor = theirs, arrange, factor

    def value(self):
        return self.factor * self.arrange(*(x.detach() for x in self.theirs)).clone()

    def gradient(self):
        return self.arrange(*(x.grad for x in self.theirs)) / self.factor


def transposed(*theirs):
    """(outputs, inputs) to (inputs, outputs), several of them side by side."""
    return Same(*theirs, arrange=lambda *x: torch.cat([one.t() for one in x], 1))


def norm(name, theirs):
    return {name + ".gain": Same(theirs.weight), name + ".bias": Same(theirs.bias)}


def dense(name, theirs):
    return {name + ".weight": transposed(theirs.weight), name + ".bias": Same(theirs.bias)}


def embedding(tokens, axes):
    widths = {f"embedding.position.{n}": Same(x, arrange=lambda x: x.reshape(-1, x.shape[-1])) for n, x in enumerate(axes)}
    return {"embedding.token": Same(tokens, factor=D ** -0.5), **widths}


def layer(r, norms, attention, out, hidden, last):
    b = f"block.{r:02d}."
    return {**norm(b + "norm1", norms[0]), **norm(b + "norm2", norms[1]), b + "attention.qv.weight": transposed(*attention),
            b + "attention.out.weight": transposed(out), **dense(b + "feedforward.in", hidden),
            **dense(b + "feedforward.out", last)}


def error(a, b):
    return float((a - b).abs().max() / b.abs().max())


class Whole(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(5)
        self.tokens = torch.randint(0, V, (B, N))

    def shaken(self, module):
        """Numbers that are no special ones: gains that are not 1, biases that are not 0."""
        for parameter in module.double().train().parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        return module

    def record(self, modules, buckets_of):
        """A list of what the modules' forward passes find, one for each."""
        found = [None] * len(modules)
        for n, module in enumerate(modules):
            def keep(_, __, output, n=n):
                if found[n] is None:  # not the reversible backward pass
                    found[n] = buckets_of(output).reshape(B, H, ROUNDS, N).clone()
            module.register_forward_hook(keep)
        return found

    def of_rounds(self, found, count):
        """Buckets of each round, from 0: the peers count them over all rounds."""
        buckets = [(x - torch.arange(ROUNDS)[:, None] * count).numpy() for x in found]
        for x in buckets:
            self.assertTrue(0 <= x.min() and 1 < x.max() < count)
        return buckets

    def compare(self, same, theirs, ours_of, attention=None, config=None):
        """The largest error of the outputs and of all gradients of a random weighted sum of them."""
        weights = torch.randn_like(theirs)
        (theirs * weights).sum().backward()
        twin = Twin({name: one.value() for name, one in same.items()}, config or CONFIG, attention)
        ours = ours_of(twin)
        (ours * weights).sum().backward()
        worst = error(ours, theirs.detach())
        for name, one in same.items():
            self.assertGreater(float(one.gradient().abs().max()), 0, name)
            worst = max(worst, error(twin.w[name].grad, one.gradient()))
        return worst

    def reformer_pytorch(self, spoil=None, full=False):
        model = ReformerLM(V, D, LAYERS, N, heads=H, dim_head=E, bucket_size=CHUNK, n_hashes=ROUNDS, ff_chunks=4, ff_mult=F // D,
                           causal=True, random_rotations_per_head=True, axial_position_emb=True, axial_position_shape=SHAPE,
                           use_full_attn=full)
        model.pos_emb = AxialPositionalEmbedding(D, SHAPE, WIDTHS)
        self.shaken(model)
        same = embedding(model.token_emb.weight, model.pos_emb.weights.to_list())
        blocks = [(block.f.net, block.g.net) for block in model.reformer.layers.blocks]
        for r, (f, g) in enumerate(blocks):
            f.fn.lsh_attn._attend_across_buckets = f.fn.lsh_attn._allow_duplicate_attention = False
            f.fn.to_out.bias.data.zero_()
            f.fn.to_out.bias.requires_grad_(False)
            same.update(layer(r, (f.norm, g.norm), (f.fn.toqk.weight, f.fn.tov.weight), f.fn.to_out.weight, g.fn.fn.w1,
                              g.fn.fn.w2))
        same.update(norm("norm", model.norm), **dense("output", model.out[1]))
        found = self.record([f.fn.lsh_attn for f, _ in blocks], lambda output: output[2])
        theirs = model(self.tokens)
        if full:
            return self.compare(same, theirs, lambda twin: twin.logits(self.tokens), None, {**CONFIG, "attention.pattern": "dense"})
        attention = attend(self.of_rounds(found, N // CHUNK), *(spoil or (UNIT, False, False)))
        return self.compare(same, theirs, lambda twin: twin.logits(self.tokens), attention)

    def transformers(self, spoil=None):
        buckets = 6
        config = ReformerConfig(attn_layers=["lsh"] * LAYERS, hidden_size=D, num_attention_heads=H, attention_head_size=E,
                                feed_forward_size=F, hidden_act="gelu", chunk_size_feed_forward=N // 4, num_hashes=ROUNDS,
                                lsh_attn_chunk_length=CHUNK, lsh_num_chunks_before=1, lsh_num_chunks_after=0, num_buckets=buckets,
                                is_decoder=True, hidden_dropout_prob=0.0, lsh_attention_probs_dropout_prob=0.0,
                                layer_norm_eps=1e-5, axial_pos_embds=True, axial_pos_shape=SHAPE, axial_pos_embds_dim=WIDTHS,
                                max_position_embeddings=N, vocab_size=V)
        embeddings, encoder = self.shaken(ReformerEmbeddings(config)), self.shaken(ReformerEncoder(config))
        encoder.layer_norm = torch.nn.Identity()
        same = embedding(embeddings.word_embeddings.weight, embeddings.position_embeddings.weights)
        for r, one in enumerate(encoder.layers):
            a, f = one.attention, one.feed_forward
            same.update(layer(r, (a.layer_norm, f.layer_norm), (a.self_attention.query_key.weight, a.self_attention.value.weight),
                              a.output.dense.weight, f.dense.dense, f.output.dense))
        found = self.record([one.attention.self_attention for one in encoder.layers], lambda output: output.buckets)
        theirs = encoder(embeddings(self.tokens), head_mask=[None] * LAYERS).hidden_states
        attention = attend(self.of_rounds(found, buckets), *(spoil or (TRAX, True, True)))
        return self.compare(same, theirs, lambda twin: torch.cat(twin.streams(self.tokens), -1), attention)

    def test_the_language_model_of_reformer_pytorch(self):
        self.assertLess(self.reformer_pytorch(), LIMIT)

    def test_the_same_with_full_attention(self):
        self.assertLess(self.reformer_pytorch(full=True), LIMIT)

    def test_embeddings_and_encoder_of_transformers(self):
        self.assertLess(self.transformers(), LIMIT)

    def test_another_rule_is_noticed(self):
        for spoil in ((TRAX, False, False), (UNIT, True, False), (UNIT, False, True)):
            self.assertGreater(self.reformer_pytorch(spoil), 100 * LIMIT)
        for spoil in ((UNIT, True, True), (TRAX, False, True), (TRAX, True, False)):
            self.assertGreater(self.transformers(spoil), 100 * LIMIT)


if __name__ == "__main__":
    unittest.main(verbosity=2)
