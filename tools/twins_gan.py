#!/usr/bin/env python3
"""GANs in PyTorch: models/gan.c and models/gan_nets.c. Without arguments it writes their golden files (tools/golden.py, tests/test_golden_gan.c).

    net = twins_gan.Gan(twins_gan.options("wgan-gp-faces"), 64, 64, 3)       # net.g, net.d: gen's names
    twins_gan.initialise(net, seed=1)
"""
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import golden
import twins
from twins import hash_name, initial_values, normal_of, random_tensor, unflatten

GAN = {"net": "dcgan", "latent": 100, "width": 64, "hidden": 0, "up": "auto", "loss": "bce", "penalty": 10.0, "clip": 0.01,
       "label-smoothing": 0.0, "n-critic": 1, "updates": "joint", "fakes": "batch", "d-lr": 0.0, "conditional": 0,
       "spectral-norm": 0}  # fmt: skip

PRESETS = {
    "gdl-gan-camel": ({"net": "gdl-camel", "updates": "separate", "fakes": "running", "optimiser": "rmsprop", "rho": 0.9,
                       "lr": 4e-4, "d-lr": 8e-4}, (28, 28, 1)),
    "dcgan-64": ({"net": "dcgan", "lr": 2e-4, "beta1": 0.5}, (64, 64, 3)),
    "wgan-gp-faces": ({"net": "gdl-faces", "loss": "wgan-gp", "n-critic": 5, "lr": 2e-4, "beta1": 0.5}, (64, 64, 3)),
}  # fmt: skip

UP, CONV = True, False  # a generator's layer: upsampling and a conv, or a transposed conv
CAMEL = [(128, 5, 2, UP), (64, 5, 2, UP), (64, 5, 1, CONV), (0, 5, 1, CONV)], [(64, 5, 2), (64, 5, 2), (128, 5, 2), (128, 5, 1)]
FACES = [(256, 5, 2, CONV), (128, 5, 2, CONV), (64, 5, 2, CONV), (0, 5, 2, CONV)], [(64, 5, 2), (128, 5, 2), (256, 5, 2), (512, 5, 2)]


def options(preset, **changes):
    return {**GAN, **PRESETS[preset][0], **{k.replace("_", "-"): v for k, v in changes.items()}}


def dcgan_layers(width, h, w):
    down, channels = [], width
    while max(h, w) > 7:
        down.append((channels, 4, 2))
        channels *= 2 if len(down) < 4 else 1
        h, w = -(-h // 2), -(-w // 2)
    back = down[::-1]
    return [(after[0], k, s, CONV) for (_, k, s), after in zip(back, back[1:] + [(0,)])], down, back[0][0]


class Half(nn.Module):
    """What both networks have: biases or none, norms with their options."""

    def __init__(self, net, biased=False):
        super().__init__()
        self.plain = net == "dcgan"
        self.biased = biased or not self.plain
        self.norm_options = {} if self.plain else {"eps": 1e-3}

    def add(self, name, layer):
        if not self.biased:
            layer.bias.data.zero_()
            layer.bias.requires_grad_(False)
        setattr(self, name, layer)


class Generator(Half):
    def __init__(self, o, h, w, c, classes):
        super().__init__(o["net"])
        if self.plain:
            self.layers, _, first = dcgan_layers(o["width"], h, w)
        else:
            self.layers, first = (CAMEL[0], 64) if "camel" in o["net"] else (FACES[0], 512)
        self.size, self.slope = (h, w), 0.0 if self.plain or "camel" in o["net"] else 0.2
        for _, _, stride, _ in self.layers:
            h, w = -(-h // stride), -(-w // stride)
        self.start = (first, h, w)
        n, inputs = first * h * w, o["latent"] + classes
        if o["hidden"]:
            self.add("fc", twins.Dense(inputs, o["hidden"]))
            self.fc_norm = nn.BatchNorm1d(o["hidden"], **self.norm_options)
        self.add("dense", twins.Dense(o["hidden"] or inputs, n, flat_out=self.start))
        self.dense_norm = nn.BatchNorm2d(first) if self.plain else nn.BatchNorm1d(n, **self.norm_options)
        before = first
        for i, (channels, kernel, stride, up) in enumerate(self.layers, 1):
            after = channels or c
            layer = twins.Conv(before, after, kernel, 1, True) if up else twins.ConvT(before, after, kernel, stride, True)
            self.add(f"conv{i}", layer)
            if i < len(self.layers):
                setattr(self, f"conv{i}_norm", nn.BatchNorm2d(after, **self.norm_options))
            before = after

    def activate(self, x):
        return F.leaky_relu(x, self.slope) if self.slope else F.relu(x)

    def forward(self, z):
        h = self.dense(self.activate(self.fc_norm(self.fc(z))) if hasattr(self, "fc") else z)
        if self.plain:
            h = self.activate(self.dense_norm(h.reshape(-1, *self.start)))
        else:
            h = self.activate(self.dense_norm(h)).reshape(-1, *self.start)
        for i, (_, _, stride, up) in enumerate(self.layers, 1):
            h = getattr(self, f"conv{i}")(F.interpolate(h, scale_factor=stride) if up else h)
            if i < len(self.layers):
                h = self.activate(getattr(self, f"conv{i}_norm")(h))
        return torch.tanh(h)[:, :, : self.size[0], : self.size[1]]


class Discriminator(Half):
    def __init__(self, o, h, w, c):
        normed = o["net"] == "dcgan" and o["loss"] not in ("wgan-gp", "r1") and not o["spectral-norm"]
        super().__init__(o["net"], not normed)
        camel = "camel" in o["net"]
        self.layers = dcgan_layers(o["width"], h, w)[1] if self.plain else (CAMEL if camel else FACES)[1]
        self.slope, self.dropout = 0.0 if camel else 0.2, 0.4 if camel else 0.0
        for i, (channels, kernel, stride) in enumerate(self.layers, 1):
            self.add(f"conv{i}", twins.Conv(c, channels, kernel, stride, True))
            if i > 1 and normed:
                setattr(self, f"conv{i}_norm", nn.BatchNorm2d(channels))
            c, h, w = channels, -(-h // stride), -(-w // stride)
        if o["hidden"]:
            self.add("fc", twins.Dense(c * h * w, o["hidden"], flat_in=(c, h, w)))
        self.add("dense", twins.Dense(o["hidden"], 1) if o["hidden"] else twins.Dense(c * h * w, 1, flat_in=(c, h, w)))

    def forward(self, x, masks):
        for i in range(1, len(self.layers) + 1):
            x = getattr(self, f"conv{i}")(x)
            if hasattr(self, f"conv{i}_norm"):
                x = getattr(self, f"conv{i}_norm")(x)
            x = F.leaky_relu(x, self.slope) if self.slope else F.relu(x)
            x = x * next(masks)(x) if self.dropout else x
        x = x.flatten(1)
        x = F.leaky_relu(self.fc(x), self.slope) if hasattr(self, "fc") else x
        return self.dense(x)[:, 0]


class Gan(nn.Module):
    init = "normal"

    def __init__(self, o, h, w, c):
        super().__init__()
        self.o, self.g, self.d = o, Generator(o, h, w, c, 0), Discriminator(o, h, w, c)


def initialise(net, seed=1):
    """gen's initial numbers: N(0, 0.02^2), norms of dcgan N(1, 0.02^2)."""
    twins.initialise(net, seed)
    for name, layer in net.named_modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) and net.o["net"] == "dcgan":
            draw = initial_values(name + ".weight", len(layer.weight), "normal", 1, 1, seed)
            layer.weight.data.copy_(torch.from_numpy((1 + draw.astype(np.float64)).astype(np.float32)))
    return net


# ---- one step ------------------------------------------------------------------------------------------------------------


class Step:
    """models/gan.c: n_critic updates of D, then one of G."""

    def __init__(self, net, rate, step):
        o = net.o
        kind = {"rmsprop": lambda p, lr: torch.optim.RMSprop(p, lr, alpha=o.get("rho", 0.99)),
                "sgd": lambda p, lr: torch.optim.SGD(p, lr, o.get("momentum", 0)),
                "adam": lambda p, lr: torch.optim.Adam(p, lr, (o.get("beta1", 0.9), 0.999))}[o.get("optimiser", "adam")]  # fmt: skip
        learned = lambda half: [p for p in half.parameters() if p.requires_grad]
        self.net, self.o, self.step = net, o, step
        self.d_optim, self.g_optim = kind(learned(net.d), o["d-lr"] or rate), kind(learned(net.g), rate)

    def random(self, shape, scope, of, i):
        draw = random_tensor(shape, hash_name(scope) + i, golden.SEED, self.step, of)
        return torch.from_numpy(draw).to(self.real.dtype)

    def masks(self):
        def of(h):
            n, c, height, width = h.shape
            u = random_tensor((n, height, width, c), hash_name("") + self.n_masks, golden.SEED, self.step)
            self.n_masks += 1
            p = self.net.d.dropout
            return torch.from_numpy(((u < np.float32(1 - p)) / (1 - p)).transpose(0, 3, 1, 2).copy()).to(h.dtype)

        while True:
            yield of

    def say(self, x):
        return self.net.d(x, self.masks())

    def make(self, running=False):
        z = self.random((len(self.real), self.o["latent"]), "z", normal_of, self.n_z)
        self.n_z += 1
        self.net.g.train(not running)
        return self.net.g(z)

    def update(self, optim, loss):
        optim.zero_grad()
        loss.backward()
        optim.step()
        return loss.detach()

    def critic_loss(self, a, b, real, fake):
        kind = self.o["loss"]
        if kind == "bce":
            return F.softplus(-a).mean() + F.softplus(b).mean() if b is not None else F.softplus(-a).mean()
        part = self.random((len(real), 1, 1, 1), "between", twins.uniform_of, self.n_between)
        self.n_between += 1
        u = (part * real + (1 - part) * fake).requires_grad_(True)
        (slope,) = torch.autograd.grad(self.say(u).sum(), u, create_graph=True)
        return b.mean() - a.mean() + self.o["penalty"] * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()

    def run(self, x):
        """d_loss and g_loss. x[batches N,C,H,W] in [0,1]"""
        o, running = self.o, self.o["fakes"] == "running"
        self.n_masks = self.n_z = self.n_between = 0
        for real in (2 * x - 1).chunk(o["n-critic"]):
            self.real = real
            if o["updates"] == "separate":
                d_loss = self.update(self.d_optim, F.softplus(-self.say(real)).mean())
                made = self.make(running).detach()
                d_loss += self.update(self.d_optim, F.softplus(self.say(made)).mean())
            else:
                a, made = self.say(real), self.make(running)
                d_loss = self.update(self.d_optim, self.critic_loss(a, self.say(made.detach()), real, made.detach()))
        if o["updates"] == "separate" or o["n-critic"] > 1 or running:
            made = self.make()
        b = self.say(made)
        g_loss = F.softplus(-b).mean() if o["loss"] == "bce" else -b.mean()
        return float(d_loss), float(self.update(self.g_optim, g_loss))


# ---- golden files ----------------------------------------------------------------------------------------------------------

# Adam and RMSprop start with steps of the sign of the gradient, where the rounding of a small one decides: their cases are compared in double precision,
# on small pictures; those in single precision learn by SGD.
SGD = {"optimiser": "sgd", "momentum": 0.5, "lr": 1e-3, "d-lr": 1e-3}
CASES = {  # preset, options that differ, pictures of a batch, their size where it is not the preset's
    "gan-dcgan-64": ("dcgan-64", {**SGD, "lr": 1e-4, "d-lr": 1e-4}, 4, None),
    "gan-camel": ("gdl-gan-camel", SGD, 8, None),
    "gan-wgan-gp-faces": ("wgan-gp-faces", {**SGD, "n-critic": 2, "d-lr": 1e-4}, 2, None),
    "gan-dcgan-small": ("dcgan-64", {"width": 4, "latent": 5}, 4, (22, 13, 2)),
    "gan-dcgan-hidden": ("dcgan-64", {"width": 4, "latent": 5, "hidden": 12}, 4, (22, 13, 2)),
    "gan-camel-small": ("gdl-gan-camel", {}, 4, (8, 4, 1)),
    "gan-wgan-gp-small": ("dcgan-64", {"width": 4, "latent": 5, "loss": "wgan-gp", "n-critic": 2}, 4, (22, 13, 2)),
}  # fmt: skip


def first_moments(step):
    """What the first moments of both groups hold (Adam: over 1 - beta1): the gradient, after several updates a mix of them."""
    for half, optim in (("d.", step.d_optim), ("g.", step.g_optim)):
        names = {id(p): n for n, p in getattr(step.net, half[0]).named_parameters()}
        for p, state in optim.state.items():
            sgd = "momentum_buffer" in state
            yield half + names[id(p)], state["momentum_buffer"] if sgd else state["exp_avg"] / (1 - step.o.get("beta1", 0.9))


def write_case(name):
    preset, changes, n, size = CASES[name]
    o = {**options(preset), **changes}
    h, w, c = size or PRESETS[preset][1]
    n *= o["n-critic"]
    net = initialise(Gan(o, h, w, c).double(), golden.SEED).train()
    x = torch.from_numpy(golden.pictures(n, (h, w, c)).astype(np.float64).transpose(0, 3, 1, 2).copy())
    out, losses, step = {}, [], Step(net, o["lr"], 0)
    for i in range(golden.STEPS):
        step.step = i
        d_loss, g_loss = step.run(x)
        losses.append([d_loss + g_loss, d_loss, g_loss])
        if i == 0 and o.get("optimiser", "adam") != "rmsprop":
            for tensor, value in first_moments(step):
                out["norm " + tensor], out["grad " + tensor] = value.norm().float().reshape(1), golden.sums(tensor, value)
        if i == 0:
            for tensor, value in net.named_buffers():
                out["after " + tensor] = golden.sums(tensor, value)
    out["losses"] = torch.tensor(losses)
    words = " ".join(f"{k}={v}" for k, v in {"schedule": "constant", "ema": 0, **changes}.items())
    metadata = {"model": "gan", "preset": preset, "options": words, "size": f"{n} {h} {w} {c}", "seed": str(golden.SEED),
                "losses": "loss d_loss g_loss", "torch": torch.__version__.split("+")[0], "made by": "tools/twins_gan.py"}  # fmt: skip
    path = golden.save(name, out, metadata)
    print(f"{path.name}: {path.stat().st_size} bytes, losses {losses[0]} -> {losses[-1]}")


def check():
    for preset, d, g in (("dcgan-64", 2765568, 3576704), ("gdl-gan-camel", 720833, 844161), ("wgan-gp-faces", 4314753, 5168003)):
        net = Gan(options(preset), *PRESETS[preset][1])
        kept = lambda half, name, t: not (half.plain and name.endswith("bias") and "norm" not in name)
        count = lambda half: sum(t.numel() for n, t in half.state_dict().items() if "num_batches" not in n and kept(half, n, t)
                                 and not (half.plain and "running" in n))  # fmt: skip
        assert (count(net.d), count(net.g)) == (d, g), (preset, count(net.d), count(net.g))


if __name__ == "__main__":
    torch.set_num_threads(1)
    check()
    for case in sys.argv[1:] or CASES:
        write_case(case)
