#!/usr/bin/env python3
"""CycleGAN in PyTorch: models/cyclegan.c. Without arguments it writes the golden files (tools/golden.py, tests/test_golden_cyclegan.c).

    net = twins_cyclegan.initialise(twins_cyclegan.CycleGan(twins_cyclegan.options(net="unet"), 3))   # net.g_ab, g_ba, d_a, d_b
    generator = twins_cyclegan.Resnet(channels=3, width=64, blocks=9)         # its state_dict has the names of the authors'
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import golden
import twins

OPTIONS = {"net": "resnet", "blocks": 6, "ngf": 64, "ndf": 64, "up": "conv-transpose", "init": "normal", "cycle": 10.0, "identity": 5.0,
           "d-weight": 0.5, "order": "generators-first", "pool": 50, "pool-style": "swap",
           "residual": 0}  # fmt: skip
TRAINING = {"crop": 0, "flip": 0, "ema": 0, "schedule": "constant"}


def options(**changes):
    return {**OPTIONS, **{k.replace("_", "-"): v for k, v in changes.items()}}


# ---- networks: x[N,C,H,W] in [-1,1] ------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        half = lambda: [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.conv_block = nn.Sequential(*half(), nn.ReLU(), *half())

    def forward(self, x):
        return x + self.conv_block(x)


class Resnet(nn.Module):
    """Zhu et al. 2017, appendix: c7s1-f, d2f, d4f, R4f …, u2f, uf, c7s1-C."""

    def __init__(self, channels, width, blocks, up="conv-transpose"):
        super().__init__()
        normed = lambda conv, k: [conv, nn.InstanceNorm2d(k), nn.ReLU()]
        layers = [nn.ReflectionPad2d(3), *normed(nn.Conv2d(channels, width, 7), width)]
        for k in (2 * width, 4 * width):
            layers += normed(nn.Conv2d(k // 2, k, 3, 2, 1), k)
        layers += [Block(4 * width) for _ in range(blocks)]
        for k in (2 * width, width):
            nearest = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2 * k, k, 3, 1, 1))
            layers += normed(nearest if up == "nearest" else nn.ConvTranspose2d(2 * k, k, 3, 2, 1, 1), k)
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh())

    def forward(self, x):
        return self.model(x)


class Unet(nn.Module):
    """D. Foster's: SAME padding as TensorFlow's."""

    def __init__(self, channels, width, depth=4):
        super().__init__()
        self.depth, before = depth, channels
        for i in range(depth):
            setattr(self, f"down{i + 1}", twins.Conv(before, width << i, 4, 2, True))
            before = width << i
        for i in range(1, depth):
            after = width << depth - 1 - i
            setattr(self, f"up{i}", twins.Conv(before, after, 4, 1, True))
            before = 2 * after
        self.out = twins.Conv(before, channels, 4, 1, True)

    def forward(self, x):
        normed = lambda h: F.relu(F.instance_norm(h))
        twice = lambda h: F.interpolate(h, scale_factor=2)
        down = []
        for i in range(self.depth):
            x = normed(getattr(self, f"down{i + 1}")(x))
            down.append(x)
        for i in range(1, self.depth):
            x = torch.cat([normed(getattr(self, f"up{i}")(twice(x))), down[-1 - i]], 1)
        return torch.tanh(self.out(twice(x)))


class Residual(nn.Module):
    """--residual: what to change, under the names of the generator itself."""

    def __init__(self, net):
        super().__init__()
        self.__dict__["net"] = net
        for name, part in net.named_children():
            setattr(self, name, part)

    def forward(self, x):
        return torch.clamp(x + self.net(x), -1, 1)


class Discriminator(nn.Module):
    """Judgements of patches of 70 px."""

    def __init__(self, channels, width, same):
        super().__init__()
        layers = []
        for i, stride in enumerate((2, 2, 2, 1)):
            k = width << i
            conv = twins.Conv(channels, k, 4, stride, True) if same else nn.Conv2d(channels, k, 4, stride, 1)
            layers += [conv, *([nn.InstanceNorm2d(k)] if i else []), nn.LeakyReLU(0.2)]
            channels = k
        self.model = nn.Sequential(*layers, twins.Conv(channels, 1, 4, 1, True) if same else nn.Conv2d(channels, 1, 4, 1, 1))

    def forward(self, x):
        return self.model(x)


class CycleGan(nn.Module):
    def __init__(self, o, channels):
        super().__init__()
        self.o, same = o, o["net"] == "unet"
        make = lambda: Unet(channels, o["ngf"]) if same else Resnet(channels, o["ngf"], o["blocks"], o["up"])
        self.g_ab, self.g_ba = (Residual(make()) if o["residual"] else make() for _ in "ab")
        self.d_a, self.d_b = (Discriminator(channels, o["ndf"], same) for _ in "ab")


def initialise(net, rule="normal", prefix="", seed=golden.SEED):
    """gen's initial numbers; the layer of Upsample and Conv2d counts as one."""
    for name, layer in net.named_modules():
        if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            continue
        a, b, r, s = layer.weight.shape
        w = twins.initial_values(prefix + name + ".weight", a * b * r * s, {"keras": "xavier"}.get(rule, rule), b * r * s, a * r * s, seed)
        layer.weight.data.copy_(torch.from_numpy(np.ascontiguousarray(twins.from_conv(w, a, b, r, s))))
        layer.bias.data.zero_()
    return net


# ---- one step ------------------------------------------------------------------------------------------------------------


class Pool:
    """Earlier fakes (models/cyclegan.c); draws are those of gen."""

    def __init__(self, name, o):
        self.name, self.size, self.style, self.kept, self.count = name, o["pool"], o["pool-style"], [], 0

    def draw(self, what, i, step):
        key = twins.hash_name(f"{self.name}.{what}{i}")
        return float(twins.random_tensor((1,), key, golden.SEED, step)[0])

    def through(self, fake, i, step):
        u = self.draw("which", i, step)
        if self.style == "append":
            self.kept = (self.kept + [fake])[:self.size] if self.count < self.size else self.kept
            self.kept[self.count % self.size] = fake
            used = self.kept[int(u * len(self.kept))]
        elif self.count < self.size:
            self.kept.append(fake)
            used = fake
        elif self.draw("swap", i, step) < 0.5:
            place = int(u * self.size)
            used, self.kept[place] = self.kept[place], fake
        else:
            used = fake
        self.count += 1
        return used

    def __call__(self, fakes, step):
        if not self.size:
            return fakes.detach()
        return torch.stack([self.through(f, i, step) for i, f in enumerate(fakes.detach())])


class Step:
    def __init__(self, net, t):
        kind = {"sgd": lambda p: torch.optim.SGD(p, t["lr"], t.get("momentum", 0)),
                "adam": lambda p: torch.optim.Adam(p, t["lr"], (t.get("beta1", 0.9), 0.999))}[t.get("optimiser", "adam")]  # fmt: skip
        both = lambda a, b: [*a.parameters(), *b.parameters()]
        self.net, self.t = net, t
        self.pool_a, self.pool_b = Pool("pool_a", net.o), Pool("pool_b", net.o)
        self.g_optim, self.d_optim = kind(both(net.g_ab, net.g_ba)), kind(both(net.d_a, net.d_b))

    def update(self, optim, loss):
        optim.zero_grad()
        loss.backward(retain_graph=True)
        optim.step()
        return loss

    def translate(self, a, b):
        n, distance = self.net, lambda x, y: (x - y).abs().mean()
        self.a, self.b, self.fake_b, self.fake_a = a, b, n.g_ab(a), n.g_ba(b)
        self.cycle = distance(n.g_ba(self.fake_b), a) + distance(n.g_ab(self.fake_a), b)
        self.identity = distance(n.g_ab(b), b) + distance(n.g_ba(a), a)

    def generators(self):
        n, o = self.net, self.net.o
        loss = ((n.d_b(self.fake_b) - 1) ** 2).mean() + ((n.d_a(self.fake_a) - 1) ** 2).mean()
        return self.update(self.g_optim, loss + o["cycle"] * self.cycle + o["identity"] * self.identity)

    def discriminators(self, step):
        n = self.net
        judge = lambda d, real, fake: ((d(real) - 1) ** 2).mean() + (d(fake) ** 2).mean()
        seen_a, seen_b = self.pool_a(self.fake_a, step), self.pool_b(self.fake_b, step)
        loss = self.net.o["d-weight"] * (judge(n.d_a, self.a, seen_a) + judge(n.d_b, self.b, seen_b))
        return self.update(self.d_optim, loss)

    def run(self, x, step):
        """x[2N,C,H,W] in [0,1], those of A first. The generators' and the discriminators' loss, cycle and identity."""
        self.translate(*(2 * x - 1).chunk(2))
        if self.net.o["order"] == "discriminators-first":
            d = self.discriminators(step)
            for p in self.net.parameters():
                p.grad = None
            g = self.generators()
        else:
            g, d = self.generators(), self.discriminators(step)
        return [float(v.detach()) for v in (g, d, self.cycle / 2, self.identity / 2)]


# ---- golden files ----------------------------------------------------------------------------------------------------------

# Adam starts with steps of the sign of the gradient, where the rounding of a small one decides: those cases are compared in double precision.
SGD = {"optimiser": "sgd", "momentum": 0.5, "lr": 2e-4}
SMALL = {"ngf": 4, "ndf": 4, "blocks": 2}
CASES = {  # options that differ, n pictures, height, width, channels
    "cyclegan-resnet": ({**SMALL, **SGD, "ngf": 8, "pool": 0}, (4, 60, 52, 3)),
    "cyclegan-unet": ({**SMALL, **SGD, "net": "unet", "init": "keras", "order": "discriminators-first", "pool": 0, "identity": 2.0, "d-weight": 1.0}, (4, 48, 32, 3)),
    "cyclegan-pool": ({**SMALL, "lr": 2e-4, "beta1": 0.5, "pool": 3}, (4, 32, 36, 1)),
    "cyclegan-residual": ({**SMALL, "lr": 2e-4, "beta1": 0.5, "residual": 1, "pool": 0}, (2, 32, 36, 1)),
    "cyclegan-append": ({**SMALL, "lr": 2e-4, "beta1": 0.5, "net": "unet", "order": "discriminators-first", "pool": 3, "pool-style": "append"}, (2, 32, 32, 1)),
}  # fmt: skip
GENERATORS = {  # options, height, width, channels
    "cyclegan-generator-6": ({"net": "resnet", "ngf": 8, "blocks": 6}, (20, 28, 3)),
    "cyclegan-generator-9": ({"net": "resnet", "ngf": 8, "blocks": 9}, (24, 16, 3)),
    "cyclegan-generator-unet": ({"net": "unet", "ngf": 8}, (32, 48, 3)),
}


def pictures(n, size):
    return torch.from_numpy(golden.pictures(n, size).astype(np.float64).transpose(0, 3, 1, 2).copy())


def first_moments(step):
    """What the first moments of both groups hold: the gradient (Adam: over 1 - beta1)."""
    names = {id(p): n for n, p in step.net.named_parameters()}
    for optim in (step.g_optim, step.d_optim):
        for p, state in optim.state.items():
            sgd = "momentum_buffer" in state
            yield names[id(p)], state["momentum_buffer"] if sgd else state["exp_avg"] / (1 - step.t.get("beta1", 0.9))


def words(o):
    return " ".join(f"{k}={v}" for k, v in o.items())


def write_case(name):
    changes, (n, h, w, c) = CASES[name]
    net = initialise(CycleGan({**OPTIONS, **changes}, c).double(), changes.get("init", "normal")).train()
    x, out, losses, step = pictures(n, (h, w, c)), {}, [], Step(net, changes)
    with torch.no_grad():
        out["translated"] = golden.sums("translated", ((net.g_ab(2 * x - 1) + 1) / 2).permute(0, 2, 3, 1))
    for i in range(golden.STEPS):
        losses.append(step.run(x, i))
        for tensor, value in first_moments(step) if i == 0 else ():
            out["norm " + tensor], out["grad " + tensor] = value.norm().float().reshape(1), golden.sums(tensor, value)
    out["losses"] = torch.tensor(losses)
    metadata = {"model": "cyclegan", "preset": "", "options": words({**TRAINING, **changes}), "size": f"{n} {h} {w} {c}",
                "seed": str(golden.SEED), "losses": "loss discriminators cycle identity",
                "torch": torch.__version__.split("+")[0], "made by": "tools/twins_cyclegan.py"}  # fmt: skip
    path = golden.save(name, out, metadata)
    print(f"{path.name}: {path.stat().st_size} bytes, losses {losses[0]} -> {losses[-1]}")


def write_generator(name):
    """One generator alone: the names of its state_dict, and the picture that it makes."""
    o, (h, w, c) = GENERATORS[name]
    net = Unet(c, o["ngf"]) if o["net"] == "unet" else Resnet(c, o["ngf"], o["blocks"])
    net = initialise(net, prefix="g_ab.").eval()
    with torch.no_grad():
        y = (net(2 * pictures(2, (h, w, c)).float() - 1) + 1) / 2
    shapes = " ".join(f"{k}:{'x'.join(str(d) for d in v.shape)}" for k, v in sorted(net.state_dict().items()))
    metadata = {"model": "cyclegan", "options": words(o), "size": f"2 {h} {w} {c}", "shapes": shapes,
                "torch": torch.__version__.split("+")[0], "made by": "tools/twins_cyclegan.py"}  # fmt: skip
    path = golden.save(name, {"y": y.permute(0, 2, 3, 1).contiguous()}, metadata)
    print(f"{path.name}: {path.stat().st_size} bytes, spread {float(y.std()):.3f}")


def check():
    """Parameters of the published networks."""
    count = lambda net: sum(p.numel() for p in net.parameters())
    assert count(Resnet(3, 64, 9)) == 11378179 and count(Discriminator(3, 64, False)) == 2764737
    assert count(Unet(3, 32)) == 1545411 and count(Discriminator(3, 32, True)) == 694241


if __name__ == "__main__":
    torch.set_num_threads(1)
    check()
    for case in sys.argv[1:] or [*CASES, *GENERATORS]:
        (write_case if case in CASES else write_generator)(case)
