#!/usr/bin/env python3
"""Writes tests/golden/diffusion-*.safetensors: what PyTorch gives for the same U-Net, noise and times (tools/golden.py explains;
tests/test_golden_diffusion.c compares).

    python tools/golden_diffusion.py [case …]
"""
import sys

import numpy as np
import torch

import golden
import twins
import twins_diffusion

SMALL = "width=8 mults=1,2 blocks=1 attention=4 groups=4 init=torch warmup-steps=0 ema=0 clip-norm=0 lr=1e-3 schedule=constant "
CASES = {  # options, size, classes
    "diffusion-eps": (SMALL + "target=eps noise=linear dropout=0.1", (6, 8, 8, 3), 0),
    "diffusion-x0": (SMALL + "target=x0 noise=sigmoid min-snr=5 blocks=2 mults=1,1,2", (6, 9, 7, 1), 0),
    "diffusion-v": (SMALL + "target=v noise=cosine min-snr=5 label-drop=0.5", (6, 8, 6, 3), 4),
    "diffusion-edm": (SMALL + "target=edm noise=log-normal sigma-data=0.6 dropout=0.1 attention=8", (6, 8, 8, 2), 3),
}


def write_case(name):
    words, (n, h, w, c), classes = CASES[name]
    o = dict(word.split("=") for word in words.split())
    net = twins_diffusion.initialise(twins_diffusion.twin(o, h, w, c, classes).double(), golden.SEED)
    net.labels = torch.arange(n) % classes if classes else None
    x = torch.from_numpy(golden.pictures(n, (h, w, c)).transpose(0, 3, 1, 2).copy())
    out = {"label": net.labels.float()} if classes else {}
    net.eval()
    with torch.no_grad():  # what golden_diffusion_denoises of the test feeds
        sigma = torch.tensor([0.01, 0.1, 0.5, 1.0, 3.0, 20.0], dtype=torch.float64).float().double()
        time = torch.tensor([0.0, 10.5, 100.0, 333.0, 500.0, 999.0], dtype=torch.float64)
        y = net.denoise(x, sigma, time, net.labels)
        out["denoised"] = y.permute(0, 2, 3, 1).float().contiguous()
    t = {"lr": float(o["lr"]), "schedule": o["schedule"]}
    golden.train(net, t, x, out)
    metadata = {"model": "diffusion", "preset": "", "options": words.strip(), "size": f"{n} {h} {w} {c}", "classes": str(classes),
                "seed": str(golden.SEED), "losses": "loss", "torch": torch.__version__.split("+")[0], "made by": "tools/golden_diffusion.py"}  # fmt: skip
    path = golden.save(name, out, metadata)
    print(f"{path.name}: {path.stat().st_size} bytes, loss {out['losses'][0, 0]:.6g} -> {out['losses'][-1, 0]:.6g}")


def check():
    """The network of the paper has 35.7 M parameters, the one that training speed is compared on as many."""
    net = twins_diffusion.twin({}, 32, 32, 3)
    assert sum(p.numel() for p in net.parameters()) == 35746307


if __name__ == "__main__":
    torch.set_num_threads(1)
    twins.check()
    check()
    for case in sys.argv[1:] or CASES:
        write_case(case)
