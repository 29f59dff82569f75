"""The PyTorch network of models/diffusion.c, with its losses and its noise: see tools/twins.py.

    net = twins_diffusion.twin({"width": 128, "mults": "1,2,2,2"}, height=32, width=32, channels=3)
    net.load_state_dict(safetensors.torch.load_file("runs/diffusion-cifar10/checkpoints/latest"))
    net.denoise(x, sigma, time, labels)          # x[N,C,H,W] = y + sigma eps -> y
"""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import twins

OPTIONS = {"width": 128, "mults": "1,2,2,2", "blocks": 2, "attention": "16", "groups": 32, "dropout": 0.0, "init": "zero", "target": "eps",
           "noise": "linear", "times": 1000, "min-snr": 0.0, "p-mean": -1.2, "p-std": 1.2, "sigma-data": 0.5, "conditional": 1,
           "label-drop": 0.1}  # fmt: skip


def numbers(text):
    return [int(word) for word in text.split(",")] if text else []


def sigmas(kind, times):
    """models/noise.c: sqrt(1 - a) / sqrt(a) for the product a of 1 - beta."""
    t = np.arange(times + 1) / times
    if kind == "linear":
        beta = 1000 / times * np.linspace(1e-4, 0.02, times)
    elif kind == "cosine":
        alpha2 = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
        beta = 1 - alpha2[1:] / alpha2[:-1]
    else:
        s = 1 / (1 + np.exp(-(6 * t - 3)))
        alpha2 = (s[-1] - s) / (s[-1] - s[0])
        beta = 1 - alpha2[1:] / alpha2[:-1]
    product = np.cumprod(1 - np.minimum(beta, 0.999))
    return np.sqrt((1 - product) / product)


# ---- models/unet.c --------------------------------------------------------------------------------------------------


def conv(c, k, kernel=3, stride=1):
    return twins.Conv(c, k, kernel, stride, False)


class Block(nn.Module):
    def __init__(self, c, k, time, groups):
        super().__init__()
        self.norm1, self.conv1, self.time = nn.GroupNorm(groups, c), conv(c, k), twins.Dense(time, k)
        self.norm2, self.conv2 = nn.GroupNorm(groups, k), conv(k, k)
        if c != k:
            self.skip = conv(c, k, 1)

    def forward(self, x, time, mask):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(time)[:, :, None, None]
        h = self.conv2(mask(F.silu(self.norm2(h))))
        return h + (self.skip(x) if hasattr(self, "skip") else x)


class Attention(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, c)
        self.q, self.k, self.v, self.out = (conv(c, c, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return x + self.out(h.reshape(x.shape))


class UNet(nn.Module):
    def __init__(self, o, height, width, channels, classes):
        super().__init__()
        self.o, self.classes, self.init = o, classes if o["conditional"] else 0, "torch"
        mults, w, groups, wanted = numbers(o["mults"]), o["width"], o["groups"], numbers(o["attention"])
        unit = 2 ** (len(mults) - 1)
        self.pad = (0, -width % unit, 0, -height % unit)
        side = min(height + self.pad[3], width + self.pad[1])
        self.time = nn.Sequential(twins.Dense(w, 4 * w), nn.SiLU(), twins.Dense(4 * w, 4 * w))
        if self.classes:
            self.label = nn.Embedding(classes + 1, 4 * w)
        self.conv_in = conv(channels, w)
        self.down, self.up, c, skips = nn.ModuleList(), nn.ModuleList(), w, [w]

        def block(c, k):
            b = Block(c, k, 4 * w, groups)
            if side in wanted:
                b.attention = Attention(k, groups)
            return b

        for i, m in enumerate(mults):
            for _ in range(o["blocks"]):
                self.down.append(block(c, w * m))
                c = w * m
                skips.append(c)
            if i < len(mults) - 1:
                self.down.append(nn.ModuleDict({"conv": conv(c, c, 3, 2)}))
                skips.append(c)
                side //= 2
        self.mid = nn.ModuleList([Block(c, c, 4 * w, groups), Attention(c, groups), Block(c, c, 4 * w, groups)])
        for i, m in reversed(list(enumerate(mults))):
            for _ in range(o["blocks"] + 1):
                self.up.append(block(c + skips.pop(), w * m))
                c = w * m
            if i:
                self.up.append(nn.ModuleDict({"conv": conv(c, c)}))
                side *= 2
        self.norm_out, self.conv_out = nn.GroupNorm(groups, c), conv(c, channels)

    def mask(self, place, seed, step):
        p = self.o["dropout"]
        if not p or not self.training:
            return lambda h: h

        def of(h):
            n, c, height, width = h.shape
            u = twins.random_tensor((n, height, width, c), twins.hash_name(place + ".dropout"), seed, step)
            kept = (u < np.float32(1 - p)).astype(np.float64) / (1 - p)
            return h * torch.from_numpy(kept.transpose(0, 3, 1, 2).copy()).to(h.dtype)

        return of

    def step(self, layer, place, x, time, seed, step):
        if "conv" in getattr(layer, "keys", list)():
            return layer["conv"](F.interpolate(x, scale_factor=2) if place.startswith("up") else x)
        x = layer(x, time, self.mask(place, seed, step))
        return layer.attention(x) if hasattr(layer, "attention") else x

    def forward(self, x, t, labels=None, seed=1, step=0):
        height, width = x.shape[2:]
        half = self.o["width"] // 2
        frequency = torch.exp(-math.log(10000) * torch.arange(half, dtype=x.dtype) / (half - 1))
        frequency = frequency.float().to(x.dtype)  # a table of float32
        angle = t[:, None] * frequency
        time = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        if self.classes:
            time = time + self.label(labels)
        time = F.silu(time)
        h = self.conv_in(F.pad(x, self.pad))
        skips = [h]
        for i, layer in enumerate(self.down):
            h = self.step(layer, f"down.{i}", h, time, seed, step)
            skips.append(h)
        h = self.mid[0](h, time, self.mask("mid.0", seed, step))
        h = self.mid[2](self.mid[1](h), time, self.mask("mid.2", seed, step))
        for i, layer in enumerate(self.up):
            h = h if "conv" in getattr(layer, "keys", list)() else torch.cat([h, skips.pop()], 1)
            h = self.step(layer, f"up.{i}", h, time, seed, step)
        return self.conv_out(F.silu(self.norm_out(h)))[:, :, :height, :width]

    # ---- models/diffusion.c -----------------------------------------------------------------------------------------

    def scales(self, sigma):
        """c_in, c_skip, c_out: the table at the head of models/diffusion.c"""
        target, d = self.o["target"], self.o["sigma-data"] if self.o["target"] == "edm" else 1
        r = 1 / torch.sqrt(sigma**2 + d * d)
        one, zero = torch.ones_like(sigma), torch.zeros_like(sigma)
        return {"eps": (r, one, -sigma), "x0": (r, zero, one), "v": (r, r * r, -sigma * r), "edm": (r, d * d * r * r, d * sigma * r)}[target]

    def denoise(self, x, sigma, time, labels=None):
        c_in, c_skip, c_out = self.scales(sigma[:, None, None, None])
        time = sigma.log() / 4 if self.o["noise"] == "log-normal" else time
        return c_skip * x + c_out * self(c_in * x, time, labels)

    def losses(self, x, seed, step):
        o, n = self.o, len(x)
        draw = lambda shape, name, of: torch.from_numpy(twins.random_tensor(shape, twins.hash_name(name), seed, step, of)).to(x.dtype)
        if o["noise"] == "log-normal":
            sigma = torch.exp(o["p-mean"] + o["p-std"] * draw((n,), "time", twins.normal_of))
            time = sigma.log() / 4
        else:
            time = torch.floor(draw((n,), "time", twins.uniform_of) * o["times"])
            sigma = torch.from_numpy(sigmas(o["noise"], o["times"])).float().to(x.dtype)[time.long()]
        eps = draw((n, *x.shape[2:], x.shape[1]), "noise", twins.normal_of).permute(0, 3, 1, 2)
        labels = self.labels
        if self.classes and o["label-drop"]:
            drop = draw((n,), "label_drop", twins.uniform_of) < float(np.float32(o["label-drop"]))
            labels = torch.where(drop, self.classes, labels)
        y, wide = 2 * x - 1, sigma[:, None, None, None]
        c_in, c_skip, c_out = self.scales(wide)
        noisy = y + wide * eps
        target = eps if o["target"] == "eps" else (y - c_skip * noisy) / c_out
        each = ((self(c_in * noisy, time, labels, seed, step) - target) ** 2).flatten(1).mean(1)
        if o["min-snr"]:
            snr = sigma**-2
            least = torch.clamp(snr, max=o["min-snr"])
            each = each * {"eps": least / snr, "x0": least, "v": least / (snr + 1)}[o["target"]]
        return (each.mean(),)


def twin(options, height, width, channels, classes=0):
    o = {name: twins.number(type(fallback), options.get(name, fallback)) for name, fallback in OPTIONS.items()}
    return UNet(o, height, width, channels, classes)


def initialise(net, seed=1):
    """gen's initial weights under --init torch."""
    twins.initialise(net, seed)
    if net.classes:
        table = twins.stream("label.weight", net.label.weight.numel(), seed, twins.normal_of).astype(np.float32)
        with torch.no_grad():
            net.label.weight.copy_(torch.from_numpy(table.reshape(net.label.weight.shape)))
    return net
