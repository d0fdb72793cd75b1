"""The PyTorch side of arena_bench.py: the arena's classifier with a peer's attention, stepped on request
(torch_peer.py).

  arena_peer.py '{"model": "linformer", "module": "linformer", "variant": "eager", "threads": 2, "case": {...}}'

Embedding, sinusoids, pre-norm blocks of the peer's attention and a GELU layer, norm, mean over the rows, a ReLU
layer, two classes, cross entropy, AdamW: inputs/lra/text/base.toml without dropout. The peer's own maps for queries,
keys, values and outputs are taken where its module has them.
"""
import os
import sys
import types

os.environ["USE_TF"] = os.environ["USE_FLAX"] = "0"
import fast_transformers_source
import packages
import recurrent_peer
import torch_peer
from peer_packages import missing, need

# The modules of each model; the best of them counts. Sizes come in the case.
MODULES = {
    "transformer": ("scaled_dot_product_attention", "TransformerEncoderLayer"),
    "local": ("local-attention",),
    "sparse": ("masked scaled_dot_product_attention",),
    "longformer": ("transformers",),
    "linformer": ("linformer",),
    "reformer": ("reformer-pytorch",),
    "sinkhorn": ("sinkhorn-transformer",),
    "synthesizer": ("plain",),
    "bigbird": ("transformers",),
    "linear": ("plain", "pytorch-fast-transformers"),
    "performer": ("performer-pytorch",),
    "performer_softmax": ("performer-pytorch",),
}
# Of the same task, but no rows of the arena's tables.
RECURRENT = {"mega": ("transformers",), "bilstm": ("nn.LSTM",)}


def lucidrains(*requirements):
    """The package's relatives, of which other parts than the ones used here make use."""
    need("einops==0.6.1", "axial-positional-embedding==0.2.1", "product-key-memory==0.1.10", "local-attention==1.11.2",
         *requirements)
    sys.modules["hyper_connections"] = types.SimpleNamespace(get_init_and_expand_reduce_stream_functions=None)


def core_of(torch, model, module, case):
    """A module of queries, keys and values (B, H, N, E) that gives (B, H, N, E); None if the peer makes these itself."""
    nn, functional = torch.nn, torch.nn.functional
    N, H, E, block = case["length"], case["heads"], case["width"] // case["heads"], case["block"]
    fused = getattr(functional, "scaled_dot_product_attention", None)

    def softmax(q, k, v, mask=None, table=0):
        scores = q @ k.transpose(2, 3) * E**-0.5 + table
        return (scores if mask is None else scores.masked_fill(~mask, -1e30)).softmax(-1) @ v

    class Core(nn.Module):
        """A function, and the parameters that it has."""

        def __init__(self, function, **parameters):
            super().__init__()
            self.function = function
            for name, parameter in parameters.items():
                setattr(self, name, parameter)

        def forward(self, q, k, v):
            return self.function(self, q, k, v)

    if model == "transformer":
        return Core(lambda _, q, k, v: (fused or softmax)(q, k, v))
    if model == "sparse":
        l, c = case["sparse_block"], case["summary"]
        query, key = torch.arange(N).view(N, 1), torch.arange(N).view(1, N)
        mask = (torch.div(query, l, rounding_mode="floor") == torch.div(key, l, rounding_mode="floor")) | (key % l >= l - c)
        return Core(lambda _, q, k, v: fused(q, k, v, attn_mask=mask) if fused else softmax(q, k, v, mask))
    if model == "synthesizer":
        bound = (3 / (H * N))**0.5
        return Core(lambda self, q, k, v: softmax(q, k, v, table=self.table),
                    table=nn.Parameter(torch.empty(1, H, N, N).uniform_(-bound, bound)))
    if model == "linear" and module == "plain":
        def attend(_, q, k, v):
            q, k = functional.elu(q) + 1, functional.elu(k) + 1
            return q @ (k.transpose(2, 3) @ v) / ((q @ k.sum(2).unsqueeze(-1)) + 1e-6)
        return Core(attend)
    if model == "linear":
        packages.skip = missing
        LinearAttention, masking = fast_transformers_source.linear()
        whole, lengths = masking.FullMask(N), masking.LengthMask(torch.full((case["batch"],), N))
        return Core(lambda self, q, k, v: self.inner(*(x.transpose(1, 2) for x in (q, k, v)), whole, lengths, lengths)
                    .transpose(1, 2), inner=LinearAttention(E))
    if model == "local":
        lucidrains()
        from local_attention import LocalAttention
        inner = LocalAttention(window_size=block, causal=False, look_backward=0, look_forward=0, use_rotary_pos_emb=False)
        return Core(lambda self, q, k, v: self.inner(q, k, v), inner=inner)
    if model in ("performer", "performer_softmax"):
        lucidrains("performer-pytorch==1.1.4")
        from performer_pytorch import performer_pytorch as peer
        if model == "performer_softmax":
            return Core(lambda self, q, k, v: self.inner(q, k, v), inner=peer.FastAttention(E))

        def features(x):
            return peer.generalized_kernel(x, projection_matrix=None, normalize_data=False)
        return Core(lambda _, q, k, v: peer.linear_attention(features(q), features(k), v))
    if model == "sinkhorn":
        lucidrains("sinkhorn-transformer==0.11.4")
        from sinkhorn_transformer.sinkhorn_transformer import SinkhornAttention
        inner = SinkhornAttention(block, H * E, E, H, N, temperature=0.75, non_permutative=False,
                                  sinkhorn_iter=case["iterations"], use_simple_sort_net=True)
        return Core(lambda self, q, k, v: self.inner(q, k, v), inner=inner)
    return None


def attention_of(torch, model, module, case):
    """From rows (B, N, D) to rows: a module."""
    nn, N, H, D = torch.nn, case["length"], case["heads"], case["width"]

    class Projected(nn.Module):
        def __init__(self, core):
            super().__init__()
            self.core, self.qkv, self.out = core, nn.Linear(D, 3 * D, bias=False), nn.Linear(D, D, bias=False)

        def forward(self, x):
            q, k, v = (part.view(*x.shape[:2], H, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
            return self.out(self.core(q, k, v).transpose(1, 2).reshape(x.shape))

    class Own(nn.Module):
        """A module with maps of its own for queries, keys and values, and what its forward pass takes beside the rows."""

        def __init__(self, inner, out, **arguments):
            super().__init__()
            self.inner, self.out, self.arguments = inner, out, arguments

        def forward(self, x):
            y = self.inner(x, **self.arguments)
            return self.out(y[0] if isinstance(y, tuple) else y)

    core = core_of(torch, model, module, case)
    if core is not None:
        return Projected(core)
    out = nn.Linear(D, D, bias=False)
    if model == "linformer":
        need("linformer==0.2.3")
        import linformer
        inner = linformer.LinformerSelfAttention(D, N, k=case["projected"], heads=H)
        inner.proj_v = inner.proj_k  # one map for keys and values; the package's own switch makes them equal, too
        return Own(inner, nn.Identity())
    if model == "reformer":
        lucidrains("reformer-pytorch==1.4.4")
        from reformer_pytorch import LSHSelfAttention
        return Own(LSHSelfAttention(D, heads=H, bucket_size=case["block"], n_hashes=case["rounds"]), nn.Identity())
    need(*packages.TRANSFORMERS)
    import transformers
    if model == "longformer":
        from transformers.models.longformer.modeling_longformer import LongformerSelfAttention
        config = transformers.LongformerConfig(hidden_size=D, num_attention_heads=H, attention_window=[case["window"]],
                                               attention_probs_dropout_prob=0.0, num_hidden_layers=1)
        nothing = torch.zeros(case["batch"], N, dtype=torch.bool)
        return Own(LongformerSelfAttention(config, 0), out, attention_mask=torch.zeros(case["batch"], N),
                   is_index_masked=nothing, is_index_global_attn=nothing, is_global_attn=False)
    from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention, BigBirdModel
    config = transformers.BigBirdConfig(hidden_size=D, num_attention_heads=H, block_size=case["block"], num_random_blocks=3,
                                        max_position_embeddings=max(N, 4096), use_bias=False, attention_probs_dropout_prob=0.0)
    blocked, band, rows, columns = BigBirdModel.create_masks_for_block_sparse_attn(torch.ones(case["batch"], N), case["block"])
    return Own(BigBirdBlockSparseAttention(config, seed=0), out, band_mask=band, from_mask=rows, to_mask=columns,
               from_blocked_mask=blocked, to_blocked_mask=blocked)


def encoder(torch, asked):
    nn, functional, case = torch.nn, torch.nn.functional, asked["case"]
    N, D, wide = case["length"], case["width"], case["feedforward"]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(D, 1e-6), nn.LayerNorm(D, 1e-6)
            self.attention = attention_of(torch, asked["model"], asked["module"], case)
            self.inner, self.outer = nn.Linear(D, wide), nn.Linear(wide, D)

        def forward(self, h):
            h = h + self.attention(self.norm1(h))
            return h + self.outer(functional.gelu(self.inner(self.norm2(h)), approximate="tanh"))

    def block():
        if asked["module"] == "TransformerEncoderLayer":
            return nn.TransformerEncoderLayer(D, case["heads"], wide, dropout=0.0, batch_first=True, norm_first=True,
                                              activation="gelu", layer_norm_eps=1e-6)
        return Block()

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            place, pair = torch.arange(N)[:, None], torch.arange(0, D, 2)
            angle = place * 10000.0**(-pair / D)
            self.register_buffer("places", torch.stack([angle.sin(), angle.cos()], -1).view(N, D))
            self.token = nn.Embedding(257, D)
            self.blocks = nn.ModuleList(block() for _ in range(case["layers"]))
            self.norm, self.mlp, self.logits = nn.LayerNorm(D, 1e-6), nn.Linear(D, wide), nn.Linear(wide, 2)

        def forward(self, tokens):
            h = self.token(tokens) + self.places
            for one in self.blocks:
                h = one(h)
            return self.logits(torch.relu(self.mlp(self.norm(h).mean(1))))

    return Classifier()


def make_peer(torch, asked):
    functional, case = torch.nn.functional, asked["case"]
    B, N = case["batch"], case["length"]
    torch.manual_seed(1)
    if asked["model"] in RECURRENT:
        model = getattr(recurrent_peer, asked["model"])(torch, case).train()
    else:
        model = encoder(torch, asked).train()
    tokens, labels = torch.randint(0, 257, (B, N)), torch.arange(B) % 2
    how = dict(lr=1e-4, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.1)
    try:
        optimizer = torch.optim.AdamW(model.parameters(), fused=True, **how)
    except (RuntimeError, TypeError):
        optimizer = torch.optim.AdamW(model.parameters(), **how)

    def step(function):
        optimizer.zero_grad(set_to_none=True)
        value = function(tokens)
        value.backward()
        optimizer.step()
        if not torch.isfinite(value.detach()):
            raise ValueError("the loss is not finite")

    return lambda rows: functional.cross_entropy(model(rows), labels), step


if __name__ == "__main__":
    torch_peer.serve(make_peer)
