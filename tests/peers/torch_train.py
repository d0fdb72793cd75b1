#!/usr/bin/python3
"""A PyTorch twin of the Sparse Transformer, by autograd: follows a run's first steps from the same weights and data.

  torch_train.py --checkpoint step-00000000.h5 --batches BATCHES.h5 --metrics metrics.h5 [--gradients GRADIENTS.h5]
                 [--steps 20] [--limit 1e-4]

The run must be fp32, without dropout, from step 0, on one device:
  checkpoint  the run's weights at step 0 (docs/checkpoint.md); its attribute `config` says model and optimiser
  batches     dataset tokens (steps, batch, N): what each step trained on
  metrics     /steps/loss, the run's own losses
  gradients   one step's gradient before clipping, one dataset for each parameter's name; attribute `step` says which
              step (1 if it is absent, but then all gradients except the output matrix's are zero: it starts as zero)
Compared: the loss of every step (absolute difference) and each tensor of the gradient (largest difference over the
largest element of that tensor). Exit status 0 if all are within the limit, 1 if not, 77 (skipped) without PyTorch.
"""
import argparse
import math
import sys
import tomllib

import h5py
import numpy as np

try:
    import torch
except ImportError:
    print("SKIPPED: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)

SETS = {"dense": ("dense",), "local": ("local",), "strided": ("local", "strided"), "fixed": ("block", "summary")}


def visible(config, block):
    """(H, N, N) booleans: the keys (last axis) that each query of each head sees in this block."""
    n, heads, a = config["model"]["context"], config["model"]["heads"], config["attention"]
    l, c, pair = a["stride"], a["summary"], SETS[a["pattern"]]
    entries = a["combination"] if isinstance(a["combination"], list) else [a["combination"]]
    entry = entries[block % len(entries)]
    query, key = torch.arange(n).view(1, n, 1), torch.arange(n).view(1, 1, n)
    head = torch.arange(heads).view(heads, 1, 1)
    group = head * 0 if a["shared_summary"] else head % (l // c)
    in_block = key % l
    sets = {
        "dense": (key >= 0) & (head >= 0),
        "local": (key > query - l) & (head >= 0),
        "strided": ((query - key) % l == 0) & (head >= 0),
        "block": (torch.div(key, l, rounding_mode="floor") == torch.div(query, l, rounding_mode="floor")) & (head >= 0),
        "summary": (in_block >= l - (group + 1) * c) & (in_block < l - group * c),
    }
    if entry == "merged":
        seen = torch.stack([sets[name].expand(heads, n, n) for name in pair]).any(0)
    elif entry == "interleaved":
        seen = sets[pair[block % len(pair)]].expand(heads, n, n)
    elif entry == "heads":
        seen = torch.stack([sets[pair[h % len(pair)]].expand(heads, n, n)[h] for h in range(heads)])
    else:
        seen = sets[entry].expand(heads, n, n)
    return seen & (key <= query)


class Twin:
    def __init__(self, path):
        with h5py.File(path) as f:
            if int(f.attrs["step"]) != 0:
                raise SystemExit(f"{path} is of step {f.attrs['step']}, expected a checkpoint of step 0")
            text = f.attrs["config"]
            self.config = tomllib.loads(text.decode() if isinstance(text, bytes) else text)
            self.parameters = {name: torch.from_numpy(np.array(array[...], dtype=np.float32)).requires_grad_()
                               for name, array in f["parameters"].items()}
        m = self.config["model"]
        if m["dropout"] != 0 or self.config["run"]["precision"] != "fp32":
            raise SystemExit("expected a run with model.dropout = 0 and run.precision = \"fp32\"")
        self.masks = [visible(self.config, block) for block in range(m["layers"])]
        self.digits = max(2, len(str(m["layers"] - 1)))
        l = self.config["attention"]["stride"]
        shape = m["position_shape"] or [math.ceil(m["context"] / l), l]
        places, self.coordinates = torch.arange(m["context"] - 1), []
        for extent in reversed(shape):
            self.coordinates.insert(0, places % extent)
            places = torch.div(places, extent, rounding_mode="floor")

    def loss(self, tokens):
        """Mean cross-entropy in nats over every token of a (B, N) batch."""
        p, m = self.parameters, self.config["model"]
        heads, width = m["heads"], m["width"]
        inner = width // 2 if m["half_size"] else width
        batch, n = tokens.shape
        position = sum(p[f"embedding.position.{c}"][k] for c, k in enumerate(self.coordinates))
        start = p["embedding.start"].expand(batch, 1, width)
        h = torch.cat([start, p["embedding.token"][tokens[:, :-1]] + position], 1)
        for block, mask in enumerate(self.masks):
            at = f"block.{block:0{self.digits}d}.".__add__
            x = torch.nn.functional.layer_norm(h, (width,), p[at("norm1.gain")], p[at("norm1.bias")], 1e-5)
            qkv = x @ p[at("attention.qkv.weight")] + p[at("attention.qkv.bias")]
            q, k, v = (part.view(batch, n, heads, -1).transpose(1, 2) for part in qkv.split([inner, inner, width], -1))
            scores = (q @ k.transpose(2, 3)) / math.sqrt(inner // heads)
            # A query without keys: any finite scores, then all weights zero.
            weights = scores.masked_fill(~mask, -1e30).softmax(-1).masked_fill(~mask, 0)
            x = (weights @ v).transpose(1, 2).reshape(batch, n, width)
            h = h + x @ p[at("attention.out.weight")] + p[at("attention.out.bias")]
            x = torch.nn.functional.layer_norm(h, (width,), p[at("norm2.gain")], p[at("norm2.bias")], 1e-5)
            u = x @ p[at("feedforward.in.weight")] + p[at("feedforward.in.bias")]
            h = h + (u * torch.sigmoid(1.702 * u)) @ p[at("feedforward.out.weight")] + p[at("feedforward.out.bias")]
        h = torch.nn.functional.layer_norm(h, (width,), p["norm.gain"], p["norm.bias"], 1e-6)
        return torch.nn.functional.cross_entropy((h @ p["output.weight"]).view(batch * n, -1), tokens.reshape(-1))

    def rate(self, step, steps):
        """Learning rate of step 1, 2, ...: linear warm-up, then constant, linear or half a cosine."""
        s, top = self.config["schedule"], self.config["optimizer"]["learning_rate"]
        w, e = s["warmup_steps"], s["final_factor"]
        if step < w:
            return top * step / w
        x = min(1.0, (step - w) / (steps - w)) if steps > w else 0.0
        shape = {"constant": lambda: 1.0, "linear": lambda: 1 + (e - 1) * x,
                 "cosine": lambda: e + (1 - e) * (1 + math.cos(math.pi * x)) / 2}
        if s["kind"] not in shape:
            raise SystemExit(f"got schedule.kind = {s['kind']}, expected one of {', '.join(shape)}")
        return top * shape[s["kind"]]()

    def optimizer(self):
        o = self.config["optimizer"]
        matrices = [p for p in self.parameters.values() if p.dim() >= 2]  # weight decay acts on these only
        vectors = [p for p in self.parameters.values() if p.dim() < 2]
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[o["kind"]]
        return kind([{"params": matrices, "weight_decay": o["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}],
                    lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"])


def gradient_step(path):
    with h5py.File(path) as f:
        return int(f.attrs.get("step", 1))


def gradient_difference(twin, path):
    """Largest over tensors of (largest difference / largest element), and the tensor's name."""
    worst, where = 0.0, "none"
    with h5py.File(path) as f:
        names = set(f.keys())
        if names != set(twin.parameters):
            raise SystemExit(f"{path} has other names than the checkpoint: {sorted(names ^ set(twin.parameters))}")
        for name, p in twin.parameters.items():
            theirs, ours = f[name][...].astype(np.float64), p.grad.numpy().astype(np.float64)
            error, scale = np.abs(theirs - ours).max(), np.abs(ours).max()
            relative = error / scale if scale > 0 else error
            if not relative <= worst:  # takes a NaN
                worst, where = relative, name
            if math.isnan(relative):
                break
    return worst, where


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "batches", "metrics"):
        arguments.add_argument("--" + name, required=True)
    arguments.add_argument("--gradients")
    arguments.add_argument("--steps", type=int, default=20)
    arguments.add_argument("--limit", type=float, default=1e-4)
    given = arguments.parse_args()
    twin = Twin(given.checkpoint)
    with h5py.File(given.batches) as f:
        batches = f["tokens"][: given.steps].astype(np.int64)
    with h5py.File(given.metrics) as f:
        theirs = f["steps/loss"][: given.steps]
    total = twin.config["training"]["steps"]
    if len(batches) < given.steps or len(theirs) < given.steps or total < given.steps:
        raise SystemExit(f"got {len(batches)} batches, {len(theirs)} losses and training.steps = {total}, "
                         f"expected at least {given.steps} of each")
    optimizer, clip = twin.optimizer(), twin.config["optimizer"]["clip"]
    good, compared = True, not given.gradients
    for step in range(1, given.steps + 1):
        optimizer.zero_grad(set_to_none=False)
        loss = twin.loss(torch.from_numpy(batches[step - 1]))
        loss.backward()
        difference = abs(loss.item() - float(theirs[step - 1]))
        good = good and difference <= given.limit
        print(f"step {step:3d}  loss {loss.item():.6f}  run {theirs[step - 1]:.6f}  difference {difference:.2e}")
        if given.gradients and step == gradient_step(given.gradients):
            worst, where = gradient_difference(twin, given.gradients)
            good, compared = good and worst <= given.limit, True
            print(f"gradient of step {step}: largest relative difference {worst:.2e} in {where}")
        if clip > 0:
            gradients = [p.grad for p in twin.parameters.values()]
            length = math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients))
            for g in gradients:
                g.mul_(min(1.0, clip / length))
        for group in optimizer.param_groups:
            group["lr"] = twin.rate(step, total)
        optimizer.step()
    if not compared:
        print(f"{given.gradients} is of step {gradient_step(given.gradients)}, which was not reached")
    good = good and compared
    print(f"limit {given.limit:g}: {'agrees' if good else 'DIFFERS'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
