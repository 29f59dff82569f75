"""The PyTorch networks of ae, denoise and classifier, as tools/twins.py has that of vae."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import twins
from twins import Conv, Dense, hash_name, normal_of, random_tensor

# ---- models/ae.c ---------------------------------------------------------------------------------------------------

AE = {"latent": 16, "net": "conv", "width": 32, "hidden": 256, "loss": "mse", "init": "torch", "batch-norm": 0,
      "dropout": 0.0, "activation": "relu"}  # fmt: skip

AE_PRESETS = {
    "ae": ({}, (28, 28, 1)),
    "conv-16": ({"net": "conv", "latent": 16, "width": 32, "hidden": 256, "batch": 64, "lr": 1e-3, "schedule": "cosine"}, (28, 28, 1)),
    "hinton-deep": ({"net": "hinton", "latent": 30, "loss": "bce", "init": "he", "batch": 128, "lr": 1e-3, "schedule": "cosine"},
                    (28, 28, 1)),
}  # fmt: skip


class Ae(twins.Trunk):
    LOSSES = "loss"

    def __init__(self, o, height, width, channels, classes=0):
        super().__init__(o, height, width, channels)
        self.code = nn.Module()
        for name, start in (("running_mean", 0.0), ("running_var", 1.0)):
            self.code.register_buffer(name, torch.full((o["latent"],), start))
        self.code.register_buffer("num_batches_tracked", torch.tensor(0.0))

    def make_heads(self, n, flat):
        self.enc.code = Dense(n, self.o["latent"], flat_in=flat)

    def encode(self, x, masks=None):
        return self.enc.code(self.features(x, masks))

    def pixels(self, out):
        return out if self.o["net"] == "linear" else torch.sigmoid(out)

    def outputs(self, x):
        deviation = torch.sqrt(self.code.running_var + 1e-8)
        code = (self.encode(x) - self.code.running_mean) / deviation
        out = self.decode(self.code.running_mean + code * deviation)
        return {"mu": code, "reconstruction": self.pixels(out).clamp(0, 1)}

    def track(self, code):
        """Running mean and variance of the codes, as models/ae.c keeps them."""
        count = self.code.num_batches_tracked + 1
        rate, mean = max(1 / float(count), 0.01), code.mean(0)
        var = ((code - mean) ** 2).mean(0)
        self.code.running_var = self.code.running_var + rate * (var - self.code.running_var)
        self.code.running_mean = self.code.running_mean + rate * (mean - self.code.running_mean)
        self.code.num_batches_tracked = count

    def losses(self, x, seed, step):
        masks = self.dropout_masks(seed, step)
        code = self.encode(x, masks)
        out = self.decode(code, masks)
        self.track(code.detach())
        if self.o["loss"] == "bce":
            return (F.binary_cross_entropy_with_logits(out, x),)
        return (((self.pixels(out) - x) ** 2).mean(),)


# ---- models/denoise.c ----------------------------------------------------------------------------------------------

DENOISE = {"net": "unet", "noise": "gaussian", "noise-level": 0.2, "noise-from": -1.0, "width": 32, "hidden": 1000,
           "loss": "mse"}  # fmt: skip

DENOISE_PRESETS = {
    "denoise": ({}, (14, 10, 3)),
    "dae-digits": ({"net": "dense", "hidden": 1000, "noise": "gaussian", "noise-level": 0.5, "loss": "bce", "batch": 128, "lr": 1e-3},
                   (28, 28, 1)),
    "dae-masking": ({"net": "dense", "hidden": 1000, "noise": "masking", "noise-level": 0.25, "loss": "bce", "batch": 128, "lr": 1e-3},
                    (28, 28, 1)),
}  # fmt: skip


class Denoise(nn.Module):
    LOSSES, init, classes = "loss", "torch", 0

    def __init__(self, o, height, width, channels, classes=0):
        super().__init__()
        self.o, self.size = o, (channels, height, width)
        if o["net"] == "dense":
            pixels, hidden = channels * height * width, o["hidden"]
            self.fc1, self.fc2 = Dense(pixels, hidden, flat_in=self.size), Dense(hidden, hidden)
            self.out = Dense(hidden, pixels, flat_out=self.size)
            return
        w = o["width"]
        for name, c, k, both in (("down1", channels, w, w), ("down2", w, 2 * w, 2 * w), ("down3", 2 * w, 4 * w, 4 * w),
                                 ("up2", 4 * w, 2 * w, 4 * w), ("up1", 2 * w, w, 2 * w)):  # fmt: skip
            block = nn.Module()
            block.conv1 = Conv(c, k, 3, 2 if name in ("down2", "down3") else 1, False, init="he")
            block.conv2 = Conv(both, k, 3, 1, False, init="he")
            setattr(self, name, block)
        self.out = Conv(w, channels, 3, 1, False)

    def down(self, x, block):
        return F.relu(block.conv2(F.relu(block.conv1(x))))

    def up(self, x, skip, block):
        h = F.relu(block.conv1(F.interpolate(x, scale_factor=2, mode="nearest")))
        return F.relu(block.conv2(torch.cat([h, skip], 1)))

    def network(self, noisy):
        """Pixels of the U-Net; what the sigmoid takes of the dense net."""
        channels, height, width = self.size
        if self.o["net"] == "dense":
            h = F.relu(self.fc2(F.relu(self.fc1(noisy.flatten(1)))))
            return self.out(h).reshape(-1, channels, height, width)
        x = F.pad(noisy, (0, -width % 4, 0, -height % 4), mode="reflect")
        one = self.down(x, self.down1)
        two = self.down(one, self.down2)
        h = self.up(self.up(self.down(two, self.down3), two, self.up2), one, self.up1)
        return (self.out(h) + x)[:, :, :height, :width]

    def pixels(self, out):
        return torch.sigmoid(out) if self.o["net"] == "dense" else out

    def outputs(self, x):
        return {"translated": self.pixels(self.network(x)).clamp(0, 1)}

    def with_noise(self, x, seed, step):
        """gen's noise: the level's stream comes first where each picture has its own."""
        o, key, (n, c, h, w) = self.o, hash_name("noise"), x.shape
        tensor = lambda values: torch.from_numpy(values.transpose(0, 3, 1, 2).copy()).to(x.dtype)
        level = o["noise-level"]
        if o["noise-from"] >= 0:
            u = random_tensor((n, 1, 1, 1), key, seed, step)
            level, key = tensor(u * (level - o["noise-from"]) + o["noise-from"]), key + 1
        if o["noise"] in ("gaussian", "speckle"):
            noise = tensor(random_tensor((n, h, w, c), key, seed, step, normal_of)) * level
            return (x + (x * noise if o["noise"] == "speckle" else noise)).clamp(0, 1)
        u, masking = tensor(random_tensor((n, h, w, 1), key, seed, step)), o["noise"] == "masking"
        y = x * (1 - (u < (level if masking else level * np.float32(0.5))).to(x.dtype))
        return y if masking else torch.maximum(y, (1 - 0.5 * level < u).to(x.dtype))

    def losses(self, x, seed, step):
        out = self.network(self.with_noise(x, seed, step))
        if self.o["loss"] == "bce":
            return (F.binary_cross_entropy_with_logits(out, x),)
        error = self.pixels(out) - x
        return (error.abs().mean() if self.o["loss"] == "l1" else (error**2).mean(),)


# ---- models/classifier.c -------------------------------------------------------------------------------------------

CLASSIFIER = {"layers": "c32,c32,p,d,c64,c64,p,d,f256,d", "batch-norm": 1, "valid": 0, "dropout": 0.25, "label-smoothing": 0.0,
              "init": "he"}  # fmt: skip

CLASSIFIER_PRESETS = {
    "classifier": ({}, (28, 28, 1)),
    "keras-mnist": ({"layers": "c32,p,c64,p,f128", "valid": 1, "batch-norm": 0, "dropout": 0.0, "init": "keras", "batch": 128,
                     "lr": 1e-3, "schedule": "constant"}, (28, 28, 1)),
    "classifier-colour": ({}, (12, 9, 3)),
}  # fmt: skip


class Classifier(nn.Module):
    """Without gen's distortions of training pictures."""

    LOSSES = "loss accuracy"

    def __init__(self, o, height, width, channels, classes=10):
        super().__init__()
        self.o, self.init = o, "xavier" if o["init"] == "keras" else o["init"]
        self.labels, self.classes, self.steps = None, classes, []
        c, h, w, flat, counts = channels, height, width, None, {"c": 0, "f": 0}
        for word in o["layers"].split(","):
            kind, bias = word[0], not o["batch-norm"]
            name = {"c": "conv", "f": "fc"}.get(kind, "")
            if name:
                counts[kind] += 1
                name += str(counts[kind])
            if kind == "c":
                units, kernel, stride = self.read_conv(word[1:])
                pad = 0 if o["valid"] else kernel // 2
                setattr(self, name, Conv(c, units, kernel, stride, False, bias=bias, pad=pad))
                c, h, w = units, (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1
            elif kind == "f":
                across = (c, h, w) if flat is None and h * w > 1 else None
                setattr(self, name, Dense(flat or c * h * w, int(word[1:]), flat_in=across, bias=bias))
                flat = int(word[1:])
            elif kind == "p":
                h, w = h // 2, w // 2
            elif kind == "a":
                h = w = 1
            if name and o["batch-norm"]:
                setattr(self, name + "_norm", nn.BatchNorm2d(c) if kind == "c" else nn.BatchNorm1d(flat))
            self.steps.append((kind, name))
        self.out = Dense(flat or c * h * w, classes, flat_in=(c, h, w) if flat is None and h * w > 1 else None)

    @staticmethod
    def read_conv(text):
        stride = int(text.split("s")[1]) if "s" in text else 1
        text = text.split("s")[0]
        kernel = int(text.split("k")[1]) if "k" in text else 3
        return int(text.split("k")[0]), kernel, stride

    def features(self, x, masks=None):
        h = x
        for kind, name in self.steps:
            if kind in "cf":
                h = getattr(self, name)(h.flatten(1) if kind == "f" else h)
                h = F.relu(getattr(self, name + "_norm")(h) if self.o["batch-norm"] else h)
            elif kind == "p":
                h = F.max_pool2d(h, 2)
            elif kind == "a":
                h = h.mean((2, 3), keepdim=True)
            elif masks:
                h = h * next(masks)(h)
        return h.flatten(1)

    def outputs(self, x):
        return {"mu": self.features(x)}

    def losses(self, x, seed, step):
        logits = self.out(self.features(x, twins.dropout_masks(self.o["dropout"], seed, step)))
        loss = F.cross_entropy(logits, self.labels, label_smoothing=self.o["label-smoothing"])
        return loss, 100 * (logits.argmax(1) == self.labels).to(loss.dtype).mean()


MODELS = {
    "ae": (Ae, AE, AE_PRESETS),
    "denoise": (Denoise, DENOISE, DENOISE_PRESETS),
    "classifier": (Classifier, CLASSIFIER, CLASSIFIER_PRESETS),
}

CASES = {  # model, preset, options that differ, pictures
    "ae-conv": ("ae", "conv-16", {}, 8),
    "ae-hinton": ("ae", "hinton-deep", {}, 5),  # of the sixth picture a rectifier takes 8e-7, whose sign is rounding
    "denoise-dense": ("denoise", "dae-digits", {"noise": "masking", "noise-level": 0.3, "noise-from": 0.1, "hidden": 100}, 8),
    "denoise-unet": ("denoise", "denoise", {"width": 8, "loss": "l1", "noise-from": 0.0}, 6),
    "classifier-norm": ("classifier", "classifier", {"layers": "c8,c16k5s2,p,d,f32,d", "label-smoothing": 0.1, "lr": 1e-3}, 16),
    "classifier-keras": ("classifier", "keras-mnist", {}, 8),
    "classifier-colour": ("classifier", "classifier-colour", {"layers": "c8,p,c12,a,f16,d", "init": "torch"}, 8),
}  # fmt: skip
