#!/usr/bin/env python3
"""MuseGAN in PyTorch: models/musegan.c, its critic with 3-D convolutions as in Foster's book. Without arguments it writes the golden files (tools/golden.py
explains; tests/test_golden_frames.c compares).

    net = twins_musegan.initialise(twins_musegan.MuseGan(twins_musegan.DEFAULTS), seed=1)      # net.g, net.d: gen's names
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import golden
import twins_gan
from twins import from_conv, normal_of, stream

VOICES, STEPS, PITCHES = 4, 16, 84
DEFAULTS = {"loss": "wgan-gp", "updates": "joint", "fakes": "batch", "bars": 2, "latent": 32, "width": 1024, "n-critic": 5, "penalty": 10.0,
            "d-lr": 0.0, "lr": 1e-3, "beta1": 0.5, "init-sigma": 0.02}  # fmt: skip


def norm(layer, n):
    return layer(n, eps=1e-3, momentum=0.1)


class Temporal(nn.Module):
    def __init__(self, o):
        super().__init__()
        w, d = o["width"], o["z"]
        self.conv1, self.conv1_norm = nn.ConvTranspose2d(d, w, (2, 1)), norm(nn.BatchNorm2d, w)
        self.conv2, self.conv2_norm = nn.ConvTranspose2d(w, d, (o["bars"] - 1, 1)), norm(nn.BatchNorm2d, d)

    def forward(self, z):
        h = F.relu(self.conv1_norm(self.conv1(z[:, :, None, None])))
        return F.relu(self.conv2_norm(self.conv2(h)))[..., 0]  # [N,D,bars]


class Bar(nn.Module):
    def __init__(self, o):
        super().__init__()
        w = o["width"]
        self.dense, self.dense_norm = nn.Linear(4 * o["z"], w), norm(nn.BatchNorm1d, w)
        sizes = [(w // 2, w // 2, (2, 1)), (w // 2, w // 4, (2, 1)), (w // 4, w // 4, (2, 1)), (w // 4, w // 4, (1, 7)), (w // 4, 1, (1, 12))]
        for i, (before, after, kernel) in enumerate(sizes, 1):
            setattr(self, f"conv{i}", nn.ConvTranspose2d(before, after, kernel, kernel))
            if i < 5:
                setattr(self, f"conv{i}_norm", norm(nn.BatchNorm2d, after))

    def forward(self, z):
        h = F.relu(self.dense_norm(self.dense(z)))
        h = h.reshape(len(z), 2, 1, -1).permute(0, 3, 1, 2)  # features count rows first, then channels
        for i in range(1, 5):
            h = F.relu(getattr(self, f"conv{i}_norm")(getattr(self, f"conv{i}")(h)))
        return torch.tanh(self.conv5(h))  # [N,1,16,84]


class Generator(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o, self.chords = o, Temporal(o)
        for v in range(VOICES):
            setattr(self, f"melody{v}", Temporal(o))
            setattr(self, f"bar{v}", Bar(o))

    def forward(self, z):
        parts, voices = z.split(self.o["z"], 1), []
        chords = self.chords(parts[0])
        for v in range(VOICES):
            melody = getattr(self, f"melody{v}")(parts[2 + v])
            bars = [getattr(self, f"bar{v}")(torch.cat([chords[..., b], parts[1], melody[..., b], parts[6 + v]], 1)) for b in range(self.o["bars"])]
            voices.append(torch.cat(bars, 2))
        return torch.cat(voices, 1)  # [N,4,16 bars,84]


class Critic(nn.Module):
    def __init__(self, o):
        super().__init__()
        w, bars = o["width"], o["bars"]
        self.bars = bars
        rows = [(4, w // 8, (2, 1, 1), 1), (w // 8, w // 8, (bars - 1, 1, 1), 1), (w // 8, w // 8, (1, 1, 12), (1, 1, 12)),
                (w // 8, w // 8, (1, 1, 7), (1, 1, 7)), (w // 8, w // 8, (1, 2, 1), (1, 2, 1)), (w // 8, w // 8, (1, 2, 1), (1, 2, 1)),
                (w // 8, w // 4, (1, 4, 1), (1, 2, 1)), (w // 4, w // 2, (1, 3, 1), (1, 2, 1))]  # fmt: skip
        for i, (before, after, kernel, stride) in enumerate(rows, 1):
            setattr(self, f"conv{i}", nn.Conv3d(before, after, kernel, stride))
        self.dense1, self.dense2 = nn.Linear(w // 2, w), nn.Linear(w, 1)

    def forward(self, x, masks=None):
        h = x.reshape(len(x), 4, self.bars, STEPS, PITCHES)
        for i in range(1, 9):
            if i == 7:
                h = F.pad(h, (0, 0, 1, 1))  # TensorFlow's SAME: 4 steps, kernel 4, stride 2
            if i == 8:
                h = F.pad(h, (0, 0, 0, 1))  # 2 steps, kernel 3, stride 2
            h = F.leaky_relu(getattr(self, f"conv{i}")(h), 0.3)
        return self.dense2(F.leaky_relu(self.dense1(h.flatten(1)), 0.3))[:, 0]


class MuseGan(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o = {**DEFAULTS, **o}
        self.o["z"] = self.o["latent"]
        self.g, self.d = Generator(self.o), Critic(self.o)
        self.o["latent"] = 10 * self.o["z"]  # what twins_gan.Step draws


def initialise(net, seed=1):
    for name, p in net.named_parameters():
        if "norm" in name:
            continue  # ones and zeros
        if name.endswith("bias"):
            p.data.zero_()
            continue
        values = (stream(name, p.numel(), seed, normal_of) * net.o["init-sigma"]).astype(np.float32).astype(np.float64)
        if p.dim() == 5:  # one axis alone is longer than 1, or none: rows of [R,S,C,K]
            values = from_conv(values, p.shape[0], p.shape[1], p.numel() // (p.shape[0] * p.shape[1]), 1).reshape(p.shape)
        elif p.dim() == 4:
            values = from_conv(values, *p.shape)
        else:
            values = values.reshape(p.shape[1], p.shape[0]).T
        p.data.copy_(torch.from_numpy(values.copy()))
    return net


SGD = {"optimiser": "sgd", "momentum": 0.5, "lr": 1e-3, "d-lr": 1e-3}
CASES = {  # options that differ, pieces
    "musegan": ({**SGD, "width": 32, "latent": 5, "n-critic": 2, "init-sigma": 0.25}, 4),
    "musegan-3-bars": ({"width": 16, "latent": 3, "n-critic": 2, "bars": 3, "init-sigma": 0.35}, 4),
}


def write_case(name):
    o, n = CASES[name]
    net = initialise(MuseGan(o).double(), golden.SEED).train()
    h, n = STEPS * net.o["bars"], n * net.o["n-critic"]
    x = torch.from_numpy(golden.pictures(n, (h, PITCHES, VOICES)).astype(np.float64).transpose(0, 3, 1, 2).copy())
    out, losses, step = {}, [], twins_gan.Step(net, net.o["lr"], 0)
    for i in range(golden.STEPS):
        step.step = i
        d_loss, g_loss = step.run(x)
        losses.append([d_loss + g_loss, d_loss, g_loss])
        if i == 0:
            for tensor, value in twins_gan.first_moments(step):
                out["norm " + tensor], out["grad " + tensor] = value.norm().float().reshape(1), golden.sums(tensor, value)
            for tensor, value in net.named_buffers():
                out["after " + tensor] = golden.sums(tensor, value)
    out["losses"] = torch.tensor(losses)
    words = " ".join(f"{k}={v}" for k, v in {"schedule": "constant", "ema": 0, "beta2": 0.999, **o}.items())
    metadata = {"model": "musegan", "preset": "", "options": words, "size": f"{n} {h} {PITCHES} {VOICES}", "seed": str(golden.SEED),
                "losses": "loss d_loss g_loss", "torch": torch.__version__.split("+")[0], "made by": "tools/twins_musegan.py"}  # fmt: skip
    path = golden.save(name, out, metadata)
    print(f"{path.name}: {path.stat().st_size} bytes, losses {losses[0]} -> {losses[-1]}")


def check():
    """A temporal network has the 103,584 numbers of the book's notebook (Keras counts running statistics); the others are counted by hand."""
    net, count = MuseGan({}), lambda part: sum(t.numel() for n, t in part.state_dict().items() if "num_batches" not in n)
    assert [count(p) for p in (net.g.chords, net.g.bar0, net.g, net.d)] == [103584, 1521921, 6605604, 1446401]


if __name__ == "__main__":
    torch.set_num_threads(1)
    check()
    for case in sys.argv[1:] or CASES:
        write_case(case)
