#!/usr/bin/env python3
"""Loads a checkpoint of gen into the PyTorch twin and compares reconstructions; for a test, with $GEN_PYTHON.

    python tools/check_interchange.py RUN pictures.safetensors     # x and reconstruction [N,H,W,C], as gen made them
"""
import json
import pathlib
import sys

import safetensors.torch
import torch

import twins


def main(run, pictures):
    run = pathlib.Path(run)
    config = json.loads((run / "config.json").read_text())
    net = twins.twin(config["options"], *(config[k] for k in ("height", "width", "channels")))
    net.load_state_dict(safetensors.torch.load_file(run / "checkpoints/latest"), strict=True)
    both = safetensors.torch.load_file(pictures)
    with torch.no_grad():
        y = net.eval().reconstruct(both["x"].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    worst = (y - both["reconstruction"]).abs().max().item()
    spread = y.std().item()
    print(f"pixels within {worst:.1e}, standard deviation {spread:.2f}")
    return 0 if worst <= 1e-5 and spread > 0 else 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(*sys.argv[1:3]))
