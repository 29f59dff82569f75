#!/usr/bin/env python3
"""Writes tests/golden: what PyTorch gives for the same networks, numbers and noise (tests/golden_run.h compares).

    python tools/golden.py [case …]

A family of models has its networks in a file twins*.py, with a table MODELS (tools/twins.py) and one of CASES. A network
has LOSSES, the names of its numbers; losses(x, seed, step), those numbers; outputs(x), what it gives before training;
labels, which are set here; init, the rule of its initial weights.

Weights, noise and dropout masks are Philox numbers that both sides make (tools/twins.py), so a file holds little: the
pictures, the losses of ten steps, codes, and of each gradient its 2-norm and 64 sums with random signs. The 2-norm of the
difference of two such lists of sums is that of the tensors' difference within some 20 % (Johnson & Lindenstrauss 1984):
unlike sampled values, they miss no element. All is computed in double precision.
"""
import gzip
import math
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch

import twins
import twins_pictures

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEED, STEPS, CLASSES = 1, 10, 10
DIGITS = ROOT / "samples/data/mnist/train-images-idx3-ubyte.gz"

MODELS = {**twins.MODELS, **twins_pictures.MODELS}
CASES = {  # model, preset, options that differ, pictures
    "vae-conv": ("vae", "vae", {}, 8),
    "vae-gdl-digits": ("vae", "gdl-vae-digits", {}, 8),
    "vae-gdl-faces": ("vae", "gdl-vae-faces", {}, 4),
    "vae-mlp": ("vae", "mlp-vae", {}, 16),
    "vae-bench": ("vae", "bench-vae", {}, 8),
    "vae-iwae": ("vae", "iwae-5", {}, 8),
    "vae-conditional-mlp": ("vae", "mlp-vae", {"conditional": 1}, 8),
    "vae-conditional-conv": ("vae", "vae", {"conditional": 1, "width": 8, "hidden": 32, "latent": 4, "iwae-k": 3}, 4),
    "vae-losses": ("vae", "vae", {"net": "mlp", "hidden": 16, "latent": 3, "likelihood": "gaussian-learned", "beta": 4.0,
                           "free-bits": 0.25, "clip-norm": 20.0, "schedule": "constant"}, 8),
    "vae-gaussian-adamw": ("vae", "vae", {"net": "mlp", "hidden": 16, "latent": 3, "likelihood": "gaussian", "sigma": 0.5,
                                   "optimiser": "adamw", "weight-decay": 0.1, "warmup-steps": 4, "schedule": "linear"}, 8),
    "vae-rmsprop": ("vae", "vae", {"net": "mlp", "hidden": 16, "latent": 3, "init": "he", "kl-warmup": 5, "optimiser": "rmsprop",
                            "schedule": "step", "decay-epochs": 0.3, "decay-factor": 0.5}, 8),
    "vae-sgd": ("vae", "vae", {"net": "conv", "width": 4, "hidden": 16, "latent": 3, "init": "normal", "batch-norm": 1,
                        "optimiser": "sgd", "momentum": 0.9, "weight-decay": 0.01, "lr": 1e-5}, 8),
    "vae-tanh": ("vae", "vae", {"net": "mlp", "hidden": 16, "latent": 3, "activation": "tanh", "dropout": 0.25}, 8),
    **twins_pictures.CASES,
}  # fmt: skip


def pictures(n, size):
    """Uniform noise [N,H,W,C]; the pictures of sizes that no file of the repository has, and not stored."""
    return twins.random_tensor((n, *size), twins.hash_name("golden"), 0, 0)


def digits(n):
    """Digits on noise of up to 63 grey levels: where black meets black a conv with no bias gives 0, and at 0 the slope of
    a leaky relu is decided by rounding."""
    with gzip.open(DIGITS) as file:
        pixels = np.frombuffer(file.read(16 + 784 * n), np.uint8, offset=16).reshape(n, 28, 28, 1)
    return np.maximum(pixels, (64 * pictures(n, (28, 28, 1))).astype(np.uint8))


def sums(name, values):
    """64 sums of the values with random signs, over sqrt(64); 64 values or fewer are kept as they are."""
    flat = values.detach().double().reshape(-1).numpy()
    if len(flat) <= 64:
        return torch.from_numpy(flat.copy()).float()
    total, key = np.zeros(64), twins.fold(twins.hash_name(name))
    for first in range(0, len(flat), 1 << 15):
        part = flat[first : first + (1 << 15)]
        i = np.arange(first // 2, (first + len(part) + 1) // 2)
        bits = np.unpackbits(twins.philox(0, i, 0, 0x676F6C64, key).view(np.uint8), bitorder="little")
        total += part @ (bits.reshape(-1, 64)[: len(part)] * 2.0 - 1)
    return torch.from_numpy(total / 8).float()


def learning_rate(t, step):
    """core/optim.c; one epoch has STEPS steps."""
    lr = t["lr"] * (min((step + 1) / t["warmup-steps"], 1) if t.get("warmup-steps") else 1)
    if t["schedule"] == "cosine":
        return lr * (0.5 + 0.5 * math.cos(math.pi * step / STEPS))
    if t["schedule"] == "linear":
        return lr * (1 - step / STEPS)
    if t["schedule"] == "step":
        return lr * t["decay-factor"] ** (step // round(t["decay-epochs"] * STEPS))
    return lr


def optimiser(t, parameters):
    decay = t.get("weight-decay", 0)
    return {
        "adam": lambda: torch.optim.Adam(parameters, weight_decay=decay),
        "adamw": lambda: torch.optim.AdamW(parameters, weight_decay=decay),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, alpha=0.99, weight_decay=decay),
        "sgd": lambda: torch.optim.SGD(parameters, 1, momentum=t.get("momentum", 0), weight_decay=decay),
    }[t.get("optimiser", "adam")]()


def train(net, t, x, out):
    """STEPS steps on the same pictures; gradients and running statistics of the first into out."""
    optim, learned, losses = optimiser(t, net.parameters()), dict(net.named_parameters()), []
    net.train()
    for step in range(STEPS):
        optim.zero_grad()
        values = net.losses(x, SEED, step)
        values[0].backward()
        losses.append([float(v.detach()) for v in values])
        if t.get("clip-norm"):
            torch.nn.utils.clip_grad_norm_(net.parameters(), t["clip-norm"])
        for name, p in learned.items() if step == 0 else ():
            g = p.grad + (t.get("weight-decay", 0) * p.detach() if t.get("optimiser") != "adamw" else 0)
            out["norm " + name] = g.norm().float().reshape(1)
            out["grad " + name] = sums(name, g)
        for name, value in net.named_buffers() if step == 0 else ():
            out["after " + name] = sums(name, value)
        optim.param_groups[0]["lr"] = learning_rate(t, step)
        optim.step()
    out["losses"] = torch.tensor(losses)


def save(name, tensors, metadata):
    path = ROOT / f"tests/golden/{name}.safetensors"
    safetensors.torch.save_file(tensors, path, metadata)
    path.chmod(0o644)
    return path


def outputs(net, x, out):
    """Codes whole, pictures as sums over N,H,W,C."""
    for name, value in net.outputs(x).items():
        out[name] = value.float().contiguous() if value.dim() == 2 else sums(name, value.permute(0, 2, 3, 1))


def write_case(name):
    model, preset, options, n = CASES[name]
    base, (h, w, c) = MODELS[model][2][preset]
    chosen = {**twins.training(base, MODELS[model]), **base, **options}
    net = twins.initialise(twins.twin(chosen, h, w, c, CLASSES, MODELS[model]).double(), SEED)
    stored = digits(n) if (h, w, c) == (28, 28, 1) else None
    pixels = stored.astype(np.float32) / np.float32(255) if stored is not None else pictures(n, (h, w, c))
    x = torch.from_numpy(pixels.astype(np.float64).transpose(0, 3, 1, 2).copy())
    out = {"x": torch.from_numpy(stored.copy())} if stored is not None else {}
    metadata = {"model": model, "preset": preset if base else ""}
    if getattr(net, "classes", 0):
        net.labels = torch.arange(n) * 3 % CLASSES
        out["label"], metadata["classes"] = net.labels.float(), str(CLASSES)
    net.eval()
    with torch.no_grad():
        outputs(net, x, out)
    train(net, chosen, x, out)
    defaults = {k: v for k, v in twins.TRAINING.items() if k not in base}
    words = " ".join(f"{k}={v}" for k, v in {**defaults, **options}.items())
    metadata |= {"options": words, "size": f"{n} {h} {w} {c}", "seed": str(SEED), "losses": net.LOSSES,
                 "torch": torch.__version__.split("+")[0], "made by": "tools/golden.py"}  # fmt: skip
    path = save(name, out, metadata)
    print(f"{path.name}: {path.stat().st_size} bytes, loss {out['losses'][0, 0]:.6g} -> {out['losses'][-1, 0]:.6g}")


def write_interchange():
    """What PyTorch saves, and what it then computes: small networks with random weights of PyTorch's own making."""
    for name, options, (h, w, c) in (
        ("pytorch-mlp", {"net": "mlp", "hidden": 8, "latent": 2}, (8, 8, 3)),
        ("pytorch-conv", {"net": "conv", "width": 4, "hidden": 12, "latent": 3, "batch-norm": 1}, (9, 12, 3)),
    ):
        torch.manual_seed(SEED)
        net = twins.twin(options, h, w, c)
        x = torch.rand(5, c, h, w)
        with torch.no_grad():
            for _ in range(20):  # running statistics that are not 0 and 1
                net.encode(torch.rand(16, c, h, w)), net.decode(torch.randn(16, options["latent"]))
            y = net.eval().reconstruct(x)
        words = " ".join(f"{k}={v}" for k, v in options.items())
        metadata = {"options": words, "size": f"{len(x)} {h} {w} {c}", "torch": torch.__version__.split("+")[0]}
        save(name, net.state_dict(), None)
        both = {"x": x.permute(0, 2, 3, 1).contiguous(), "reconstruction": y.permute(0, 2, 3, 1).contiguous()}
        save(name + "-pictures", both, metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    twins.check()
    for case in sys.argv[1:] or CASES:
        write_case(case)
    if not sys.argv[1:]:
        write_interchange()
