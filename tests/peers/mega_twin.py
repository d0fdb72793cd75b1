"""The program's MEGA as blocks of Hugging Face's in float64, with a mean, GELU and two linear maps behind them.

  mega_twin.py --checkpoint STEP-0.h5 --gradients GRADIENTS.h5 --logits LOGITS.h5

Compares as arena_twin.py does. Theirs is run in training mode without dropout: an evaluation keeps old kernels.
"""
import sys

import arena_twin
import mega_peer
import torch

KEYS = {"attention.value.weight": "v_proj.weight", "attention.value.bias": "v_proj.bias",
        "attention.mixed.weight": "mx_proj.weight", "attention.mixed.bias": "mx_proj.bias",
        "attention.out.weight": "h_proj.weight", "attention.out.bias": "h_proj.bias",
        "ema.omega": "ema_gate.residual_weight"}
BIASES = {"simple": {"attention.relative": "rel_pos_bias.rel_pos_bias"},
          "rotary": {"attention.rotary.query": "rel_pos_bias.alpha", "attention.rotary.key": "rel_pos_bias.b_param"}}
AVERAGES = {"ema.delta": "damping_factor", "ema.alpha": "decay_factor", "ema.beta": "ema_expansion_matrix",
            "ema.gamma": "kernel_projection_matrix"}
FEED_FORWARD = {"feedforward.in.weight": "fc1.weight", "feedforward.in.bias": "fc1.bias",
                "feedforward.out.weight": "fc2.weight", "feedforward.out.bias": "fc2.bias"}


def theirs(tensor, ours):
    """Linear maps are (outputs, inputs) there."""
    return tensor.t() if ours.endswith(".weight") else tensor


class Twin(arena_twin.Twin):
    pairs = False

    def __init__(self, weights, config):
        torch.nn.Module.__init__(self)
        self.c, self.w = config, {n: torch.nn.Parameter(t) for n, t in weights.items()}
        mega = mega_peer.mega()
        D, chunk = int(config["model.width"]), int(config["attention.stride"])
        self.chunked = config["attention.pattern"] != "dense"
        self.chunk, self.scale = chunk, config["model.norm"] == "scale"
        self.front = config["model.stream"] == "pre_norm"
        common = dict(hidden_size=D, ema_projection_size=int(config["attention.states"]), bidirectional=True,
                      shared_representation_size=int(config["attention.shared_width"]), truncation=None,
                      nffn_hidden_size=int(config["model.feedforward"]), max_positions=int(config["model.context"]),
                      normalization_type="scalenorm" if self.scale else "layernorm", normalize_before_mega=self.front,
                      normalize_before_ffn=self.front, relative_positional_bias=config["attention.bias"],
                      attention_activation=config["attention.function"], use_chunking=self.chunked,
                      chunk_size=chunk if self.chunked else -1, dropout_prob=0.0, hidden_dropout_prob=0.0,
                      attention_probs_dropout_prob=0.0, nffn_activation_dropout_prob=0.0)
        self.blocks = []
        for r in range(int(config["model.layers"])):
            name = f"block.{r:02d}."
            theirs_of = mega.MegaConfig(intermediate_size=self.w[name + "attention.value.bias"].numel(), **common)
            block = mega.MegaMovingAverageGatedAttention(theirs_of).double().train()
            mega_peer.exact_convolution(block.ema_gate)
            if config["attention.bias"] == "rotary":
                mega_peer.exact_angles(block.rel_pos_bias, common["max_positions"])
            self.blocks.append((name, block, mega.MegaNormalizedFeedForwardNetwork(theirs_of).double().train()))

    def norm_weights(self, name):
        if self.scale:
            return {"norm.norm.scalar": self.w[name + ".gain"][0]}
        return {"norm.norm.weight": self.w[name + ".gain"], "norm.norm.bias": self.w[name + ".bias"]}

    def last_norm(self, h):
        if self.scale:
            return self.w["norm.gain"] * h * torch.rsqrt((h * h).mean(-1, keepdim=True) + 1e-5)
        return torch.nn.functional.layer_norm(h, h.shape[-1:], self.w["norm.gain"], self.w["norm.bias"], 1e-5)

    def block_weights(self, name):
        w = {key: theirs(self.w[name + ours], ours) for ours, key in KEYS.items()}
        for ours, key in BIASES[self.c["attention.bias"]].items():
            w[key] = self.w[name + ours] if key.endswith("rel_pos_bias") else self.w[name + ours][None]
        w.update(self.norm_weights(name + "norm1"))
        for ours, key in AVERAGES.items():
            both = self.w[name + ours].flatten(0, 1)  # the directions follow each other
            w["ema_gate." + key] = both if ours == "ema.gamma" else both[..., None]
        w["qk_weight"] = torch.stack([self.w[name + f"attention.{of}.gain"] for of in ("query", "key")])
        w["qk_bias"] = torch.stack([self.w[name + f"attention.{of}.shift"] for of in ("query", "key")])
        return w

    def forward(self, tokens, real):
        call, mask = torch.nn.utils.stateless.functional_call, real.double()
        if self.chunked:  # whole chunks only
            more = -tokens.shape[1] % self.chunk
            tokens, mask = torch.nn.functional.pad(tokens, (0, more)), torch.nn.functional.pad(mask, (0, more))
        h = self.w["embedding.token"][tokens].transpose(0, 1)
        for name, block, after in self.blocks:
            h = call(block, self.block_weights(name), (h, mask))[0]
            w = {key: theirs(self.w[name + ours], ours) for ours, key in FEED_FORWARD.items()}
            h = call(after, {**w, **self.norm_weights(name + "norm2")}, (h,))
        if self.front:  # theirs has no norm at the end
            h = self.last_norm(h)
        x = (h.transpose(0, 1) * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        x = torch.nn.functional.gelu(x @ self.w["head.mlp.weight"] + self.w["head.mlp.bias"])
        return x @ self.w["head.logits.weight"]


def differs(what, ours, theirs):
    """What moves all keys alike moves all scores of a query alike: its gradient is 0 but for rounding."""
    if what.endswith("key.shift"):
        return not float(ours.norm()) <= 1e-9
    return relatively(what, ours, theirs)


if __name__ == "__main__":
    arena_twin.Twin, relatively, arena_twin.differs = Twin, arena_twin.differs, differs
    sys.exit(arena_twin.main())
