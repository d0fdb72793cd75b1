"""Sinkhorn attention and the released forms of Local and Sinkhorn attention as a PyTorch user would write them, from what
docs/attention.md says; autograd is their backward pass. And the arena's encoder around them, in the dtype of its weights.
"""
import torch

from arena_twin import Twin


def bits_as_sets(real, C):
    """(S, N') bits cut into C runs: (S, C, b)."""
    return real.reshape(real.shape[0], C, -1)


def softmax_or_uniform(scores, keys, queries):
    """Softmax over the keys that are seen; the same weight on all where the query is not. keys (..., i, j), queries (..., i, 1)."""
    weights = torch.softmax(scores.masked_fill(~keys, -torch.inf).masked_fill(~queries, 0.0), -1)
    return torch.where(queries, weights, torch.full_like(weights, 1 / weights.shape[-1]))


def own_set(q, k, v, real, C):
    """Softmax over the set i mod C of N' = b C positions; q, k, v (S, N', H, E), real (S, N')."""
    S, whole, H, _ = q.shape
    q, k, v = (x.reshape(S, whole // C, C, H, -1) for x in (q, k, v))
    scores = torch.einsum("sichd,sjchd->schij", q, k) / q.shape[-1]**0.5
    m = bits_as_sets(real, C)[:, :, None, :]  # S C 1 b
    weights = softmax_or_uniform(scores, (m[..., None, :] & m[..., :, None]).expand_as(scores), m[..., :, None].expand(*scores.shape[:-1], 1))
    return torch.einsum("schij,sjchd->sichd", weights, v).reshape(S, whole, H, -1)


def released_local(q, k, v, real, block):
    N = q.shape[1]
    C = N // block + 1
    tail = C * block - N
    q, k, v = (torch.cat([x, x.new_zeros(x.shape[0], tail, *x.shape[2:])], 1) for x in (q, k, v))
    real = torch.cat([real, real.new_ones(real.shape[0], tail)], 1)
    return own_set(q, k, v, real, C)[:, :N]


def released_sinkhorn(q, k, v, real, block):
    S, N, H, _ = q.shape
    C = N // block
    sums_k, sums_v = (x.reshape(S, block, C, H, -1).sum(2) for x in (k, v))
    scores = torch.einsum("sichd,sjhd->schij", q.reshape(S, block, C, H, -1), sums_k) / q.shape[-1]**0.5
    m = bits_as_sets(real, C)
    pairs = (m[:, :, :, None] & m[:, :, None, :]).any(1)  # S b b
    keys = pairs[:, None, None].expand_as(scores)
    weights = softmax_or_uniform(scores, keys, keys.any(-1, keepdim=True))
    return own_set(q, k, v, real, C) + torch.einsum("schij,sjhd->sichd", weights, sums_v).reshape(S, N, H, -1)


def sinkhorn_matrix(logits, iterations, temperature):
    x = logits / temperature
    for _ in range(iterations):
        x = x - torch.logsumexp(x, -1, keepdim=True)
        x = x - torch.logsumexp(x, -2, keepdim=True)
    return x.exp()


def sinkhorn(q, k, v, real, block, x, sort_net, iterations, temperature, cut=0):
    """x (S, N, D): the layer's input; sort_net: from sums (n, D) to logits (H, n, n). Sequence by sequence."""
    out = []
    for q, k, v, real, x in zip(q, k, v, real, x):
        N, H, _ = q.shape
        n = -(-N // block)
        fill = lambda t: torch.cat([t, t.new_zeros(n * block - N, *t.shape[1:])])
        r = fill(real)
        x, zk, zv = (fill(t) * r.reshape(-1, *[1] * (t.ndim - 1)) for t in (x, k, v))
        m = r.reshape(n, block)
        alive, places = m.any(1), m.any(0)
        index = alive.nonzero()[:, 0]
        logits = sort_net(x.reshape(n, block, -1).sum(1))
        P = logits.new_zeros(H, n, n)
        P[:, index[:, None], index] = sinkhorn_matrix(logits[:, index[:, None], index], iterations, temperature)
        mixed_k, mixed_v = (torch.einsum("hnm,mshd->nshd", P, t.reshape(n, block, H, -1)) for t in (zk, zv))
        sorted_seen = alive[:, None] & places  # n b
        own = lambda t: fill(t).reshape(n, block, H, -1)
        if cut:
            keys, values = (t[:cut].reshape(1, cut * block, H, -1).expand(n, -1, -1, -1) for t in (mixed_k, mixed_v))
            seen = sorted_seen[:cut].reshape(1, -1).expand(n, -1)
        else:
            keys, values = torch.cat([mixed_k, own(k)], 1), torch.cat([mixed_v, own(v)], 1)
            seen = torch.cat([sorted_seen, m], 1)
        scores = torch.einsum("nihd,njhd->nhij", own(q), keys) / q.shape[-1]**0.5
        some = seen.any(1)[:, None, None, None]
        weights = torch.softmax(scores.masked_fill(~seen[:, None, None], -torch.inf).masked_fill(~some, 0.0), -1) * some
        out.append(torch.einsum("nhij,njhd->nihd", weights, values).reshape(n * block, H, -1)[:N])
    return torch.stack(out)


class SinkhornTwin(Twin):
    """The encoder of arena_twin.py with these in place of its attention."""

    def attend(self, name, x, real):
        c, w, H = self.c, self.w, int(self.c["model.heads"])
        block, D = int(c["attention.stride"]), int(c["model.width"])
        q, k, v = (t.reshape(*x.shape[:2], H, -1) for t in (x @ w[name + "attention.qkv.weight"]).chunk(3, -1))
        if c["attention.form"] == "lra":
            form = released_local if c["attention.pattern"] == "local" else released_sinkhorn
            y = form(q, k, v, real, block)
        else:
            def sort_net(sums):
                if name + "attention.sort.in.weight" in w:
                    sums = torch.relu(sums @ w[name + "attention.sort.in.weight"] + w[name + "attention.sort.in.bias"])
                return (sums @ w[name + "attention.sort.out.weight"]).reshape(len(sums), H, -1).transpose(0, 1)[:, :, :len(sums)]
            y = sinkhorn(q, k, v, real, block, x, sort_net, int(c["attention.iterations"]), float(c["attention.temperature"]),
                         int(c["attention.sort_cut"]))
        return y.reshape(*x.shape[:2], -1) @ w[name + "attention.out.weight"]

    def forward(self, tokens, real):
        w, D = self.w, int(self.c["model.width"])
        norm = lambda h, name: torch.nn.functional.layer_norm(h, (D,), w[name + ".gain"], w[name + ".bias"], 1e-6)
        h = w["embedding.token"][tokens]
        if self.c["attention.form"] == "lra":
            real = tokens != 0
        if self.front:
            h = torch.cat([w["embedding.start"].expand(h.shape[0], 1, D), h], 1)
            first = real[:, :1] if self.c["attention.form"] == "lra" else torch.ones_like(real[:, :1])
            real = torch.cat([first, real], 1)
        h = h + self.positions(h.shape[1], D)
        for name, _ in self.layers:
            h = h + self.attend(name, norm(h, name + "norm1"), real)
            hidden = norm(h, name + "norm2") @ w[name + "feedforward.in.weight"] + w[name + "feedforward.in.bias"]
            h = h + torch.nn.functional.gelu(hidden, approximate="tanh") @ w[name + "feedforward.out.weight"] + w[name + "feedforward.out.bias"]
        h = norm(h, "norm")
        if self.c["model.pooling"] == "cls":
            x = h[:, 0]
        elif self.c["model.pooling"] == "mean_all":
            x = h.mean(1)
        else:
            x = (h * real[:, :, None]).sum(1) / real.sum(1, keepdim=True)
        if self.pairs:
            x = torch.cat(x.chunk(2), 1)
        for name in ("head.mlp", "head.mlp2"):
            if name + ".weight" in w:
                x = torch.relu(x @ w[name + ".weight"] + w[name + ".bias"])
        return x @ w["head.logits.weight"] + w["head.logits.bias"]
