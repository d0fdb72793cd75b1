"""The Reformer's family written out in PyTorch, in float64, with its own automatic differentiation."""
import torch


def visible(config, N):
    """Which keys a query sees, its own apart: all before it, or those of its chunk and of the one before."""
    i, j = torch.arange(N)[:, None], torch.arange(N)[None, :]
    sees = j < i
    if config["attention.pattern"] == "lsh":
        m = int(config["attention.chunk"])
        sees = sees & (i // m - j // m <= 1)
    return sees | ((i == j) & ~sees.any(1, keepdim=True))  # itself as a last resort


class Twin:
    """weights: by the names of docs/checkpoint.md; config: section.key: text. What a query sees is visible(), or `attend`, a
    function of q and v (both B, H, N, E) and the number of the layer that gives the heads' outputs."""

    def __init__(self, weights, config, attend=None):
        self.attend = attend or self.softmax
        self.c, self.w = config, {n: t.requires_grad_() for n, t in weights.items()}
        self.D, self.H, self.N = (int(config["model." + k]) for k in ("width", "heads", "context"))

    def norm(self, x, name):
        return torch.nn.functional.layer_norm(x, (self.D,), self.w[name + ".gain"], self.w[name + ".bias"], 1e-5)

    def softmax(self, q, v, layer, sees=None):
        """Over the keys that are visible, or those of `sees` (B, H, N, N)."""
        k = q / q.norm(dim=-1, keepdim=True)
        score = (q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5
        return score.masked_fill(~(visible(self.c, self.N) if sees is None else sees), -torch.inf).softmax(-1) @ v

    def attention(self, x, block):
        q, v = (x @ self.w[block + "attention.qv.weight"]).chunk(2, -1)
        q, v = (t.unflatten(-1, (self.H, -1)).transpose(1, 2) for t in (q, v))
        attended = self.attend(q, v, int(block.split(".")[1]))
        return attended.transpose(1, 2).flatten(-2) @ self.w[block + "attention.out.weight"]

    def feed_forward(self, x, block):
        hidden = torch.nn.functional.gelu(x @ self.w[block + "feedforward.in.weight"] + self.w[block + "feedforward.in.bias"])
        return hidden @ self.w[block + "feedforward.out.weight"] + self.w[block + "feedforward.out.bias"]

    def position(self):
        w, t = self.w, torch.arange(self.N)
        if self.c["model.positions"] == "learned":
            return w["embedding.position.0"]
        columns = w["embedding.position.1"].shape[0]
        return torch.cat([w["embedding.position.0"][t // columns], w["embedding.position.1"][t % columns]], 1)

    def embed(self, tokens):
        slots = self.D ** 0.5 * self.w["embedding.token"][tokens] + self.position()
        if self.c["data.scoring"] == "reproduction":
            return slots
        return torch.cat([self.w["embedding.start"].expand(len(tokens), 1, self.D), slots[:, :-1]], 1)

    def streams(self, tokens):
        """(the one, the other) at their end, of a stream that is not reversible both the same."""
        x = self.embed(tokens)
        stream = self.c["model.stream"]
        one, two = x, x
        for r in range(int(self.c["model.layers"])):
            b = f"block.{r:02d}."
            if stream == "reversible":
                one = one + self.attention(self.norm(two, b + "norm1"), b)
                two = two + self.feed_forward(self.norm(one, b + "norm2"), b)
            elif stream == "post_norm":
                x = self.norm(x + self.attention(x, b), b + "norm1")
                x = self.norm(x + self.feed_forward(x, b), b + "norm2")
            else:
                x = x + self.attention(self.norm(x, b + "norm1"), b)
                x = x + self.feed_forward(self.norm(x, b + "norm2"), b)
        return (one, two) if stream == "reversible" else (x, x)

    def logits(self, tokens):
        one, two = self.streams(tokens)
        x = (one + two) / 2
        if self.c["model.stream"] != "post_norm":
            x = self.norm(x, "norm")
        output = self.w["output.weight"] if "output.weight" in self.w else self.w["embedding.token"].t()
        return x @ output + self.w["output.bias"]

    def loss(self, tokens):
        half = self.N // 2
        if self.c["data.scoring"] == "reproduction":
            targets = torch.cat([tokens[:, 1:], torch.zeros(len(tokens), 1, dtype=torch.int64)], 1)
            first = half
        else:
            targets, first = tokens, half + 1
        return torch.nn.functional.cross_entropy(self.logits(tokens)[:, first:].flatten(0, 1), targets[:, first:].flatten())
