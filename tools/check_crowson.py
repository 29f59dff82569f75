#!/usr/bin/env python3
"""300 iterations of the preset `crowson` in gen and in PyTorch, from the same pictures, start and weights: does gen's loss end no higher?

    python tools/check_crowson.py CONTENT STYLE wct_vgg19/5SE.safetensors [--size 256] [--iterations 300]       # needs torch, numpy, pillow

One size; both sides read the same PNG files of it. Prints both losses now and then, and exits with 1 if gen's last one is more than 1 % above.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import safetensors.torch
import torch
from PIL import Image

import twins_style

ROOT = pathlib.Path(__file__).resolve().parent.parent
SLIM = [16, 16, "M", 32, 32, "M", 64, 64, 64, 64, "M", 128, 128, 128, 128, "M", 128]
PRESET = ("range=1 relative=0 style-loss=w2 gram=hw content-weight=0.015 content-layers=relu4_2 style-weight=1 style-layers=relu1_1:0.750733137829912,"
          "relu2_1:0.187683284457478,relu3_1:0.0469208211143695,relu4_1:0.0117302052785924,relu5_1:0.00293255131964809 tv=2 tv-kind=nine")  # fmt: skip


class SlimNet(twins_style.Net):
    """The slim VGG-19 with weights from a file."""

    def __init__(self, path):
        super().__init__("vgg19-slim", {})
        self.file = safetensors.torch.load_file(path)

    def __call__(self, rgb):
        x = torch.nn.functional.conv2d(self.see(rgb), self.file["conv0.weight"], self.file["conv0.bias"])
        taps, block, n = {}, 1, 1
        for v in SLIM:
            if v == "M":
                x, block, n = self.pool(x), block + 1, 1
                continue
            name = f"conv{block}{n}"
            x = torch.relu(torch.nn.functional.conv2d(self.pad(x, False), self.file[f"{name}.weight"], self.file[f"{name}.bias"]))
            taps[f"relu{block}_{n}"], n = x, n + 1
        return taps


class Loss(twins_style.Loss):
    def __init__(self, net, content, style):
        self.net, self.range = net, 1.0
        self.o = dict(word.split("=") for word in PRESET.split())
        self.content, self.style = twins_style.layers(self.o["content-layers"]), twins_style.layers(self.o["style-layers"])
        with torch.no_grad():
            seen, styled = net(content), net(style)
            self.goals = {name: seen[name] for name in self.content}
            self.grams = {name: twins_style.gram(styled[name], self.o) for name in self.style}


def prepare(path, size, to):
    """The longer side becomes size, as gen style does it with a picture; 8-bit PNG, so that both sides read the same numbers."""
    picture = Image.open(path).convert("RGB")
    scale = size / max(picture.size)
    picture.resize([max(1, round(side * scale)) for side in picture.size], Image.LANCZOS).save(to)


def read(path):
    return torch.from_numpy(np.asarray(Image.open(path), dtype=np.float32) / 255).permute(2, 0, 1)[None]


def in_gen(folder, weights, args):
    command = ["build/release/gen", "style", folder / "content.png", folder / "style.png", "--features", weights, "--preset", "crowson", "--scales", "one",
               "--size", str(args.size), "--iterations", str(args.iterations), "--trace", folder / "trace.json", "-o", folder / "out.png",
               "--quiet"]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return [iterate["loss"] for iterate in json.load(open(folder / "trace.json"))["iterates"]]


def in_torch(folder, weights, args):
    content = read(folder / "content.png")
    loss = Loss(SlimNet(weights), content, read(folder / "style.png"))
    pixels = (content - 0.5).contiguous().requires_grad_(True)
    optimiser, losses = torch.optim.Adam([pixels], 0.02, betas=(0.9, 0.99)), []
    for _ in range(args.iterations):
        optimiser.zero_grad()
        total, _ = loss(pixels)
        total.backward()
        optimiser.step()
        with torch.no_grad():
            pixels.clamp_(-0.5, 0.5)
        losses.append(total.item())
    return losses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("weights")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--iterations", type=int, default=300)
    args = parser.parse_args()
    weights = str(pathlib.Path(args.weights).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(args.content, args.size, folder / "content.png")
        prepare(args.style, args.size, folder / "style.png")
        ours, theirs = in_gen(folder, weights, args), in_torch(folder, weights, args)
    print("iteration        gen    PyTorch")
    for i in sorted({1, 2, 5, 10, 20, 50, 100, 200, args.iterations}):
        if i <= args.iterations:
            print(f"{i:9} {ours[i - 1]:10.6f} {theirs[i - 1]:10.6f}")
    sys.exit(ours[-1] > 1.01 * theirs[-1])


if __name__ == "__main__":
    main()
