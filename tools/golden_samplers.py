#!/usr/bin/env python3
"""Writes tests/golden/samplers.safetensors: each step of diffusers' schedulers, and of Karras et al. 2022, algorithm 2, on a toy denoiser with gen's
noise (tests/test_sampler.c compares).

    pip install diffusers && python tools/golden_samplers.py

The toy says D(x; sigma, time) = 0.8 tanh(x / sqrt(1 + sigma^2)) + 0.3 cos(time / 100); every state is stored as x = x_t / alpha.
"""
import diffusers
import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

import golden
import twins
import twins_diffusion

N, D, SEED, FIRST = 2, 9, 5, 3
BETAS = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


def toy(x, sigma, time):
    return 0.8 * np.tanh(x / np.sqrt(1 + sigma**2)) + 0.3 * np.cos(time / 100)


def noise(draw):
    """gen_sampler_noise"""
    key = twins.hash_name("sampler") & 0xFFFFFFFF
    words = twins.philox(SEED, np.arange((D + 3) // 4)[None, :], (FIRST + np.arange(N))[:, None], draw, key)
    return twins.normal_of(words).reshape(N, -1)[:, :D]


class Draws:
    """The noise that a scheduler asks for, one draw a step."""

    def __init__(self):
        self.n = 0

    def __call__(self, shape, generator=None, device=None, dtype=None, **_):
        self.n += 1
        return torch.from_numpy(noise(self.n)).reshape(shape).to(dtype)


def picture(x):
    return torch.as_tensor(x).reshape(N, 1, 1, D)


def in_double(scheduler, kind):
    """diffusers sums up in float32, which costs sigma of the first steps four digits."""
    alpha2 = torch.from_numpy(1 / (1 + twins_diffusion.sigmas(kind, 1000) ** 2))
    assert torch.allclose(scheduler.alphas_cumprod.double(), alpha2, rtol=1e-3, atol=1e-7), kind
    scheduler.alphas_cumprod = alpha2
    scheduler.one = torch.tensor(1.0, dtype=torch.float64)
    if hasattr(scheduler, "final_alpha_cumprod"):
        scheduler.final_alpha_cumprod = scheduler.one
    return scheduler


def from_diffusers(o):
    kind, steps, spacing = o["noise"], int(o["sample-steps"]), o["spacing"]
    clip = o.get("clip", "none")
    common = dict(beta_schedule=BETAS[kind], beta_end=0.02, prediction_type="sample", timestep_spacing=spacing)
    limits = dict(clip_sample=clip == "range", thresholding=clip == "dynamic", sample_max_value=1e9)
    draws = Draws()
    diffusers.schedulers.scheduling_ddpm.randn_tensor = diffusers.schedulers.scheduling_ddim.randn_tensor = draws
    if o["sampler"] == "ddpm":
        s = DDPMScheduler(**common, **limits)
    elif o["sampler"] == "ddim":
        s = DDIMScheduler(**common, **limits)
    else:
        s = DPMSolverMultistepScheduler(**common, algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero")
    s = in_double(s, kind)
    s.set_timesteps(steps)
    more = dict(eta=float(o.get("eta", 0)), use_clipped_model_output=True) if o["sampler"] == "ddim" else {}
    x, states, times = torch.from_numpy(noise(0)), [], s.timesteps.tolist()
    for i, t in enumerate(times):
        alpha2 = s.alphas_cumprod[t].item()
        sigma = np.sqrt((1 - alpha2) / alpha2)
        d = toy(x.numpy() / np.sqrt(alpha2), sigma, t)
        x = s.step(picture(d), t, picture(x), **more).prev_sample.reshape(N, D)
        after = s.alphas_cumprod[times[i + 1]].item() if i + 1 < len(times) else 1.0
        states.append(x.numpy() / np.sqrt(after))
    return np.stack(states)


def from_karras(o):
    """Algorithm 2 with S_noise = 1 and all sigma churned; euler leaves lines 7 to 9 out."""
    steps, churn = int(o["sample-steps"]), float(o.get("churn", 0))
    i = np.arange(steps)
    t = np.append((80 ** (1 / 7) + i / (steps - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7, 0)
    x, states = t[0] * noise(0), []
    for i in range(steps):
        gamma = min(churn / steps, np.sqrt(2) - 1)
        now = t[i] + gamma * t[i]
        x = x + np.sqrt(now**2 - t[i] ** 2) * noise(i + 1)
        slope = (x - toy(x, now, 0)) / now
        after = x + (t[i + 1] - now) * slope
        if t[i + 1] and o["sampler"] == "heun":
            after = x + (t[i + 1] - now) * (slope / 2 + (after - toy(after, t[i + 1], 0)) / t[i + 1] / 2)
        x = after
        states.append(x)
    return np.stack(states)


CASES = [
    *(f"sampler=ddpm noise=linear sample-steps=10 spacing={s}" for s in ("leading", "linspace", "trailing")),
    "sampler=ddpm noise=cosine sample-steps=7 spacing=trailing",
    "sampler=ddpm noise=linear sample-steps=10 spacing=leading clip=range",
    "sampler=ddpm noise=linear sample-steps=10 spacing=leading clip=dynamic",
    "sampler=ddim noise=linear sample-steps=10 spacing=leading",
    "sampler=ddim noise=cosine sample-steps=8 spacing=trailing",
    "sampler=ddim noise=linear sample-steps=10 spacing=trailing eta=0.5",
    "sampler=ddim noise=linear sample-steps=10 spacing=leading clip=range",
    "sampler=ddim noise=linear sample-steps=10 spacing=leading clip=dynamic",
    "sampler=dpmpp-2m noise=linear sample-steps=10 spacing=trailing",
    "sampler=dpmpp-2m noise=linear sample-steps=20 spacing=trailing",
    *(f"sampler={s} noise=log-normal sample-steps=8 spacing=karras churn={c}" for s in ("euler", "heun") for c in (0, 2, 40)),
]

if __name__ == "__main__":
    out = {}
    for case in CASES:
        o = dict(word.split("=") for word in case.split())
        states = from_karras(o) if o["noise"] == "log-normal" else from_diffusers(o)
        out[case] = torch.from_numpy(states).float().contiguous()
    out["sigma linear"], out["sigma cosine"] = (torch.from_numpy(twins_diffusion.sigmas(k, 1000)).float() for k in ("linear", "cosine"))
    metadata = {"diffusers": diffusers.__version__, "seed": str(SEED), "first": str(FIRST), "made by": "tools/golden_samplers.py"}
    path = golden.save("samplers", out, metadata)
    print(f"{path.name}: {path.stat().st_size} bytes, {len(CASES)} cases")
