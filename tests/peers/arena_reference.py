"""The arena's encoder as a whole, forward and backward, made of the double-precision references of our operations."""
import numpy as np

from reference import call

ACTIVATIONS = {"sigmoid_gelu": 0, "gelu_tanh": 1, "gelu": 2, "relu": 3}


class Linear:
    def __init__(self, encoder, name):
        self.encoder, self.name, self.w = encoder, name, encoder.w[name + ".weight"]

    def forward(self, x):
        self.x, y = x, np.empty((x.shape[0], self.w.shape[1]))
        call("weft_linear_forward", y, x, self.w, self.encoder.w.get(self.name + ".bias"), x.shape[0], *self.w.shape)
        return y

    def backward(self, dy):
        dx, dw = np.empty_like(self.x), np.empty_like(self.w)
        call("weft_linear_backward", dx, dw, dy, self.x, self.w, len(dy), *self.w.shape)
        self.encoder.gradients[self.name + ".weight"] = dw
        if self.name + ".bias" in self.encoder.w:
            self.encoder.gradients[self.name + ".bias"] = dy.sum(0)
        return dx


class Norm:
    def __init__(self, encoder, name):
        self.encoder, self.name, self.gain, self.bias = encoder, name, encoder.w[name + ".gain"], encoder.w[name + ".bias"]

    def forward(self, x):
        self.x, y = x, np.empty_like(x)
        self.statistics = np.empty(len(x)), np.empty(len(x))
        call("weft_norm_forward", y, *self.statistics, x, self.gain, self.bias, *x.shape, self.encoder.epsilon)
        return y

    def backward(self, dy):
        dx, dgain, dbias = np.zeros_like(dy), np.empty_like(self.gain), np.empty_like(self.bias)
        call("weft_norm_backward", dx, dgain, dbias, dy, self.x, *self.statistics, self.gain, *dy.shape)
        self.encoder.gradients.update({self.name + ".gain": dgain, self.name + ".bias": dbias})
        return dx


class Activation:
    def __init__(self, kind):
        self.kind = ACTIVATIONS[kind]

    def forward(self, u):
        self.u, out = u, np.empty_like(u)
        call("weft_activation_forward", self.kind, out, u, u.size)
        return out

    def backward(self, dout):
        du = np.empty_like(dout)
        call("weft_activation_backward", self.kind, du, dout, self.u, dout.size)
        return du


class Attention:
    def __init__(self, encoder):
        self.encoder = encoder

    def forward(self, qkv):
        B, N, H = self.encoder.B, self.encoder.N, self.encoder.H
        self.qkv = [np.ascontiguousarray(x).reshape(B, N, H, -1) for x in np.split(qkv, 3, 1)]
        E = self.qkv[0].shape[3]
        self.sizes, out = np.array([B, N, H, E, E]), np.empty_like(self.qkv[0])
        call("weft_seen_attention_forward", self.sizes, self.encoder.real, out, np.empty((B, H, N)), *self.qkv)
        return out.reshape(B * N, -1)

    def backward(self, dout):
        gradients = [np.empty_like(x) for x in self.qkv]
        call("weft_seen_attention_backward", self.sizes, self.encoder.real, *gradients, dout, *self.qkv)
        return np.hstack([x.reshape(len(dout), -1) for x in gradients])


class Chain:
    def __init__(self, *parts):
        self.parts = parts

    def forward(self, x):
        for part in self.parts:
            x = part.forward(x)
        return x

    def backward(self, dy):
        for part in reversed(self.parts):
            dy = part.backward(dy)
        return dy


class Residual(Chain):
    def forward(self, x):
        return x + super().forward(x)

    def backward(self, dy):
        return dy + super().backward(dy)


class Encoder:
    """weights: float64 arrays by name; positions: [N, D] that are not learned, or None."""

    def __init__(self, weights, config, positions=None):
        self.w, self.config, self.fixed, self.gradients = weights, config, positions, {}
        self.H, self.D, self.L = (int(config["model." + key]) for key in ("heads", "width", "layers"))
        self.front, self.pairs = "embedding.start" in weights, config["data.task"] == "pairs"
        self.four, self.first = int(config["model.pair_features"] == "four"), int(config["model.pooling"] == "cls")
        self.epsilon, self.divisor, self.activation = 1e-6, 0.0, "gelu_tanh"
        if config["model.code"] == "nystromformer":
            longest = int(config["model.context"])
            self.epsilon, self.divisor, self.activation = 1e-5, 2.0 ** (longest - 1).bit_length(), "gelu"

    def blocks(self):
        for r in range(self.L):
            block = f"block.{r:02d}."
            dense = lambda name: Linear(self, block + name)
            yield Residual(Norm(self, block + "norm1"), dense("attention.qkv"), Attention(self), dense("attention.out"))
            yield Residual(Norm(self, block + "norm2"), dense("feedforward.in"), Activation(self.activation),
                           dense("feedforward.out"))
        yield Norm(self, "norm")

    def classifier(self):
        for name in ("head.mlp", "head.mlp2"):
            if name + ".weight" in self.w:
                yield from (Linear(self, name), Activation("relu"))
        yield Linear(self, "head.logits")

    def forward(self, tokens, real):
        """Logits (rows, classes). tokens, real: [B, N]; of pairs the first documents, then the second ones."""
        self.tokens, front = np.ascontiguousarray(tokens, np.uint16), int(self.front)
        self.B, self.N = tokens.shape[0], tokens.shape[1] + front
        self.real = np.ascontiguousarray(np.pad(real, ((0, 0), (front, 0)), constant_values=True))
        position = self.w.get("embedding.position.0", self.fixed)
        self.sizes = np.array([self.B, tokens.shape[1], self.D, len(self.w["embedding.token"]), front,
                               0 if position is None else len(position)])
        h = np.empty((self.B * self.N, self.D))
        call("weft_embedding_forward", self.sizes, h, self.w["embedding.token"], self.w.get("embedding.start"), position,
             self.tokens)
        self.stream, self.head = Chain(*self.blocks()), Chain(*self.classifier())
        h = self.stream.forward(h)
        self.shape, self.pooled = np.array([self.B, self.N, self.D]), np.empty((self.B, self.D))
        padded = np.pad(self.real, ((0, 0), (0, -self.N % 32)))
        self.seen = np.packbits(padded, axis=1, bitorder="little").view(np.uint32)
        call("weft_pool_forward", self.shape, self.first, self.seen, self.divisor, self.pooled, h)
        features = self.pooled
        if self.pairs:
            features = np.empty((self.B // 2, (4 if self.four else 2) * self.D))
            call("weft_pairs_forward", self.four, features, self.pooled, len(features), self.D)
        self.logits = self.head.forward(features)
        return self.logits

    def backward(self, labels):
        """The mean loss; leaves the gradients of all weights."""
        losses, dlogits = np.empty(len(labels)), np.empty_like(self.logits)
        call("weft_cross_entropy", losses, dlogits, self.logits, np.ascontiguousarray(labels, np.uint16), *dlogits.shape)
        dpooled = self.head.backward(dlogits)
        if self.pairs:
            dfeatures, dpooled = dpooled, np.empty_like(self.pooled)
            call("weft_pairs_backward", self.four, dpooled, dfeatures, self.pooled, len(dfeatures), self.D)
        dh = np.empty((self.B * self.N, self.D))
        call("weft_pool_backward", self.shape, self.first, self.seen, self.divisor, dh, dpooled)
        dh = self.stream.backward(dh)
        g = {name: np.zeros_like(w) for name, w in self.w.items() if name.startswith("embedding.")}
        dposition = g.get("embedding.position.0", None if self.fixed is None else np.empty_like(self.fixed))
        call("weft_embedding_backward", self.sizes, g["embedding.token"], g.get("embedding.start"), dposition, dh, self.tokens)
        self.gradients.update(g)
        return losses.mean()
