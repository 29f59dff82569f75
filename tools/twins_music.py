#!/usr/bin/env python3
"""Writes tests/golden/recurrent-*.safetensors and music-*.safetensors: what PyTorch's recurrent layers, and the networks of gen's models music and
text, give (tests/test_golden_music.c compares).

    python tools/twins_music.py [case …]

Everything is small and in the files: weights under "w NAME", inputs, results, gradients under "grad NAME". Computed in double precision.
"""
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/golden"


def save(name, tensors, metadata):
    path = FOLDER / f"{name}.safetensors"
    tensors = {k: torch.as_tensor(v).detach().float().contiguous() for k, v in tensors.items()}
    facts = {"torch": torch.__version__.split("+")[0], "made by": "tools/twins_music.py", **metadata}
    safetensors.torch.save_file(tensors, path, facts)
    print(f"{path.name}: {path.stat().st_size} bytes")


# ---- layers --------------------------------------------------------------------------------------------------------------

LAYERS = {  # kind, layers, both directions, lengths
    "recurrent-lstm": ("lstm", 2, False, None),
    "recurrent-gru": ("gru", 2, False, None),
    "recurrent-lstm-both": ("lstm", 2, True, None),
    "recurrent-lstm-packed": ("lstm", 2, True, [5, 2, 4]),
    "recurrent-gru-packed": ("gru", 1, True, [1, 5, 3]),
    "recurrent-gru-lengths": ("gru", 2, False, [3, 5, 1]),
}
T, N, C, H = 5, 3, 4, 6


def write_layer(name):
    kind, layers, both, lengths = LAYERS[name]
    net = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](C, H, layers, bidirectional=both).double()
    x = torch.randn(T, N, C, dtype=torch.float64, requires_grad=True)
    states = [torch.randn(layers * (1 + both), N, H, dtype=torch.float64, requires_grad=True) for _ in range(1 + (kind == "lstm"))]
    first = tuple(states) if kind == "lstm" else states[0]
    if lengths:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        y, last = net(packed, first)
        y, _ = nn.utils.rnn.pad_packed_sequence(y, total_length=T)
    else:
        y, last = net(x, first)
    last = last if kind == "lstm" else (last,)
    context = torch.softmax(torch.tanh(y[..., :1] - 0.5 * y[..., 1:2]), 0)  # any function of y
    weights = [torch.randn_like(v) for v in (y, *last)]
    loss = sum((v * w).sum() for v, w in zip((y, *last), weights)) + (context * y).sum()
    loss.backward()
    out = {"x": x, "y": y, "r y": weights[0], "grad x": x.grad, "loss": loss.reshape(1)}
    for letter, v, w, start in zip("hc", last, weights[1:], states):
        out |= {letter: v, f"r {letter}": w, f"{letter}0": start, f"grad {letter}0": start.grad}
    for key, p in net.named_parameters():
        out |= {f"w {key}": p, f"grad {key}": p.grad}
    if lengths:
        out["lengths"] = torch.tensor(lengths)
    save(name, out, {"kind": kind, "layers": str(layers), "both": str(int(both)), "size": f"{T} {N} {C} {H}"})


# ---- whole networks ----------------------------------------------------------------------------------------------------------

MODELS = {  # model, options, words of each field, batches, rows of a batch
    "music-attention": ("music", {"tokens": "pairs", "attention": 1, "layers": 2, "hidden": 7, "embed": 5, "window": 6}, [9, 5], 4, 3),
    "music-carried": ("music", {"tokens": "beats", "layers": 2, "hidden": 7, "embed": 5, "window": 6}, [11], 4, 3),
    "music-gru": ("music", {"tokens": "pairs", "cell": "gru", "layers": 1, "hidden": 8, "embed": 4, "window": 5}, [9, 4], 4, 2),
    "text-fill": ("text", {"tokens": "chars", "bidirectional": 1, "layers": 1, "hidden": 6, "embed": 5, "window": 6}, [11], 4, 3),
}
STEPS, LR = 10, 0.5


class Net(nn.Module):
    def __init__(self, o, words):
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[o.get("cell", "lstm")]
        for f, v in enumerate(words):
            setattr(self, f"embed{f}", nn.Embedding(v, o["embed"]))
        stack = lambda: kind(o["embed"] * len(words), o["hidden"], o["layers"])
        self.o, self.words, self.two = o, words, o.get("bidirectional", 0)
        if self.two:
            self.forward_, self.backward_ = stack(), stack()
        else:
            self.stack = stack()
        if o.get("attention"):
            self.attention = nn.Linear(o["hidden"], 1)
        for f, v in enumerate(words):
            setattr(self, f"head{f}", nn.Linear(o["hidden"] * (2 if self.two else 1), v))

    def names(self):
        """gen's names of the parameters."""
        cell = self.o.get("cell", "lstm")
        for key, p in self.named_parameters():
            yield key.replace("stack.", cell + ".").replace("forward_.", "forward.").replace("backward_.", "backward."), p

    def see(self, rows):
        return torch.cat([getattr(self, f"embed{f}")(rows[..., f].clamp(min=0)) for f in range(len(self.words))], -1)

    def losses(self, x, carry):
        """x [N,T+1,F] -> sums of nats of each field, how many tokens, the states after."""
        rows = x.transpose(0, 1)
        if self.two:
            e = self.see(rows)
            h = torch.cat([self.forward_(e)[0][:-2], self.backward_(e.flip(0))[0].flip(0)[2:]], -1)
            said = rows[1:-1]
        else:
            e, said = self.see(rows[:-1]), rows[1:]
            keep = (rows[0, :, 0] != 0).double()[None, :, None]
            state = None
            if carry is not None and not self.o.get("attention"):
                state = tuple(s * keep for s in carry) if isinstance(carry, tuple) else carry * keep
            h, carry = self.stack(e, state)
            carry = tuple(s.detach() for s in carry) if isinstance(carry, tuple) else carry.detach()
            if self.o.get("attention"):
                h = (torch.softmax(torch.tanh(self.attention(h)), 0) * h).sum(0, keepdim=True)
                said = rows[-1:]
        inside = (said[..., 0] >= 0).double()
        nats = []
        for f in range(len(self.words)):
            z = getattr(self, f"head{f}")(h)
            nats.append((F.cross_entropy(z.flatten(0, 1), said[..., f].clamp(min=0).flatten(), reduction="none") * inside.flatten()).sum())
        return nats, inside.sum().clamp(min=1), carry


def write_model(name):
    model, o, words, batches, n = MODELS[name]
    net = Net(o, words).double()
    t = o["window"]
    x = torch.stack([torch.randint(0, v, (batches, n, t + 1)) for v in words], -1)
    if not o.get("attention"):
        x[1, 0, 4:] = -1  # a piece ends within a window, the next begins with the border
        x[2, 0, 0] = 0
        x[1, 1, 0] = 1  # and one goes on
        x[3, n - 1] = -1  # nothing to be said at all
    out = {"x": x}
    for key, p in net.names():
        out["w " + key] = p.detach().clone()
    optim, losses, carry = torch.optim.SGD(net.parameters(), LR), [], None
    for step in range(STEPS):
        nats, count, carry = net.losses(x[step % batches], carry)
        loss = sum(nats) / count
        losses.append(float(loss.detach()))
        optim.zero_grad()
        loss.backward()
        optim.step()
    for key, p in net.names():
        out["after " + key] = p.detach().clone()
    out["losses"] = torch.tensor(losses)
    options = " ".join(f"{k}={v}" for k, v in {"dropout": 0, "optimiser": "sgd", "lr": LR, "clip-norm": 0, "schedule": "constant", **o}.items())
    words = [*words, 0][:2]
    save(name, out, {"model": model, "options": options, "words": f"{words[0]} {words[1]}", "size": f"{batches} {n} {t + 1} {x.shape[-1]}"})


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in sys.argv[1:] or [*LAYERS, *MODELS]:
        torch.manual_seed(1)
        write_layer(case) if case in LAYERS else write_model(case)
