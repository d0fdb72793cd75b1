"""Linear recurrent units as a PyTorch user would write them, complex numbers and a loop over positions, in float64.

  lru_twin.py --checkpoint STEP-0.h5 --gradients GRADIENTS.h5 --logits LOGITS.h5

Compares as arena_twin.py does.
"""
import sys

import arena_twin
import torch


def scan(u, factor):
    """h_t = factor h_{t-1} + u_t along axis 1."""
    h, state = [], torch.zeros_like(u[:, 0])
    for t in range(u.shape[1]):
        state = factor * state + u[:, t]
        h.append(state)
    return torch.stack(h, 1)


def recurrence(u, real, nu, theta, gain, directions):
    """u complex (S, N, P); states of each direction, 0 where nothing is real."""
    factor = torch.exp(torch.complex(-nu.exp(), theta.exp()))
    u = gain.exp() * u * real[:, :, None]
    h = [scan(u, factor)] + [scan(u.flip(1), factor).flip(1)] * (directions - 1)
    return [x * real[:, :, None] for x in h]


class Twin(arena_twin.Twin):
    family = "lru"

    def __init__(self, weights, config):
        torch.nn.Module.__init__(self)
        self.c, self.w = config, {n: torch.nn.Parameter(t) for n, t in weights.items()}
        self.pairs = config["data.task"] == "pairs"
        self.directions = 2 if config["model.bidirectional"] == "true" else 1
        self.pre_norm = config["model.stream"] == "pre_norm"

    def norm(self, name, x):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], self.w[name + ".gain"], self.w[name + ".bias"], 1e-6)

    def mixed(self, x, real, w):
        u = torch.complex(*(x @ w("in.weight")).chunk(2, -1))
        states = recurrence(u, real, w("nu"), w("theta"), w("gain"), self.directions)
        y = w("skip") * x
        for h, rows in zip(states, w("out.weight").chunk(self.directions)):
            first, second = rows.chunk(2)
            y = y + (h @ torch.complex(first, -second)).real
        return y

    def unit(self, x, real, block):
        w = lambda which: self.w[block + self.family + "." + which]
        y = torch.nn.functional.gelu(self.mixed(x, real, w))
        a, b = (y @ w("glu.weight") + w("glu.bias")).chunk(2, -1)
        return a * b.sigmoid()

    def forward(self, tokens, real):
        h = self.w["embedding.token"][tokens]
        for r in range(int(self.c["model.layers"])):
            name = f"block.{r:02d}."
            if self.pre_norm:
                h = h + self.unit(self.norm(name + "norm", h), real, name)
            else:
                h = self.norm(name + "norm", h + self.unit(h, real, name))
        if self.pre_norm:
            h = self.norm("norm", h)
        x = (h * real[:, :, None]).sum(1) / real.sum(1, keepdim=True)
        if self.pairs:
            first, second = x.chunk(2)
            x = torch.cat([first, second, first * second, first - second], 1)
        return x @ self.w["head.logits.weight"] + self.w["head.logits.bias"]


if __name__ == "__main__":
    arena_twin.Twin = Twin
    sys.exit(arena_twin.main())
