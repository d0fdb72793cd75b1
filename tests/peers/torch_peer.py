"""The PyTorch side of torch_bench.py: the same model as its user would write it, stepped on request. arena_peer.py
has other models and answers alike.

  torch_peer.py '{"case": {...}, "precision": "bf16", "variant": "compiled", "threads": 2}'

A process of its own, so that one that does not come to an end can be ended. Writes one line of JSON for each thing
done: {"torch": version, "fused": bool} at the start, {"ready": true} once it has taken its first step (for
"compiled", compiled and taken two), then for each line with a number on standard input {"seconds": [...]} of so many
steps. What cannot run is told by {"error": text}.
"""
import json
import math
import sys
import time


def mask_of(torch, case):
    """Which key each query sees, (1, 1, N, N); None for dense attention, which needs no mask."""
    if case["pattern"] == "dense":
        return None
    N, l, c = case["context"], case["stride"], 32
    query, key = torch.arange(N).view(N, 1), torch.arange(N).view(1, N)
    if case["pattern"] == "fixed":
        same = torch.div(key, l, rounding_mode="floor") == torch.div(query, l, rounding_mode="floor")
        mask = (same | (key % l >= l - c)) & (key <= query)
    else:
        mask = ((key > query - l) | ((query - key) % l == 0)) & (key <= query)
    return mask.view(1, 1, N, N)


def make_peer(torch, case, precision):
    """(loss, step): a function of tokens that may be compiled, and one that takes a training step with it."""
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

    fused = getattr(functional, "scaled_dot_product_attention", None)
    mask = mask_of(torch, case)
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
        if not math.isfinite(float(value.detach())):
            raise ValueError("the loss is not finite")

    return loss, step


def say(**what):
    print(json.dumps(what), flush=True)


def serve(make_peer):
    """Answers the requests of turns.py; make_peer(torch, asked) is (function, step) as of torch_peer.make_peer."""
    asked = json.loads(sys.argv[1])
    try:
        import torch
    except ImportError:
        return say(error="PyTorch is not installed")
    torch.set_num_threads(asked["threads"])
    say(torch=torch.__version__, fused=hasattr(torch.nn.functional, "scaled_dot_product_attention"))
    try:
        function, step = make_peer(torch, asked)
        if asked["variant"] == "compiled":
            if not hasattr(torch, "compile"):
                raise RuntimeError(f"PyTorch {torch.__version__} has no torch.compile")
            function = torch.compile(function)
            step(function)  # the second one may compile again
        step(function)
        say(ready=True)
        for line in sys.stdin:
            seconds = []
            for _ in range(int(line)):
                begin = time.perf_counter()
                step(function)
                seconds.append(time.perf_counter() - begin)
            say(seconds=seconds)
    except Exception as error:  # a missing compiler, a model it does not take, too little memory: the report says which
        say(error=(str(error).strip().splitlines() or [type(error).__name__])[0][:160])
    return None


if __name__ == "__main__":
    serve(lambda torch, asked: make_peer(torch, asked["case"], asked["precision"]))
