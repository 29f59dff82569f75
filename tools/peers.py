#!/usr/bin/env python3
"""PyTorch's side of tools/bench: whole training steps (forward, losses, backward, optimiser; averages and clipping where the model has them), data
already in memory.

  tools/peers.py WORKLOAD MODE [--threads N] [--device cpu|cuda] [--precision fp32|tf32|bf16]
  MODE: eager-nchw, eager-nhwc, compile-nchw, compile-nhwc; on a GPU, all in NHWC: eager, default, reduce-overhead, max-autotune, graph

Stays alive: for each line "SECONDS" on standard input it times steps for so long and answers with one JSON line; the time of a step is the least.
A workload is a function of (Mode) that returns the step; the nets are those of the preset `bench-WORKLOAD` of gen.
"""
import argparse
import json
import math
import resource
import sys
import time
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F

bce = F.binary_cross_entropy_with_logits


class Mode(NamedTuple):
    """How PyTorch is run: each net through torch.compile or not, pictures in NHWC or NCHW, the step captured as a CUDA graph or not."""

    compiled: bool
    channels_last: bool
    how: str = "default"  # torch.compile's mode
    graph: bool = False

    def layout(self, x):
        return x.to(memory_format=torch.channels_last) if self.channels_last else x

    def run(self, f):
        return torch.compile(f, mode=self.how) if self.compiled else f

    def optimiser(self, make, parameters, *args, **named):
        """Counts steps on the GPU where the step is to be captured."""
        return make(parameters, *args, **named, **({"capturable": True} if self.graph else {}))


def trainable(net, on):
    for p in net.parameters():
        p.requires_grad_(on)


# ---- autoencoder, GANs ---------------------------------------------------------------------------------------------------------------------


class Vae(nn.Module):
    """28x28, a code of 2."""

    def __init__(self, latent=2):
        super().__init__()
        act = lambda: nn.LeakyReLU(0.3)
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 3, 1, 1), act(), nn.Conv2d(32, 64, 3, 2, 1), act(),
            nn.Conv2d(64, 64, 3, 2, 1), act(), nn.Conv2d(64, 64, 3, 1, 1), act(), nn.Flatten())  # fmt: skip
        self.mu, self.logvar, self.dense = nn.Linear(3136, latent), nn.Linear(3136, latent), nn.Linear(latent, 3136)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(64, 64, 3, 1, 1), act(), nn.ConvTranspose2d(64, 64, 3, 2, 1, 1), act(),
            nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), act(), nn.ConvTranspose2d(32, 1, 3, 1, 1), nn.Sigmoid())  # fmt: skip

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decoder(self.dense(z).view(-1, 64, 7, 7)), mu, logvar


def vae(mode, batch):
    net = mode.layout(Vae())
    optimiser = mode.optimiser(torch.optim.Adam, net.parameters(), 5e-4, fused=True)
    x = torch.rand(batch, 1, 28, 28)
    forward = mode.run(net)

    def step():
        y, mu, logvar = forward(x)
        loss = 1000 * F.mse_loss(y, x) - 0.5 * (1 + logvar - mu * mu - logvar.exp()).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    return step


def camel(mode, batch=64):
    """Foster's GAN of camels: nearest upsampling and 5x5 convolutions; D on real pictures, D on made ones, then G."""
    up = lambda: nn.Upsample(scale_factor=2)
    norm = lambda c: [nn.BatchNorm2d(c), nn.ReLU()]
    G = nn.Sequential(
        nn.Linear(100, 3136), nn.BatchNorm1d(3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)), up(), nn.Conv2d(64, 128, 5, 1, 2), *norm(128),
        up(), nn.Conv2d(128, 64, 5, 1, 2), *norm(64), nn.ConvTranspose2d(64, 64, 5, 1, 2), *norm(64), nn.ConvTranspose2d(64, 1, 5, 1, 2),
        nn.Tanh())  # fmt: skip
    layers = []
    for i, o, s in ((1, 64, 2), (64, 64, 2), (64, 128, 2), (128, 128, 1)):
        layers += [nn.Conv2d(i, o, 5, s, 2), nn.ReLU(), nn.Dropout(0.4)]
    D = nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 1))
    G, D = mode.layout(G), mode.layout(D)
    g_optimiser, d_optimiser = mode.optimiser(torch.optim.RMSprop, G.parameters(), 4e-4), mode.optimiser(torch.optim.RMSprop, D.parameters(), 8e-4)
    g, d = mode.run(G), mode.run(D)
    x, one, zero = torch.rand(batch, 1, 28, 28) * 2 - 1, torch.ones(batch, 1), torch.zeros(batch, 1)

    def judge(pictures, label):
        d_optimiser.zero_grad()
        bce(d(pictures), label).backward()
        d_optimiser.step()

    def step():
        judge(x, one)
        with torch.no_grad():
            fake = g(torch.randn(batch, 100))
        judge(fake, zero)
        trainable(D, False)
        g_optimiser.zero_grad()
        loss = bce(d(g(torch.randn(batch, 100))), one)
        loss.backward()
        g_optimiser.step()
        trainable(D, True)
        return loss

    return step


def dcgan64(mode, batch=64, width=64):
    """Radford et al. 2016, as in PyTorch's examples."""
    layers = [nn.ConvTranspose2d(100, 8 * width, 4, 1, 0, bias=False), nn.BatchNorm2d(8 * width), nn.ReLU(True)]
    for i, o in ((8, 4), (4, 2), (2, 1)):
        layers += [nn.ConvTranspose2d(i * width, o * width, 4, 2, 1, bias=False), nn.BatchNorm2d(o * width), nn.ReLU(True)]
    G = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())
    layers = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for i, o in ((1, 2), (2, 4), (4, 8)):
        layers += [nn.Conv2d(i * width, o * width, 4, 2, 1, bias=False), nn.BatchNorm2d(o * width), nn.LeakyReLU(0.2, True)]
    D = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False))
    G, D = mode.layout(G), mode.layout(D)
    adam = lambda net: mode.optimiser(torch.optim.Adam, net.parameters(), 2e-4, (0.5, 0.999), fused=True)
    g_optimiser, d_optimiser = adam(G), adam(D)
    g, d = mode.run(G), mode.run(D)
    x = mode.layout(torch.randn(batch, 3, 64, 64))
    one, zero = torch.ones(batch, 1, 1, 1), torch.zeros(batch, 1, 1, 1)

    def step():
        d_optimiser.zero_grad()
        bce(d(x), one).backward()
        fake = g(torch.randn(batch, 100, 1, 1))
        bce(d(fake.detach()), zero).backward()
        d_optimiser.step()
        g_optimiser.zero_grad()
        loss = bce(d(fake), one)
        loss.backward()
        g_optimiser.step()
        return loss

    return step


def wgangp(mode, batch=64):
    """One update of Foster's critic of faces, with the gradient penalty of Gulrajani et al. 2017."""
    if mode.compiled:
        raise RuntimeError("torch.compile does not differentiate twice")
    layers = []
    for i, o in ((3, 64), (64, 128), (128, 256), (256, 512)):
        layers += [nn.Conv2d(i, o, 5, 2, 2), nn.LeakyReLU(0.2)]
    D = mode.layout(nn.Sequential(*layers, nn.Flatten(), nn.Linear(8192, 1)))
    optimiser = mode.optimiser(torch.optim.Adam, D.parameters(), 2e-4, (0.5, 0.999), fused=True)
    x, fake = torch.rand(batch, 3, 64, 64) * 2 - 1, torch.rand(batch, 3, 64, 64) * 2 - 1

    def step():
        a = torch.rand(batch, 1, 1, 1)
        between = (a * x + (1 - a) * fake).requires_grad_(True)
        (slope,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
        loss = D(fake).mean() - D(x).mean() + 10 * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    return step


# ---- CycleGAN, style -----------------------------------------------------------------------------------------------------------------------


class ResidualBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        half = lambda: [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c)]
        self.body = nn.Sequential(*half(), nn.ReLU(True), *half())

    def forward(self, x):
        return x + self.body(x)


def resnet_generator(blocks):
    norm = lambda c: [nn.InstanceNorm2d(c), nn.ReLU(True)]
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, 64, 7), *norm(64), nn.Conv2d(64, 128, 3, 2, 1), *norm(128), nn.Conv2d(128, 256, 3, 2, 1), *norm(256),
        *[ResidualBlock(256) for _ in range(blocks)], nn.ConvTranspose2d(256, 128, 3, 2, 1, 1), *norm(128),
        nn.ConvTranspose2d(128, 64, 3, 2, 1, 1), *norm(64), nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh())  # fmt: skip


def patch_discriminator():
    layers = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for i, o, s in ((64, 128, 2), (128, 256, 2), (256, 512, 1)):
        layers += [nn.Conv2d(i, o, 4, s, 1), nn.InstanceNorm2d(o), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, 1, 1))


def cyc128(mode, size=128, blocks=6):
    """Zhu et al. 2017: both generators, then both discriminators."""
    nets = [mode.layout(net) for net in (resnet_generator(blocks), resnet_generator(blocks), patch_discriminator(), patch_discriminator())]
    to_b, to_a, of_b, of_a = [mode.run(net) for net in nets]
    adam = lambda pair: mode.optimiser(torch.optim.Adam, [p for net in pair for p in net.parameters()], 2e-4, (0.5, 0.999), fused=True)
    g_optimiser, d_optimiser = adam(nets[:2]), adam(nets[2:])
    a, b = (mode.layout(torch.rand(1, 3, size, size) * 2 - 1) for _ in range(2))
    off = lambda x, y: (x - y).abs().mean()

    def step():
        for net in nets[2:]:
            trainable(net, False)
        g_optimiser.zero_grad()
        fake_b = to_b(a)
        back_a = to_a(fake_b)
        fake_a = to_a(b)
        back_b = to_b(fake_a)
        loss = ((of_b(fake_b) - 1) ** 2).mean() + ((of_a(fake_a) - 1) ** 2).mean()
        loss = loss + 10 * (off(back_a, a) + off(back_b, b)) + 5 * (off(to_b(b), b) + off(to_a(a), a))
        loss.backward()
        g_optimiser.step()
        for net in nets[2:]:
            trainable(net, True)
        d_optimiser.zero_grad()
        judged = ((of_b(b) - 1) ** 2).mean() + (of_b(fake_b.detach()) ** 2).mean()
        judged = judged + ((of_a(a) - 1) ** 2).mean() + (of_a(fake_a.detach()) ** 2).mean()
        (0.5 * judged).backward()
        d_optimiser.step()
        return loss

    return step


def style(mode, size=256):
    """Gatys et al. 2016: an update of the pixels, through VGG-19 (random weights: time does not know)."""
    layers, channels = [], 3
    for width, convs in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 1)):
        for _ in range(convs):
            layers += [nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    net = mode.layout(nn.ModuleList(layers[:-1]))
    trainable(net, False)
    style_layers, content_layer = {1, 6, 11, 20, 29}, 22

    def features(x):
        grams, content = [], None
        for i, layer in enumerate(net):
            x = layer(x)
            if i in style_layers:
                f = x.flatten(2)
                grams.append(f @ f.transpose(1, 2) / (f.shape[1] * f.shape[2]))
            if i == content_layer:
                content = x
        return grams, content

    run = mode.run(features)
    x = mode.layout(torch.rand(1, 3, size, size))
    with torch.no_grad():
        style, content = features(torch.rand_like(x))
    x.requires_grad_(True)
    optimiser = mode.optimiser(torch.optim.Adam, [x], 0.02)

    def step():
        optimiser.zero_grad()
        grams, c = run(x)
        variation = (x[:, :, 1:] - x[:, :, :-1]).abs().mean() + (x[..., 1:] - x[..., :-1]).abs().mean()
        loss = ((c - content) ** 2).mean() + sum(((g - s) ** 2).mean() for g, s in zip(grams, style)) + 1e-3 * variation
        loss.backward()
        optimiser.step()
        return loss

    return step


# ---- diffusion -----------------------------------------------------------------------------------------------------------------------------


class TimedBlock(nn.Module):
    """Residual block that is told the time."""

    def __init__(self, i, o, time_width, groups, dropout):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, i), nn.Conv2d(i, o, 3, 1, 1)
        self.time = nn.Linear(time_width, o)
        self.norm2, self.drop, self.conv2 = nn.GroupNorm(groups, o), nn.Dropout(dropout), nn.Conv2d(o, o, 3, 1, 1)
        self.skip = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x, t):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(t))[:, :, None, None]
        return self.skip(x) + self.conv2(self.drop(F.silu(self.norm2(h))))


class Attention(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.norm, self.qkv, self.out = nn.GroupNorm(groups, c), nn.Conv2d(c, 3 * c, 1), nn.Conv2d(c, c, 1)

    def forward(self, x):
        n, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        return x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, c, h, w))


class UNet(nn.Module):
    """Ho et al. 2020, appendix B."""

    def __init__(self, width=128, mults=(1, 2, 2, 2), blocks=2, attention=(16,), size=32, channels=3, groups=32, dropout=0.1, classes=0):
        super().__init__()
        t = 4 * width
        self.width, self.groups, self.dropout = width, groups, dropout
        self.time = nn.Sequential(nn.Linear(width, t), nn.SiLU(), nn.Linear(t, t))
        self.label = nn.Embedding(classes + 1, t) if classes else None
        self.first = nn.Conv2d(channels, width, 3, 1, 1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, c = [width], width
        for level, m in enumerate(mults):
            for _ in range(blocks):
                self.down.append(self.stage(c, width * m, t, size in attention))
                c = width * m
                kept.append(c)
            if level < len(mults) - 1:
                self.down.append(nn.Conv2d(c, c, 3, 2, 1))
                kept.append(c)
                size //= 2
        self.middle = nn.ModuleList([TimedBlock(c, c, t, groups, dropout), Attention(c, groups), TimedBlock(c, c, t, groups, dropout)])
        for level, m in reversed(list(enumerate(mults))):
            for _ in range(blocks + 1):
                self.up.append(self.stage(c + kept.pop(), width * m, t, size in attention))
                c = width * m
            if level:
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(c, c, 3, 1, 1)))
                size *= 2
        self.last = nn.Sequential(nn.GroupNorm(groups, c), nn.SiLU(), nn.Conv2d(c, channels, 3, 1, 1))

    def stage(self, i, o, t, attends):
        return nn.ModuleList([TimedBlock(i, o, t, self.groups, self.dropout)] + ([Attention(o, self.groups)] if attends else []))

    @staticmethod
    def through(stage, x, t):
        x = stage[0](x, t)
        return stage[1](x) if len(stage) > 1 else x

    def forward(self, x, t, label=None):
        half = self.width // 2
        angle = t[:, None] * torch.exp(-torch.arange(half) * (math.log(10000) / (half - 1)))
        t = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        if self.label is not None:
            t = t + self.label(label)
        x = self.first(x)
        kept = [x]
        for stage in self.down:
            x = self.through(stage, x, t) if isinstance(stage, nn.ModuleList) else stage(x)
            kept.append(x)
        x = self.middle[2](self.middle[1](self.middle[0](x, t)), t)
        for stage in self.up:
            x = self.through(stage, torch.cat([x, kept.pop()], 1), t) if type(stage) is nn.ModuleList else stage(x)
        return self.last(x)


def ddpm8(mode, batch=8):
    net = mode.layout(UNet())
    optimiser = mode.optimiser(torch.optim.Adam, net.parameters(), 2e-4, fused=True)
    forward = mode.run(net)
    x = mode.layout(torch.randn(batch, 3, 32, 32))
    average = [p.detach().clone() for p in net.parameters()]

    def step():
        t, noise = torch.randint(0, 1000, (batch,)).float(), torch.randn_like(x)
        loss = F.mse_loss(forward(x * 0.7 + noise * 0.7, t), noise)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        torch._foreach_lerp_(average, list(net.parameters()), 1e-4)
        return loss

    return step


def sample64(mode, pictures=64, steps=50):
    """64 digits from noise: DDIM through the network of `ddpm-mnist` (not a training step)."""
    net = mode.layout(UNet(32, (1, 2, 2), 1, (7,), 28, 1, 8, 0.0, 10)).eval()
    forward = mode.run(net)
    label = torch.arange(pictures) % 10
    a = torch.cos(torch.linspace(0, 0.99, steps + 1) * math.pi / 2)  # of the picture, least noise first
    s = torch.sqrt(1 - a * a)

    @torch.inference_mode()
    def step():
        x = mode.layout(torch.randn(pictures, 1, 28, 28))
        for i in range(steps, 0, -1):
            v = forward(x, torch.full((pictures,), 1000.0 * i / steps), label)
            clean = (a[i] * x - s[i] * v).clamp(-1, 1)
            noise = (x - a[i] * clean) / s[i]
            x = a[i - 1] * clean + s[i - 1] * noise
        return x.mean()

    return step


# ---- music ---------------------------------------------------------------------------------------------------------------------------------


class Cello(nn.Module):
    """Notes and durations through two LSTMs; attention over time; what comes next of both."""

    def __init__(self, notes=128, durations=64, width=256):
        super().__init__()
        self.note, self.duration = nn.Embedding(notes, 100), nn.Embedding(durations, 100)
        self.lstm1, self.lstm2 = nn.LSTM(200, width, batch_first=True), nn.LSTM(width, width, batch_first=True)
        self.score, self.next_note, self.next_duration = nn.Linear(width, 1), nn.Linear(width, notes), nn.Linear(width, durations)

    def forward(self, note, duration):
        h = torch.cat([self.note(note), self.duration(duration)], -1)
        h = self.lstm2(self.lstm1(h)[0])[0]
        context = (torch.softmax(torch.tanh(self.score(h)), 1) * h).sum(1)
        return self.next_note(context), self.next_duration(context)


def lstm(mode, batch=32, window=32):
    net = Cello()
    optimiser = mode.optimiser(torch.optim.RMSprop, net.parameters(), 1e-3)
    forward = mode.run(net)
    note, duration = torch.randint(0, 128, (batch, window)), torch.randint(0, 64, (batch, window))

    def step():
        n, d = forward(note, duration)
        loss = F.cross_entropy(n, note[:, 0]) + F.cross_entropy(d, duration[:, 0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    return step


WORKLOADS = {
    "vae32": lambda mode: vae(mode, 32),
    "vae128": lambda mode: vae(mode, 128),
    "camel": camel,
    "dcgan64": dcgan64,
    "wgangp": wgangp,
    "cyc128": cyc128,
    "style256": style,
    "style512": lambda mode: style(mode, 512),
    "style1024": lambda mode: style(mode, 1024),
    "ddpm8": ddpm8,
    "sample64": sample64,
    "lstm": lstm,
}
MODES = {
    "eager-nchw": Mode(False, False),
    "eager-nhwc": Mode(False, True),
    "compile-nchw": Mode(True, False),
    "compile-nhwc": Mode(True, True),
    "eager": Mode(False, True),
    "default": Mode(True, True),
    "reduce-overhead": Mode(True, True, "reduce-overhead"),
    "max-autotune": Mode(True, True, "max-autotune"),
    "graph": Mode(False, True, graph=True),
}


def prepare(device, precision):
    if device == "cuda":
        torch.set_default_device("cuda")
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


def with_precision(step, device, precision):
    if precision != "bf16":
        return step

    def cast():
        with torch.autocast(device, dtype=torch.bfloat16):
            return step()

    return cast


def captured(step):
    """The whole step as a CUDA graph, after some steps on a stream of its own, as PyTorch's documentation wants it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay():
        graph.replay()
        return loss

    return replay


def measure(step, seconds):
    times, began = [], time.perf_counter()
    while time.perf_counter() - began < seconds or len(times) < 3:
        start = time.perf_counter()
        step().item()
        times.append(1e3 * (time.perf_counter() - start))
    return min(times), len(times)


def measure_on_gpu(step, seconds, at_once=20):
    """The mean of some steps between two events, the least of all such; the loss is read once in between."""
    least, steps, began = math.inf, 0, time.perf_counter()
    while time.perf_counter() - began < seconds or steps < 3 * at_once:
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        for _ in range(at_once):
            loss = step()
        last.record()
        loss.item()
        torch.cuda.synchronize()
        least, steps = min(least, first.elapsed_time(last) / at_once), steps + at_once
    return least, steps


def about(device):
    if device == "cpu":
        return {"max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    return {"cudnn": torch.backends.cudnn.version(), "gpu": torch.cuda.get_device_name(), "max_mb": torch.cuda.max_memory_allocated() >> 20}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    prepare(args.device, args.precision)
    torch.manual_seed(0)
    mode = MODES[args.mode]
    step = with_precision(WORKLOADS[args.workload](mode), args.device, args.precision)
    step()
    step()
    if mode.graph:
        step = captured(step)
    print("ready", flush=True)
    for line in sys.stdin:
        ms, steps = (measure_on_gpu if args.device == "cuda" else measure)(step, float(line))
        answer = {"workload": args.workload, "ms": ms, "steps": steps, "torch": torch.__version__, **about(args.device)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
