"""The arena's encoder as a PyTorch user would write it: torch.nn.TransformerEncoderLayer, pre-norm, in float64. Linear
attention, which torch does not have, is written out in the form of the Long Range Arena: every position is a key.

  arena_twin.py --checkpoint STEP-0.h5 --gradients GRADIENTS.h5 --logits LOGITS.h5

Takes the weights of the checkpoint, the data set that its input names, and compares the gradient of the mean loss over the
whole training split (one step, batch = split) tensor by tensor, and the logits of the first micro-batch of the test split.
Ends with 1 where a relative error is above 1e-4.
"""
import argparse
import math
import sys

import h5py
import torch

LIMIT = 1e-4


def config_of(file):
    """The resolved input as a dictionary section.key: text; enough for the few keys that are needed here."""
    out, section = {}, ""
    for line in file.attrs["config"].splitlines():
        if line.startswith("["):
            section = line[1:-1]
        elif " = " in line:
            key, value = line.split(" = ", 1)
            out[f"{section}.{key.strip()}"] = value.split(" # ")[0].strip().strip('"')
    return out


def load(checkpoint):
    """(the input, the weights by name in double precision)"""
    weights = {}
    with h5py.File(checkpoint) as f:
        config = config_of(f)
        f["parameters"].visititems(lambda n, d: weights.__setitem__(n, torch.tensor(d[()]).double())
                                   if isinstance(d, h5py.Dataset) else None)
    return config, weights


class Twin(torch.nn.Module):
    def __init__(self, weights, config):
        super().__init__()
        self.c, self.w = config, {n: torch.nn.Parameter(t) for n, t in weights.items()}
        D, H = int(config["model.width"]), int(config["model.heads"])
        self.pairs = config["data.task"] == "pairs"
        self.front = "embedding.start" in self.w
        self.second_code = config["model.code"] == "nystromformer"  # the Nystromformer's: torch's own defaults
        self.bert, self.gpt2 = (config["model.code"] == code for code in ("bert", "gpt2"))
        self.epsilon = 1e-12 if self.bert else 1e-5 if self.second_code or self.gpt2 else 1e-6
        self.layers = []
        for r in range(int(config["model.layers"])):
            name = f"block.{r:02d}."
            layer = torch.nn.TransformerEncoderLayer(
                D, H, self.w[name + "feedforward.in.bias"].numel(), dropout=0.0, batch_first=True, norm_first=not self.bert,
                activation=lambda x: torch.nn.functional.gelu(x, approximate="none" if self.second_code or self.bert else "tanh"),
                layer_norm_eps=self.epsilon, dtype=torch.float64)
            self.layers.append((name, layer))

    def layer_weights(self, name):
        """torch's names and layouts for our tensors; the arena's attention has no biases."""
        w, D = self.w, int(self.c["model.width"])
        bias = lambda which, n: w.get(name + which, torch.zeros(n, dtype=torch.float64))
        return {"self_attn.in_proj_weight": w[name + "attention.qkv.weight"].t(),
                "self_attn.in_proj_bias": bias("attention.qkv.bias", 3 * D),
                "self_attn.out_proj.weight": w[name + "attention.out.weight"].t(),
                "self_attn.out_proj.bias": bias("attention.out.bias", D),
                "linear1.weight": w[name + "feedforward.in.weight"].t(), "linear1.bias": w[name + "feedforward.in.bias"],
                "linear2.weight": w[name + "feedforward.out.weight"].t(), "linear2.bias": w[name + "feedforward.out.bias"],
                "norm1.weight": w[name + "norm1.gain"], "norm1.bias": w[name + "norm1.bias"],
                "norm2.weight": w[name + "norm2.gain"], "norm2.bias": w[name + "norm2.bias"]}

    def linear_block(self, name, h):
        """attention.pattern "linear" (elu + 1), or "performer" with relu + 0.001."""
        w, D, H = self.w, int(self.c["model.width"]), int(self.c["model.heads"])
        norm = lambda x, which: torch.nn.functional.layer_norm(x, (D,), w[name + which + ".gain"], w[name + which + ".bias"], 1e-6)
        q, k, v = (x.unflatten(-1, (H, -1)) for x in (norm(h, "norm1") @ w[name + "attention.qkv.weight"]).chunk(3, -1))
        linear = self.c["attention.pattern"] == "linear"
        f = (lambda x: torch.where(x > 0, x + 1, x.exp())) if linear else (lambda x: x.clamp(min=0) + 0.001)
        sums, total = torch.einsum("bjhm,bjhe->bhme", f(k), v), f(k).sum(1)
        out = torch.einsum("bihm,bhme->bihe", f(q), sums)
        out = out / (torch.einsum("bihm,bhm->bih", f(q), total)[..., None] + (1e-6 if linear else 0))
        h = h + out.flatten(-2) @ w[name + "attention.out.weight"]
        hidden = norm(h, "norm2") @ w[name + "feedforward.in.weight"] + w[name + "feedforward.in.bias"]
        hidden = torch.nn.functional.gelu(hidden, approximate="tanh")
        return h + hidden @ w[name + "feedforward.out.weight"] + w[name + "feedforward.out.bias"]

    def positions(self, count, D):
        if "embedding.position.0" in self.w:
            return self.w["embedding.position.0"][:count]
        if self.c["model.positions"] == "none":
            return 0
        place, pair = torch.arange(count, dtype=torch.float64)[:, None], torch.arange(0, D, 2, dtype=torch.float64)
        angle = place * 10000.0 ** (-pair / D)
        table = torch.zeros(count, D, dtype=torch.float64)
        table[:, 0::2], table[:, 1::2] = angle.sin(), angle.cos()[:, :D // 2]
        return table

    def forward(self, tokens, real):
        D = int(self.c["model.width"])
        h = self.w["embedding.token"][tokens]
        if self.front:
            h = torch.cat([self.w["embedding.start"].expand(h.shape[0], 1, D), h], 1)
            real = torch.cat([torch.ones(h.shape[0], 1, dtype=torch.bool), real], 1)
        h = h + self.positions(h.shape[1], D)
        if self.bert:
            h = torch.nn.functional.layer_norm(h, (D,), self.w["embedding.norm.gain"], self.w["embedding.norm.bias"], self.epsilon)
        ahead = torch.ones(h.shape[1], h.shape[1], dtype=torch.bool).triu(1) if self.gpt2 else None
        for name, layer in self.layers:
            if self.c["attention.pattern"] != "dense":
                h = self.linear_block(name, h)
                continue
            h = torch.nn.utils.stateless.functional_call(layer, self.layer_weights(name), (h,),
                                                         {"src_key_padding_mask": ~real, "src_mask": ahead})
        if not self.bert:
            h = torch.nn.functional.layer_norm(h, (D,), self.w["norm.gain"], self.w["norm.bias"], self.epsilon)
        if self.c["model.pooling"] in ("cls", "first"):
            x = h[:, 0]
        elif self.c["model.pooling"] == "last":
            x = h[torch.arange(h.shape[0]), real.sum(1) - 1]
        else:
            whole = 2 ** math.ceil(math.log2(int(self.c["model.context"])))  # what the second code pads to
            x = (h * real[:, :, None]).sum(1) / (whole if self.second_code else real.sum(1, keepdim=True))
        if self.pairs:
            first, second = x.chunk(2)
            x = torch.cat([first, second], 1)
            if self.c["model.pair_features"] == "four":
                x = torch.cat([x, first * second, first - second], 1)
        for name in ("head.mlp", "head.mlp2"):
            if name + ".weight" in self.w:
                x = (torch.tanh if self.c["model.head"] == "pooler" else torch.relu)(x @ self.w[name + ".weight"]
                                                                                     + self.w[name + ".bias"])
        return x @ self.w["head.logits.weight"] + self.w.get("head.logits.bias", 0)


def split_of(config, split):
    """(tokens, real, labels) of all examples; of pairs the first documents, then the second ones."""
    with h5py.File(f"{config['data.path']}/{split}-00000-of-00001.h5") as f:
        parts = [("tokens", "length")] + ([("tokens2", "length2")] if "tokens2" in f else [])
        tokens = torch.cat([torch.tensor(f[t][()].astype("int64")) for t, _ in parts])
        length = torch.cat([torch.tensor(f[n][()].astype("int64")) for _, n in parts])
        labels = torch.tensor(f["label"][()].astype("int64"))
    return tokens, torch.arange(tokens.shape[1])[None, :] < length[:, None], labels


def differs(what, ours, theirs):
    error = float((ours - theirs).norm() / max(float(theirs.norm()), 1e-12))
    print(f"{what}: relative error {error:.2e}")
    return not error <= LIMIT


def main():
    parser = argparse.ArgumentParser()
    for name in ("checkpoint", "gradients", "logits"):
        parser.add_argument("--" + name, required=True)
    a = parser.parse_args()
    config, weights = load(a.checkpoint)
    twin = Twin(weights, config)
    tokens, real, labels = split_of(config, "train")
    loss = torch.nn.functional.cross_entropy(twin(tokens, real), labels)
    loss.backward()
    print(f"loss {float(loss):.6f}")
    bad = 0
    with h5py.File(a.gradients) as f:
        for name, weight in twin.w.items():
            bad += differs("gradient of " + name, torch.tensor(f["parameters/" + name][()] if "parameters" in f else f[name][()]).double(),
                           weight.grad)
    with h5py.File(a.logits) as f:
        ours = torch.tensor(f["logits"][()]).double()
    tokens, real, _ = split_of(config, "test")
    B, n = ours.shape[0], tokens.shape[0] // (2 if twin.pairs else 1)
    rows = torch.arange(B) if not twin.pairs else torch.cat([torch.arange(B), n + torch.arange(B)])
    with torch.no_grad():
        bad += differs("logits", ours, twin(tokens[rows], real[rows]))
    if not math.isfinite(float(loss)):
        bad += 1
    print("agrees" if bad == 0 else f"{bad} tensors differ by more than {LIMIT}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
