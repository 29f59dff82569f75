#!/usr/bin/env python3
"""PyTorch's side of tools/bench: whole training steps (forward, losses, backward, optimiser), data already in memory.

  tools/peers.py WORKLOAD MODE [--threads N]      MODE: eager-nchw, eager-nhwc, compile-nchw, compile-nhwc

Stays alive: for each line "SECONDS" on standard input it times steps for so long and answers with one JSON line; the time of a step is the least.
"""
import argparse
import json
import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Vae(nn.Module):
    """The conv VAE of `gen train bench-vae`: 28x28, a code of 2."""

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


def vae(compiled, channels_last, batch):
    net = Vae()
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(net.parameters(), 5e-4, fused=True)
    x = torch.rand(batch, 1, 28, 28)
    forward = torch.compile(net) if compiled else net

    def step():
        y, mu, logvar = forward(x)
        loss = 1000 * F.mse_loss(y, x) - 0.5 * (1 + logvar - mu * mu - logvar.exp()).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


WORKLOADS = {"vae32": lambda c, l: vae(c, l, 32), "vae128": lambda c, l: vae(c, l, 128)}


def window(step, seconds):
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds or len(times) < 3:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"ms": 1e3 * min(times), "steps": len(times), "max_rss_mb": rss, "torch": torch.__version__}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("mode", choices=[f"{a}-{b}" for a in ("eager", "compile") for b in ("nchw", "nhwc")])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    step = WORKLOADS[args.workload](args.mode.startswith("compile"), args.mode.endswith("nhwc"))
    step()
    step()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(window(step, float(line))), flush=True)


if __name__ == "__main__":
    main()
