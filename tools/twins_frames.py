#!/usr/bin/env python3
"""Models of frames in PyTorch: models/poly.c. Without arguments it writes their golden files (tools/golden.py explains; tests/test_golden_frames.c
compares).

    net = twins_frames.initialise(twins_frames.Poly({"net": "gru", "hidden": 8}))
    loss = net.losses(x, seed, step)[0]             # x[N,T+1,89]: keys, and whether there is a frame

Frames here are uniform noise instead of zeros and ones: every formula takes them, and each number then matters.
"""
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import golden
from twins import from_conv, hash_name, initial_values, random_tensor

KEYS = 88
DEFAULTS = {"net": "lstm", "hidden": 200, "layers": 1, "kernel": 5, "dropout": 0.3, "transpose": 0, "lr": 2e-3, "schedule": "constant"}


class Weights(nn.Module):
    """A layer that only holds its tensors."""

    def __init__(self, **tensors):
        super().__init__()
        for name, shape in tensors.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))


class Recurrent(Weights):
    """nn.LSTM or nn.GRU, a layer at a time, so that our masks can lie between."""

    def __init__(self, o):
        h, kind = o["hidden"], {"lstm": nn.LSTM, "gru": nn.GRU}[o["net"]]
        self_layers = [kind(h if i else KEYS, h) for i in range(o["layers"])]
        super().__init__(**{name[:-1] + str(i): p.shape for i, layer in enumerate(self_layers) for name, p in layer.named_parameters()})
        self.one = [layer.double() for layer in self_layers]  # in a list: their own tensors are not ours

    def forward(self, x, mask):
        h = x.transpose(0, 1)
        for i, layer in enumerate(self.one):
            ours = {name: getattr(self, name[:-1] + str(i)) for name, _ in layer.named_parameters()}
            h = mask(torch.func.functional_call(layer, ours, (h,))[0], "rnn" if i + 1 < len(self.one) else "")
        return h.transpose(0, 1)


class Tcn(nn.Module):
    def __init__(self, o):
        super().__init__()
        h, k = o["hidden"], o["kernel"]
        self.o = o
        for i in range(o["layers"]):
            block, c = nn.Module(), h if i else KEYS
            block.conv1 = Weights(weight_v=(h, c, k, 1), weight_g=(h,), bias=(h,))
            block.conv2 = Weights(weight_v=(h, h, k, 1), weight_g=(h,), bias=(h,))
            if c != h:
                block.downsample = nn.Conv2d(c, h, 1)
            self.add_module(str(i), block)

    def forward(self, x, mask):
        x = x.transpose(1, 2)[..., None]  # [N,88,T,1]
        for i, block in enumerate(self.children()):
            y = x
            for conv in (block.conv1, block.conv2):
                w = torch._weight_norm(conv.weight_v, conv.weight_g.reshape(-1, 1, 1, 1), 0)
                before = (self.o["kernel"] - 1) << i
                y = F.relu(F.conv2d(F.pad(y, (0, 0, before, 0)), w, conv.bias, dilation=(1 << i, 1)))
                y = mask(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            x = F.relu(y + (block.downsample(x) if hasattr(block, "downsample") else x))
        return x[..., 0].transpose(1, 2)


class Poly(nn.Module):
    LOSSES = "loss"

    def __init__(self, o):
        super().__init__()
        self.o = {**DEFAULTS, **o}
        if self.o["net"] == "tcn":
            self.tcn = Tcn(self.o)
        else:
            self.rnn = Recurrent(self.o)
        self.keys = nn.Linear(self.o["hidden"], KEYS)

    def transposed(self, x, seed, step):
        most, out = self.o["transpose"], torch.zeros_like(x)
        u = random_tensor((len(x), 1, 1), hash_name("transpose"), seed, step).reshape(-1)
        for i, by in enumerate(np.floor(u * (2 * most + 1)).astype(int) - most):
            out[i, :, max(by, 0) : KEYS + min(by, 0)] = x[i, :, max(-by, 0) : KEYS + min(-by, 0)]
        return out

    def losses(self, x, seed, step):
        count = {"": 0, "rnn": 0}

        def mask(h, scope=""):
            p = self.o["dropout"]
            if not p:
                return h
            u = random_tensor(tuple(h.shape), hash_name(scope) + count[scope], seed, step)
            count[scope] += 1
            return h * torch.from_numpy((u < np.float32(1 - p)) / (1 - p))

        keys, there = x[..., :KEYS], x[:, 1:, KEYS:]
        if self.o["transpose"]:
            keys = self.transposed(keys, seed, step)
        logits = self.keys((self.tcn if hasattr(self, "tcn") else self.rnn)(keys[:, :-1], mask))
        nats = F.binary_cross_entropy_with_logits(logits, keys[:, 1:], reduction="none") * there
        return (nats.sum() / there.sum(),)


def initialise(net, seed=1):
    """gen's initial numbers: U(-1/sqrt(fan_in), ..); a recurrent layer's fan_in is its size."""
    o = net.o
    for name, p in net.named_parameters():
        layer = dict(net.named_modules())[name.rpartition(".")[0]]
        if name.endswith("weight_g"):
            p.data.fill_(float(np.float32(0.577)))
            continue
        weight = getattr(layer, "weight_v", getattr(layer, "weight", p))
        fan_in = o["hidden"] if name.startswith("rnn") else weight[0].numel()
        values = initial_values(name, p.numel(), "torch", fan_in, 0, seed)
        if p.dim() == 4:
            values = from_conv(values, *p.shape)
        elif p.dim() == 2:
            values = values.reshape(p.shape[1], p.shape[0]).T
        p.data.copy_(torch.from_numpy(values.astype(np.float64).copy()))
    return net


CASES = {  # options that differ from the defaults, windows, frames that are foretold
    "poly-lstm": ({"hidden": 24, "layers": 2}, 5, 11),
    "poly-gru": ({"net": "gru", "hidden": 24, "layers": 2}, 5, 11),
    "poly-tcn": ({"net": "tcn", "hidden": 16, "layers": 3, "kernel": 3, "dropout": 0.25}, 5, 21),
    "poly-transposed": ({"hidden": 16, "transpose": 3, "dropout": 0}, 9, 6),
}


def write_case(name):
    o, n, t = CASES[name]
    net = initialise(Poly(o).double(), golden.SEED)
    x = torch.from_numpy(golden.pictures(n, (t + 1, KEYS + 1, 1)).astype(np.float64))[..., 0]
    out = {}
    golden.train(net, net.o, x, out)
    words = " ".join(f"{k}={v}" for k, v in {**o, "window": t, "clip-norm": 0, "schedule": "constant"}.items())
    metadata = {"model": "poly", "preset": "", "options": words, "size": f"{n} {t + 1} {KEYS + 1} 1", "seed": str(golden.SEED),
                "losses": net.LOSSES, "torch": torch.__version__.split("+")[0], "made by": "tools/twins_frames.py"}  # fmt: skip
    path = golden.save(name, out, metadata)
    print(f"{path.name}: {path.stat().st_size} bytes, loss {out['losses'][0, 0]:.6g} -> {out['losses'][-1, 0]:.6g}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in sys.argv[1:] or CASES:
        write_case(case)
