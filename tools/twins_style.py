#!/usr/bin/env python3
"""Style transfer in PyTorch, with gen's random weights: writes tests/golden/style-*.safetensors (tests/test_golden_style.c compares).

    python tools/twins_style.py

Each case is 20 iterations of Adam, or 20 evaluations of torch.optim.LBFGS, on a small picture; the file holds the four losses of each, and the options
as gen's command line has them. The pictures are uniform noise that both sides make. All is computed in double precision.
"""
import pathlib

import safetensors.torch
import torch
import torch.nn.functional as F

import twins

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEIGHT, WIDTH, SEED, STEPS = 40, 48, 3, 20
STYLE_HEIGHT, STYLE_WIDTH = 36, 44
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).reshape(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).reshape(1, 3, 1, 1)
CAFFE = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64).reshape(1, 3, 1, 1)

COMMON = "size=48 scales=one iterations=20"
VGG = "content-layers=relu2_2 style-layers=relu1_1:1,relu2_1:0.5,relu3_1:0.25"
CASES = {
    "adam": ("vgg16", f"{COMMON} {VGG} relative=0 gram=chw content-weight=2 style-weight=50 tv=3 tv-kind=nine ema=0 replicate-first=1"),
    "relative": ("vgg19-slim", f"{COMMON} content-layers=relu3_1 style-layers=relu1_1,relu3_1 pooling=average gram=hw style-weight=5 tv=1e-5 "
                               "tv-kind=l1 ema=0 replicate-first=0 lr=0.01 beta2=0.999"),
    "w2": ("squeezenet", f"{COMMON} content-layers=fire2 style-layers=relu1:1,fire3:2 relative=0 style-loss=w2 gram=hw content-weight=0.015 "
                         "style-weight=1 tv=2 tv-kind=l1-mean ema=0 replicate-first=1"),
    "caffe": ("vgg16", f"{COMMON} {VGG} vgg-kind=caffe range=256 relative=0 gram=chw content-weight=5 style-weight=100 tv=1e-3 tv-kind=l2 "
                       "pooling=l2 lr=10 beta2=0.999 ema=0 clamp=0 replicate-first=0"),
    "lbfgs": ("vgg16", f"{COMMON} {VGG} relative=0 gram=chw content-weight=5 style-weight=1000 tv=1 tv-kind=nine "
                       "optimizer=lbfgs history=10 ema=0 clamp=0 replicate-first=0"),
}  # fmt: skip
VGG16 = [64, 64, "M", 128, 128, "M", 256]
SLIM = [16, 16, "M", 32, 32, "M", 64]


def picture(name, height, width):
    x = twins.random_tensor((1, height, width, 3), twins.hash_name(name), 0, 0)
    return torch.from_numpy(x).double().permute(0, 3, 1, 2)


def weights(name, k, c, kernel):
    """gen_param_init_values of GEN_INIT_HE, as PyTorch's [K,C,R,S]"""
    values = twins.initial_values(f"{name}.weight", k * c * kernel * kernel, "he", c * kernel * kernel, 0, SEED)
    return torch.from_numpy(twins.from_conv(values, k, c, kernel, kernel)).double()


class Net:
    """Activations by name, from the picture on."""

    def __init__(self, kind, o):
        self.kind, self.o, self.made = kind, o, {}

    def w(self, name, k, c, kernel):
        if name not in self.made:
            self.made[name] = weights(name, k, c, kernel)
        return self.made[name]

    def see(self, rgb):
        if self.kind == "vgg19-slim":
            return rgb
        if self.o.get("vgg-kind") == "caffe":
            return rgb.flip(1) * float(self.o["range"]) - CAFFE
        return (rgb - MEAN) / STD

    def pad(self, x, first):
        if self.kind == "vgg19-slim":
            return F.pad(x, (1, 1, 1, 1), "reflect")
        return F.pad(x, (1, 1, 1, 1), "replicate" if first and self.o["replicate-first"] == "1" else "constant")

    def pool(self, x):
        kernel = 3 if self.kind == "squeezenet" else 2
        kind = self.o.get("pooling", "max")
        if kind == "average":
            return 2.0 * F.avg_pool2d(x, kernel, 2)
        if kind == "l2":
            return 0.78 * torch.sqrt(F.avg_pool2d(x * x, kernel, 2) * kernel * kernel + 1e-8)
        return F.max_pool2d(x, kernel, 2, ceil_mode=self.kind == "squeezenet")

    def vgg(self, x):
        taps, place, block, n, c = {}, 0, 1, 1, 3
        if self.kind == "vgg19-slim":
            x, c = F.conv2d(x, self.w("conv0", 3, 3, 1)), 3
        for v in SLIM if self.kind == "vgg19-slim" else VGG16:
            if v == "M":
                x, place, block, n = self.pool(x), place + 1, block + 1, 1
                continue
            name = f"conv{block}{n}" if self.kind == "vgg19-slim" else f"features.{place}"
            x = F.relu(F.conv2d(self.pad(x, place == 0 and block == 1 and n == 1), self.w(name, v, c, 3)))
            taps[f"relu{block}_{n}"], c, place, n = x, v, place + 2, n + 1
        return taps

    def fire(self, x, name, squeeze, expand):
        h = F.relu(F.conv2d(x, self.w(f"{name}.squeeze", squeeze, x.shape[1], 1)))
        a = F.relu(F.conv2d(h, self.w(f"{name}.expand1x1", expand, squeeze, 1)))
        return torch.cat([a, F.relu(F.conv2d(h, self.w(f"{name}.expand3x3", expand, squeeze, 3), padding=1))], 1)

    def __call__(self, rgb):
        x = self.see(rgb)
        if self.kind != "squeezenet":
            return self.vgg(x)
        taps = {"relu1": F.relu(F.conv2d(x, self.w("features.0", 64, 3, 3), stride=2))}
        taps["fire2"] = self.fire(self.pool(taps["relu1"]), "features.3", 16, 64)
        taps["fire3"] = self.fire(taps["fire2"], "features.4", 16, 64)
        return taps


def layers(text):
    pairs = [word.split(":") for word in text.split(",")]
    return {p[0]: float(p[1]) if len(p) > 1 else 1.0 for p in pairs}


def gram(x, o):
    f = x.flatten(2)[0]
    places = f.shape[1]
    divide = places if o.get("style-loss") == "w2" or o["gram"] == "hw" else places * f.shape[0]
    return f @ f.T / divide, f.mean(1)


def root(a, iterations=12):
    """Newton-Schulz"""
    norm = torch.sqrt((a * a).sum())
    eye = torch.eye(a.shape[0], dtype=a.dtype)
    y, z = a / norm, eye
    for _ in range(iterations):
        t = (3 * eye - z @ y) / 2
        y, z = y @ t, t @ z
    return y * torch.sqrt(norm)


def w2(ours, theirs):
    def covariance(g, m):
        return g - torch.outer(m, m) + 1e-4 * torch.eye(len(m), dtype=m.dtype)

    s, t = covariance(*ours), covariance(*theirs)
    r = root(t).detach()
    spread = torch.diagonal(s + t - 2 * root(r @ s @ r)).mean()
    return ((ours[1] - theirs[1]) ** 2).mean() + spread


def variation(x, kind):
    across, down = x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]
    if kind == "l1":
        return across.abs().sum() + down.abs().sum()
    if kind == "l1-mean":
        return across.abs().mean() + down.abs().mean()
    if kind == "l2":
        return 0.5 * ((across[..., :-1, :] ** 2).sum() + (down[..., :, :-1] ** 2).sum())
    p = F.pad(x, (1, 1, 1, 1), "replicate")
    a, b, c, d = p[..., 1:, 1:], p[..., 1:, :-1], p[..., :-1, 1:], p[..., :-1, :-1]
    straight = ((a - b) ** 2).mean() / 3 + ((a - c) ** 2).mean() / 3
    return 2 * (straight + ((a - d) ** 2).mean() / 12 + ((b - c) ** 2).mean() / 12)


class Loss:
    def __init__(self, kind, o):
        self.net, self.o, self.range = Net(kind, o), o, float(o.get("range", 1))
        self.content, self.style = layers(o["content-layers"]), layers(o["style-layers"])
        seen = self.net(picture("content", HEIGHT, WIDTH))
        styled = self.net(picture("style", STYLE_HEIGHT, STYLE_WIDTH))
        self.goals = {name: seen[name].detach() for name in self.content}
        self.grams = {name: tuple(v.detach() for v in gram(styled[name], o)) for name in self.style}

    def relative(self, target):
        return (target**2).mean() + 1e-12 if self.o.get("relative", "1") == "1" else 1.0

    def __call__(self, pixels):
        o, rgb = self.o, pixels / self.range + 0.5
        seen = self.net(rgb)
        content = sum(w * ((seen[n] - self.goals[n]) ** 2).mean() / self.relative(self.goals[n]) for n, w in self.content.items())
        style = 0
        for name, w in self.style.items():
            ours, theirs = gram(seen[name], o), self.grams[name]
            one = w2(ours, theirs) if o.get("style-loss") == "w2" else ((ours[0] - theirs[0]) ** 2).mean() / self.relative(theirs[0])
            style = style + w * one
        parts = [float(o.get("content-weight", 1)) * content, float(o["style-weight"]) * style,
                 float(o["tv"]) * variation(rgb * self.range, o["tv-kind"])]  # fmt: skip
        return sum(parts), parts


def adam(loss, pixels, o, record):
    optimiser = torch.optim.Adam([pixels], float(o.get("lr", 0.02)), betas=(0.9, float(o.get("beta2", 0.99))))
    for _ in range(STEPS):
        optimiser.zero_grad()
        total, parts = loss(pixels)
        total.backward()
        optimiser.step()
        with torch.no_grad():
            if o.get("clamp", "1") == "1":
                pixels.clamp_(-loss.range / 2, loss.range / 2)
        record.append([v.item() for v in (total, *parts)])


def lbfgs(loss, pixels, o, record):
    optimiser = torch.optim.LBFGS([pixels], max_iter=STEPS, history_size=int(o["history"]))

    def closure():
        optimiser.zero_grad()
        total, parts = loss(pixels)
        total.backward()
        record.append([v.item() for v in (total, *parts)])
        return total

    optimiser.step(closure)


def main():
    for name, (kind, text) in CASES.items():
        o = dict(word.split("=") for word in text.split())
        loss, record = Loss(kind, o), []
        start = picture("content", HEIGHT, WIDTH)
        pixels = ((start - 0.5) * loss.range).contiguous().requires_grad_(True)
        (lbfgs if o.get("optimizer") == "lbfgs" else adam)(loss, pixels, o, record)
        about = {"net": kind, "options": text, "seed": str(SEED), "torch": torch.__version__}
        sizes = {"content": f"{HEIGHT} {WIDTH}", "style": f"{STYLE_HEIGHT} {STYLE_WIDTH}"}
        out = {"losses": torch.tensor(record), "pixels": pixels.detach()[0].permute(1, 2, 0)[::8, ::8].float().contiguous()}
        safetensors.torch.save_file(out, ROOT / f"tests/golden/style-{name}.safetensors", {**about, **sizes})
        print(name, record[0], record[-1], len(record))


if __name__ == "__main__":
    main()
