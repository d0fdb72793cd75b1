#!/usr/bin/python3
"""Whole training steps of the same model in PyTorch and in Weft, in turns, on this machine: how much faster is Weft?

  torch_bench.py --weft build/cpu/weft [--cases NAME...] [--quick] [--rounds 2] [--threads T] [--install DIR]
                 [--precisions bf16 fp32] [--variants eager compiled] [--json FILE]

PyTorch gets what its user would write: scaled_dot_product_attention with the pattern as a boolean mask of N x N (the same
for every head; Weft runs attention.shared_summary = true, the same pattern), bf16 by autocast or plain fp32, eager and
through torch.compile, AdamW (fused where it can be), clipping; for dense attention is_causal instead of a mask. Weft runs
`weft bench INPUT`. Both take random tokens, no dropout, and the median of steps after one to warm up. Printed: seconds and
tokens per second of each, the ratio of the best PyTorch variant to Weft, and the target of the case.

Uses the PyTorch that can be imported; --install DIR makes a virtual environment in DIR with PyTorch from PyPI (several GB)
and runs with that. A PyTorch without scaled_dot_product_attention (before 2.0) runs the same masked softmax written out,
which is said in the output. Exit status 77 (skipped) without PyTorch.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

# Sizes as in the input file; target: Weft's tokens per second over the best of PyTorch.
CASES = {
    "fixed_4096": dict(layers=6, width=512, heads=8, context=4096, batch=1, pattern="fixed", target=5.0),
    "fixed_12288": dict(layers=2, width=512, heads=8, context=12288, batch=1, pattern="fixed", target=8.0),
    "fixed_1024": dict(layers=6, width=256, heads=8, context=1024, batch=8, pattern="fixed", target=3.0),
    "dense_512": dict(layers=6, width=512, heads=8, context=512, batch=8, pattern="dense", target=1.8),
    # The size of inputs/cifar10/strided_small.toml, with both sets of the pattern in every layer.
    "cifar10": dict(layers=8, width=96, heads=3, context=3072, batch=1, pattern="strided", half_size=True,
                    stride=96, position_shape=[32, 32, 3], target=5.0),
}
QUICK = dict(layers=2, width=64, heads=2, context=256, batch=2)
INPUT = """[run]
precision = "{precision}"
[data]
path = "none"
[model]
layers = {layers}
width = {width}
heads = {heads}
context = {context}
dropout = 0.0
half_size = {half}
recompute = "none"
position_shape = {shape}
[attention]
pattern = "{pattern}"
stride = {stride}
summary = 32
shared_summary = true
[optimizer]
weight_decay = 0.01
[training]
steps = 10
batch = {batch}
micro_batch = {batch}
"""


def install(folder):
    """Runs this script again with a PyTorch in a virtual environment of its own."""
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "torch", "numpy"], check=True)
    os.execv(python, [python, "-B", os.path.abspath(__file__), *without_install(sys.argv[1:])])


def without_install(arguments):
    rest, skip = [], False
    for a in arguments:
        if not skip and not a.startswith("--install"):
            rest.append(a)
        skip = a == "--install"
    return rest


def case_of(name, quick):
    case = {"stride": 128, "half_size": False, "position_shape": [], **CASES[name]}
    if quick:
        case.update(QUICK)
        case["position_shape"] = []
        case["stride"] = 64
    return case


def weft_seconds(weft, case, precision, threads):
    """Median seconds of three steps after one to warm up, from `weft bench INPUT --quick --json`."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = os.path.join(folder, "input.toml"), os.path.join(folder, "bench.json")
        shape = json.dumps(case["position_shape"])
        with open(path, "w", encoding="utf-8") as f:
            f.write(INPUT.format(precision=precision, half=str(case["half_size"]).lower(), shape=shape,
                                 **{k: case[k] for k in ("layers", "width", "heads", "context", "pattern", "stride",
                                                         "batch")}))
        env = dict(os.environ, OMP_NUM_THREADS=str(threads))
        command = [weft, "bench", path, "--json", out, "--quick"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        with open(out, encoding="utf-8") as f:
            return json.load(f)["steps"][0]["seconds"]


def make_peer(torch, case, precision):
    """A function that takes one training step in PyTorch; `loss` is what may be compiled."""
    functional = torch.nn.functional
    D, H, N, L, batch, V = case["width"], case["heads"], case["context"], case["layers"], case["batch"], 256
    inner, wide = (D // 2, 2 * D) if case["half_size"] else (D, 4 * D)
    torch.manual_seed(1)
    parameters = []

    def parameter(*shape, std=0.02):
        p = torch.nn.Parameter(torch.randn(*shape) * std)
        parameters.append(p)
        return p

    shape = case["position_shape"] or [math.ceil(N / case["stride"]), case["stride"]]
    token, tables = parameter(V, D), [parameter(extent, D) for extent in shape]
    places, coordinates = torch.arange(N), []
    for extent in reversed(shape):
        coordinates.insert(0, places % extent)
        places = torch.div(places, extent, rounding_mode="floor")
    blocks = [[parameter(D), parameter(D), parameter(D, 2 * inner + D), parameter(2 * inner + D), parameter(D, D),
               parameter(D), parameter(D), parameter(D), parameter(D, wide), parameter(wide), parameter(wide, D),
               parameter(D)] for _ in range(L)]
    gain, bias, output = parameter(D), parameter(D), parameter(D, V)

    mask = None
    if case["pattern"] != "dense":
        l, c = case["stride"], 32
        query, key = torch.arange(N).view(N, 1), torch.arange(N).view(1, N)
        if case["pattern"] == "fixed":
            same = torch.div(key, l, rounding_mode="floor") == torch.div(query, l, rounding_mode="floor")
            mask = (same | (key % l >= l - c)) & (key <= query)
        else:
            mask = ((key > query - l) | ((query - key) % l == 0)) & (key <= query)
        mask = mask.view(1, 1, N, N)
    fused = getattr(functional, "scaled_dot_product_attention", None)
    if mask is None and fused is None:
        mask = torch.ones(N, N, dtype=torch.bool).tril().view(1, 1, N, N)

    def attention(q, k, v):
        if fused is not None:
            return fused(q, k, v, attn_mask=mask, is_causal=mask is None)
        return ((q @ k.transpose(2, 3)) / math.sqrt(q.shape[-1])).masked_fill(~mask, -1e30).softmax(-1) @ v

    def loss(tokens):
        h = token[tokens] + sum(t[k] for t, k in zip(tables, coordinates))
        for g1, b1, wq, bq, wo, bo, g2, b2, wi, bi, wf, bf in blocks:
            x = functional.layer_norm(h, (D,), g1, b1)
            qkv = functional.linear(x, wq.t(), bq)
            q, k, v = (part.view(batch, N, H, -1).transpose(1, 2) for part in qkv.split([inner, inner, D], -1))
            x = attention(q, k, v).transpose(1, 2).reshape(batch, N, D)
            h = h + functional.linear(x, wo.t(), bo)
            u = functional.linear(functional.layer_norm(h, (D,), g2, b2), wi.t(), bi)
            h = h + functional.linear(u * torch.sigmoid(1.702 * u), wf.t(), bf)
        h = functional.layer_norm(h, (D,), gain, bias)
        return functional.cross_entropy((h @ output).view(batch * N, V).float(), tokens.reshape(-1))

    tokens = torch.randint(0, V, (batch, N))
    try:
        optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, fused=True)
    except (RuntimeError, TypeError):
        optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01)

    def step(function):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            value = function(tokens)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return float(value.detach())

    return loss, step


def torch_seconds(step, function, steps):
    """Median seconds of a step."""
    seconds = []
    for _ in range(steps):
        begin = time.perf_counter()
        value = step(function)
        seconds.append(time.perf_counter() - begin)
        if not math.isfinite(value):
            raise SystemExit("the PyTorch peer's loss is not finite")
    return statistics.median(seconds)


def compare(torch, name, case, precision, given):
    """Seconds per step of Weft and of each PyTorch variant, taken in turns."""
    loss, step = make_peer(torch, case, precision)
    variants = {}
    for variant in given.variants:
        if variant == "eager":
            variants[variant] = loss
        elif hasattr(torch, "compile"):
            variants[variant] = torch.compile(loss)
        else:
            print(f"  {name} {precision}: this PyTorch has no torch.compile; eager only", flush=True)
    for variant in list(variants):
        try:
            torch_seconds(step, variants[variant], 1)  # to warm up, and to compile
        except Exception as error:  # the compiler may be missing or may not take the model; the others still count
            if variant == "eager":
                raise
            print(f"  {name} {precision}: compiled does not run: {str(error).strip().splitlines()[0][:120]}", flush=True)
            del variants[variant]
    weft, peers = [], {variant: [] for variant in variants}
    for _ in range(given.rounds):
        weft.append(weft_seconds(given.weft, case, precision, given.threads))
        for variant, function in variants.items():
            peers[variant].append(torch_seconds(step, function, given.steps))
    return weft, peers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weft", default=os.environ.get("WEFT", "build/cpu/weft"))
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    parser.add_argument("--quick", action="store_true", help="a tiny model in place of each case's: does it all run?")
    parser.add_argument("--rounds", type=int, default=2, help="turns of Weft and PyTorch")
    parser.add_argument("--steps", type=int, default=2, help="PyTorch steps per turn")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--precisions", nargs="+", choices=("bf16", "fp32"), default=["bf16", "fp32"])
    parser.add_argument("--variants", nargs="+", choices=("eager", "compiled"), default=["eager", "compiled"])
    parser.add_argument("--install", metavar="DIR")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    given.weft = os.path.abspath(given.weft)
    if not os.access(given.weft, os.X_OK):
        parser.error(f"--weft: {given.weft} is no program; build it, or give the path of weft")
    if given.rounds < 1 or given.steps < 1 or given.threads < 1:
        parser.error("--rounds, --steps and --threads: expected at least 1 of each")
    if given.install:
        install(given.install)
    try:
        import torch
    except ImportError:
        print("SKIPPED: PyTorch is not installed (Debian: python3-torch; or --install DIR)")
        return 77
    torch.set_num_threads(given.threads)
    fused = hasattr(torch.nn.functional, "scaled_dot_product_attention")
    print(f"PyTorch {torch.__version__} ({'scaled_dot_product_attention' if fused else 'masked softmax written out'}), "
          f"{given.threads} threads; {given.rounds} turns", flush=True)
    print(f"{'case':<12} {'storage':<7} {'program':<16} {'s/step':>9} {'min':>9} {'max':>9} {'tokens/s':>9} {'Weft is':>9}")
    records = []
    for name in given.cases:
        case = case_of(name, given.quick)
        tokens = case["batch"] * case["context"]
        for precision in given.precisions:
            weft, peers = compare(torch, name, case, precision, given)
            ours = statistics.median(weft)
            rows = {"weft": weft, **{f"torch {variant}": seconds for variant, seconds in peers.items()}}
            for program, seconds in rows.items():
                middle = statistics.median(seconds)
                ratio = "" if program == "weft" else f"{middle / ours:8.2f}x"
                print(f"{name:<12} {precision:<7} {program:<16} {middle:9.3f} {min(seconds):9.3f} {max(seconds):9.3f} "
                      f"{tokens / middle:9.0f} {ratio:>9}", flush=True)
            best = min(statistics.median(s) for s in peers.values())
            target = "" if given.quick else (f", target {case['target']:g}x: "
                                             f"{'reached' if best / ours >= case['target'] else 'missed'}")
            print(f"{name:<12} {precision:<7} against the best PyTorch: {best / ours:.2f}x{target}", flush=True)
            records.append({"case": name, "precision": precision, "quick": given.quick, "threads": given.threads,
                            "torch": torch.__version__, "seconds": rows, "ratio": best / ours,
                            "target": case["target"]})
    if given.json:
        with open(given.json + ".partial", "w", encoding="utf-8") as f:
            json.dump(records, f, indent=1)
        os.replace(given.json + ".partial", given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
