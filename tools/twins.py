#!/usr/bin/env python3
"""The PyTorch network of each of gen's models: gen's parameter names, layouts and initial numbers.

    net = twins.twin({"net": "conv", "latent": 8}, height=28, width=28, channels=1)
    net = twins.preset("gdl-vae-digits")
    net.load_state_dict(safetensors.torch.load_file("runs/vae-mnist/checkpoints/latest"))    # strict
    twins.initialise(net, seed=1)                # the numbers that gen starts from (core/params.c)

Needs torch and numpy. Without arguments the random numbers are checked against the published answers of Philox4x32-10.
"""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# ---- core/rng.c ----------------------------------------------------------------------------------------------------

LOW = np.uint64(0xFFFFFFFF)


def philox(seed, c0, c1, c2, c3):
    """Philox4x32-10 of arrays of counters -> uint32 [..., 4]."""
    c = [x.astype(np.uint64) for x in np.broadcast_arrays(*(np.asarray(x) for x in (c0, c1, c2, c3)))]
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [b >> np.uint64(32) ^ c[1] ^ np.uint64(key0), b & LOW, a >> np.uint64(32) ^ c[3] ^ np.uint64(key1), a & LOW]
        key0, key1 = key0 + 0x9E3779B9 & 0xFFFFFFFF, key1 + 0xBB67AE85 & 0xFFFFFFFF
    return np.stack(c, -1).astype(np.uint32)


def hash_name(name):
    """64-bit FNV-1a."""
    h = 14695981039346656037
    for byte in name.encode():
        h = (h ^ byte) * 1099511628211 & 0xFFFFFFFFFFFFFFFF
    return h


def fold(key):
    return (key ^ key >> 32) & 0xFFFFFFFF


def uniform_of(words):
    return (words >> np.uint32(8)).astype(np.float64) * 2.0**-24


def normal_of(words):
    """Box-Muller on words (0,1) and (2,3), rounded to float32 as gen does."""
    u = uniform_of(words)
    radius, angle = np.sqrt(-2 * np.log(1 - u[..., 0::2])), 6.283185307179586477 * u[..., 1::2]
    four = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(words.shape)
    return four.astype(np.float32).astype(np.float64)


def random_tensor(shape, key, seed, step, of=uniform_of):
    """What gen's random nodes give: shape[0] samples, each its own counters."""
    n, count = shape[0], math.prod(shape[1:])
    words = philox(seed, np.arange((count + 3) // 4)[None, :], np.arange(n)[:, None], step & 0xFFFFFFFF, fold(key))
    return of(words).reshape(n, -1)[:, :count].reshape(shape)


def random_below(seed, stream, i, n):
    w = philox(seed, np.asarray(i) & 0xFFFFFFFF, np.asarray(i) >> 32, 0xFFFFFFFF, stream).astype(np.uint64)
    high, low = w[..., 0] * np.uint64(n), w[..., 1] * np.uint64(n)
    return (high + (low >> np.uint64(32)) >> np.uint64(32)).astype(np.int64)


# ---- core/params.c -------------------------------------------------------------------------------------------------


def stream(name, count, seed, of):
    i = np.arange((count + 3) // 4)
    return of(philox(seed, i, i >> 32, 0x696E6974, fold(hash_name(name)))).reshape(-1)[:count]


def initial_values(name, count, rule, fan_in, fan_out, seed):
    """In gen's order of elements; the rules are those of --init."""
    if rule == "zero":
        return np.zeros(count)
    if rule in ("he", "normal"):
        spread = math.sqrt(2 / fan_in) if rule == "he" else 0.02
        return (spread * stream(name, count, seed, normal_of)).astype(np.float32)
    spread = 1 / math.sqrt(fan_in) if rule == "torch" else math.sqrt(6 / (fan_in + fan_out))
    return (spread * (2 * stream(name, count, seed, uniform_of) - 1)).astype(np.float32)


def from_conv(values, k, c, r, s):
    """[R,S,C,K] -> [K,C,R,S]"""
    return values.reshape(r, s, c, k).transpose(3, 2, 0, 1)


def unflatten(values, axis, chw):
    """An axis that counts H,W,C then counts C,H,W."""
    if chw is None:
        return values
    c, h, w = chw
    shape = values.shape
    apart = values.reshape(*shape[:axis], h, w, c, *shape[axis + 1 :])
    return np.moveaxis(apart, axis + 2, axis).reshape(shape)


# ---- layers --------------------------------------------------------------------------------------------------------


def same_padding(kernel, stride, size):
    """TensorFlow's SAME: before, after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Conv(nn.Conv2d):
    def __init__(self, c, k, kernel, stride, same, bias=True, init=None, pad=None):
        super().__init__(c, k, kernel, stride, bias=bias)
        self.same, self.init, self.pad = same, init, pad  # None: the net's; (kernel - 1) / 2

    def pads(self, h, w):
        kernel, stride = self.kernel_size[0], self.stride[0]
        if self.pad is not None:
            return (self.pad,) * 2, (self.pad,) * 2
        if not self.same:
            return ((kernel - 1) // 2,) * 2, ((kernel - 1) // 2,) * 2
        return same_padding(kernel, stride, h), same_padding(kernel, stride, w)

    def forward(self, x):
        (top, bottom), (left, right) = self.pads(*x.shape[2:])
        return F.conv2d(F.pad(x, (left, right, top, bottom)), self.weight, self.bias, self.stride)


class ConvT(nn.ConvTranspose2d):
    """The adjoint of Conv; the result has stride times the size."""

    def __init__(self, c, k, kernel, stride, same):
        super().__init__(c, k, kernel, stride)
        self.same = same

    def forward(self, x):
        kernel, stride = self.kernel_size[0], self.stride[0]
        h, w = (n * stride for n in x.shape[2:])
        if self.same:
            top, left = same_padding(kernel, stride, h)[0], same_padding(kernel, stride, w)[0]
        else:
            top = left = (kernel - 1) // 2
        y = F.conv_transpose2d(x, self.weight, None, self.stride)
        y = F.pad(y, (0, max(left + w - y.shape[3], 0), 0, max(top + h - y.shape[2], 0)))
        return y[:, :, top : top + h, left : left + w] + self.bias[:, None, None]


class Dense(nn.Linear):
    """flat_in, flat_out: C,H,W of an image on that side; it only matters for the order of initial values."""

    def __init__(self, n_in, n_out, flat_in=None, flat_out=None, bias=True, init=None):
        super().__init__(n_in, n_out, bias)
        self.init = init  # None: the net's
        self.flat_in, self.flat_out = flat_in, flat_out


def fans(layer):
    """Fan-in and fan-out as core/nn.c gives them."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    field = layer.kernel_size[0] * layer.kernel_size[1]
    a, b = field * layer.weight.shape[1], field * layer.weight.shape[0]
    return a, b


def initialise(net, seed=1):
    """gen's initial weights, on any twin; norms keep 1 and 0."""
    for name, layer in net.named_modules():
        if not isinstance(layer, (Conv, ConvT, Dense)):
            continue
        fan_in, fan_out = fans(layer)
        rule = getattr(layer, "init", None) or net.init
        shape, flat_out = layer.weight.shape, getattr(layer, "flat_out", None)
        w = initial_values(name + ".weight", math.prod(shape), rule, fan_in, fan_out, seed)
        if isinstance(layer, Dense):
            w = w.reshape(shape[1], shape[0]).T
            w = unflatten(unflatten(w, 0, flat_out), 1, layer.flat_in)
        else:
            w = from_conv(w, *shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(w)))
        if layer.bias is None:
            continue
        b = initial_values(name + ".bias", len(layer.bias), "torch" if rule == "torch" else "zero", fan_in, fan_out, seed)
        with torch.no_grad():
            layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(unflatten(b, 0, flat_out))))
    return net


# ---- models/trunk.c, models/vae.c --------------------------------------------------------------------------------------------------

VAE = {"latent": 20, "net": "conv", "width": 32, "hidden": 256, "likelihood": "bernoulli", "sigma": 1.0, "beta": 1.0,
       "r-loss-factor": 0.0, "kl-warmup": 0, "free-bits": 0.0, "init": "torch", "batch-norm": 0, "dropout": 0.0, "activation": "relu",
       "binarise": "none", "iwae-k": 1, "conditional": 0}  # fmt: skip

TRAINING = {"lr": 1e-3, "schedule": "cosine"}  # of those that say nothing else, in golden files

PRESETS = {  # with the size that they are for, H,W,C
    "vae": ({}, (28, 28, 1)),
    "gdl-vae-digits": ({"net": "gdl-digits", "latent": 2, "r-loss-factor": 1000, "init": "keras", "batch": 32, "lr": 5e-4}, (28, 28, 1)),
    "gdl-vae-faces": ({"net": "gdl-faces", "latent": 200, "r-loss-factor": 10000, "init": "keras", "batch-norm": 1, "dropout": 0.25,
                       "batch": 32, "lr": 5e-4}, (128, 128, 3)),
    "mlp-vae": ({"net": "mlp", "hidden": 400, "latent": 20, "batch": 128, "lr": 1e-3}, (28, 28, 1)),
    "kingma": ({"net": "mlp", "hidden": 500, "latent": 20, "batch": 100, "lr": 1e-3}, (28, 28, 1)),
    "vae-nll": ({"net": "mlp", "hidden": 400, "latent": 40, "binarise": "static", "batch": 100, "lr": 1e-4, "schedule": "step",
                 "decay-epochs": 150, "decay-factor": 0.631}, (28, 28, 1)),
    "iwae-5": ({"net": "mlp", "hidden": 400, "latent": 40, "binarise": "static", "iwae-k": 5, "batch": 100, "lr": 1e-4, "schedule": "step",
                "decay-epochs": 150, "decay-factor": 0.631}, (28, 28, 1)),
    "bench-vae": ({"net": "bench", "latent": 2, "r-loss-factor": 1000, "batch": 32, "lr": 5e-4}, (28, 28, 1)),
}  # fmt: skip

DIGITS = [(32, 3, 1), (64, 3, 2), (64, 3, 2), (64, 3, 1)], [(64, 3, 1), (64, 3, 2), (32, 3, 2), (0, 3, 1)]
FACES = [(32, 3, 2), (64, 3, 2), (64, 3, 2), (64, 3, 2)], [(64, 3, 2), (64, 3, 2), (32, 3, 2), (0, 3, 2)]


def sized_layers(width, h, w):
    """Halved with 4x4 kernels until at most 8 pixels are left."""
    enc, channels = [], width
    while max(h, w) > 8 and len(enc) < 10:
        enc.append((channels, 4, 2))
        channels *= 2 if len(enc) < 4 else 1
        h, w = -(-h // 2), -(-w // 2)
    enc = enc or [(channels, 3, 1)]
    back = enc[::-1]
    return enc, [(after[0], k, s) for (_, k, s), after in zip(back, back[1:] + [(0, 0, 0)])]


class Trunk(nn.Module):
    """Encoder and decoder; make_heads is the model's. classes: of a conditional model, 0 for others."""

    def __init__(self, o, height, width, channels, classes=0):
        super().__init__()
        self.o, self.size, self.init = o, (channels, height, width), "xavier" if o["init"] == "keras" else o["init"]
        self.enc, self.dec, self.classes, self.labels = nn.Module(), nn.Module(), classes, None
        self.dense = {"mlp": [o["hidden"]], "hinton": [1000, 500, 250], "linear": []}.get(o["net"])
        if self.dense is None:
            self.make_convs(o, height, width, channels)
        else:
            self.make_dense(o, channels * height * width)

    def make_dense(self, o, pixels):
        self.names = ["fc"] if len(self.dense) == 1 else [f"fc{i + 1}" for i in range(len(self.dense))]
        n, flat = pixels, self.size
        for name, units in zip(self.names, self.dense):
            setattr(self.enc, name, Dense(n, units, flat_in=flat))
            n, flat = units, None
        self.make_heads(n, flat)
        n = o["latent"]
        for name, units in zip(self.names, self.dense[::-1]):
            setattr(self.dec, name, Dense(n, units))
            n = units
        self.dec.out = Dense(n, pixels, flat_out=self.size)
        self.make_labels(self.dense[0] if self.dense else 0, self.dense[-1] if self.dense else 0, None)

    def make_labels(self, enc, dec, flat_out):
        """The one-hot label's part of the first layers' answers."""
        if self.classes:
            self.enc.label = Dense(self.classes, enc, bias=False)
            self.dec.label = Dense(self.classes, dec, flat_out=flat_out, bias=False)

    def make_convs(self, o, h, w, channels):
        gdl = {"gdl-digits": DIGITS, "gdl-faces": FACES, "bench": DIGITS}.get(o["net"])
        enc, dec = gdl or sized_layers(o["width"], h, w)
        self.n_enc, self.n_dec, same = len(enc), len(dec), o["net"] != "bench"
        self.slope, self.dense_act = (0.3, False) if gdl else (0.0, True)
        hidden, c = 0 if gdl else o["hidden"], channels
        for i, (k, kernel, stride) in enumerate(enc, 1):
            setattr(self.enc, f"conv{i}", Conv(c, k, kernel, stride, same))
            self.make_norm(self.enc, f"conv{i}_norm", k)
            c, h, w = k, -(-h // stride), -(-w // stride)
        self.start = start = (c, h, w)
        flat, across = c * h * w, start if h * w > 1 else None
        if hidden:
            self.enc.fc = Dense(flat, hidden, flat_in=across)
            self.dec.fc = Dense(o["latent"], hidden)
        self.make_heads(hidden or flat, None if hidden else across)
        self.dec.dense = Dense(hidden or o["latent"], flat, flat_out=start)
        self.make_labels(enc[0][0], hidden or flat, None if hidden else start)
        for i, (k, kernel, stride) in enumerate(dec, 1):
            k = k if i < len(dec) else channels
            setattr(self.dec, f"conv{i}", ConvT(c, k, kernel, stride, same))
            if i < len(dec):
                self.make_norm(self.dec, f"conv{i}_norm", k)
            c = k

    def make_norm(self, half, name, channels):
        if self.o["batch-norm"]:
            setattr(half, name, nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01))

    def activate(self, x):
        return F.leaky_relu(x, self.slope) if self.dense is None and self.slope else F.relu(x)

    def with_label(self, h, half, labels):
        if not self.classes:
            return h
        joined = half.label(F.one_hot(labels, self.classes).to(h.dtype))
        return h + (joined[:, :, None, None] if h.dim() == 4 else joined)

    def after_conv(self, h, half, name, masks):
        if self.o["batch-norm"]:
            h = getattr(half, name + "_norm")(h)
        h = self.activate(h)
        return h * next(masks)(h) if masks else h

    def after_dense(self, h, masks):
        """A hidden layer of a net without conv layers."""
        h = {"relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "softplus": F.softplus}[self.o["activation"]](h)
        return h * next(masks)(h) if masks else h

    def features(self, x, masks=None):
        """What the heads take."""
        h = x
        if self.dense is not None:
            h = x.flatten(1)
            for i, name in enumerate(self.names):
                h = getattr(self.enc, name)(h)
                h = self.after_dense(self.with_label(h, self.enc, self.labels) if i == 0 else h, masks)
            return h
        for i in range(1, self.n_enc + 1):
            h = getattr(self.enc, f"conv{i}")(h)
            h = self.with_label(h, self.enc, self.labels) if i == 1 else h
            h = self.after_conv(h, self.enc, f"conv{i}", masks)
        h = h.flatten(1)
        return self.activate(self.enc.fc(h)) if hasattr(self.enc, "fc") else h

    def decode(self, z, masks=None, labels=None):
        """What the sigmoid takes; labels: of other rows than the encoder's."""
        c, height, width = self.size
        labels = self.labels if labels is None else labels
        if self.dense is not None:
            h = z
            for i, name in enumerate(self.names):
                h = getattr(self.dec, name)(h)
                h = self.after_dense(self.with_label(h, self.dec, labels) if i == 0 else h, masks)
            return self.dec.out(h).reshape(-1, c, height, width)
        hidden = hasattr(self.dec, "fc")
        h = self.activate(self.with_label(self.dec.fc(z), self.dec, labels)) if hidden else z
        h = self.dec.dense(h) if hidden else self.with_label(self.dec.dense(h), self.dec, labels)
        h = (self.activate(h) if self.dense_act else h).reshape(-1, *self.start)
        for i in range(1, self.n_dec + 1):
            h = getattr(self.dec, f"conv{i}")(h)
            if i < self.n_dec:
                h = self.after_conv(h, self.dec, f"conv{i}", masks)
        return h[:, :, :height, :width]

    def dropout_masks(self, seed, step):
        """gen's masks, in the order of the layers; None without dropout."""
        return dropout_masks(self.o["dropout"], seed, step)


def dropout_masks(p, seed, step):
    def mask(i):
        def of(h):
            shape = h.shape if h.dim() == 2 else (h.shape[0], *h.shape[2:], h.shape[1])
            u = random_tensor(tuple(shape), hash_name("") + i, seed, step)
            kept = (u < np.float32(1 - p)).astype(np.float64) / (1 - p)
            return torch.from_numpy((kept if h.dim() == 2 else kept.transpose(0, 3, 1, 2)).copy()).to(h.dtype)

        return of

    return (mask(i) for i in range(100)) if p else None


class Vae(Trunk):
    LOSSES = "loss reconstruction kl"

    def __init__(self, o, height, width, channels, classes=0):
        super().__init__(o, height, width, channels, classes if o["conditional"] else 0)
        if o["likelihood"] == "gaussian-learned" and not o["r-loss-factor"]:
            self.dec.log_sigma = nn.Parameter(torch.zeros(1))

    def make_heads(self, n, flat):
        self.enc.mu, self.enc.logvar = Dense(n, self.o["latent"], flat_in=flat), Dense(n, self.o["latent"], flat_in=flat)

    def encode(self, x, masks=None):
        h = self.features(x, masks)
        return self.enc.mu(h), self.enc.logvar(h).clamp(-30, 20)

    def reconstruct(self, x):
        """The picture of the mean code, without noise."""
        return torch.sigmoid(self.decode(self.encode(x)[0]))

    def outputs(self, x):
        """What golden files hold of the network as it starts."""
        mu, logvar = self.encode(x)
        return {"mu": mu, "logvar": logvar, "reconstruction": torch.sigmoid(self.decode(mu))}

    def reconstruction(self, out, x):
        """-log p(x|z) of each picture"""
        o, pixels, square = self.o, out[0].numel(), ((torch.sigmoid(out) - x) ** 2).flatten(1).sum(1)
        if o["r-loss-factor"]:
            return o["r-loss-factor"] / pixels * square
        if o["likelihood"] == "bernoulli":
            return F.binary_cross_entropy_with_logits(out, x, reduction="none").flatten(1).sum(1)
        if o["likelihood"] == "gaussian":
            return 0.5 / o["sigma"] ** 2 * square + pixels * (0.5 * math.log(2 * math.pi) + math.log(o["sigma"]))
        log_sigma = self.dec.log_sigma.clamp(-6, 6)
        return 0.5 * square * torch.exp(-2 * log_sigma) + pixels * (log_sigma + 0.5 * math.log(2 * math.pi))

    def importance_weighted(self, x, mu, logvar, beta, seed, step, masks):
        """The loss and the mean of -log p(x|z) with iwae-k draws of z a picture, from densities as torch writes them."""
        k, n = self.o["iwae-k"], len(x)
        eps = random_tensor((n, k, mu.shape[1]), hash_name("z"), seed, step, normal_of)
        q = torch.distributions.Normal(mu[:, None], torch.exp(0.5 * logvar)[:, None])
        z = q.loc + q.scale * torch.from_numpy(eps).to(mu.dtype)
        labels = self.labels.repeat_interleave(k) if self.classes else None
        out = self.decode(z.flatten(0, 1), masks, labels)
        rec = self.reconstruction(out, x.repeat_interleave(k, 0)).reshape(n, k)
        prior = torch.distributions.Normal(torch.zeros_like(z), torch.ones_like(z))
        log_w = beta * (prior.log_prob(z) - q.log_prob(z)).sum(2) - rec
        return -(torch.logsumexp(log_w, 1) - math.log(k)).mean(), rec.mean()

    def losses(self, x, seed, step):
        """loss, reconstruction and KL of a training step, with gen's noise."""
        o, masks = self.o, self.dropout_masks(seed, step)
        mu, logvar = self.encode(x, masks)
        kl = -0.5 * (1 + logvar - mu**2 - torch.exp(logvar))
        beta = o["beta"] * (min(step / o["kl-warmup"], 1) if o["kl-warmup"] else 1)
        if o["iwae-k"] > 1:
            return *self.importance_weighted(x, mu, logvar, beta, seed, step, masks), kl.sum(1).mean()
        eps = random_tensor(tuple(mu.shape), hash_name("z"), seed, step, normal_of)
        out = self.decode(mu + torch.exp(0.5 * logvar) * torch.from_numpy(eps).to(mu.dtype), masks)
        rec = self.reconstruction(out, x)
        kept = kl.sum(1).mean() if not o["free-bits"] else kl.mean(0).clamp(min=o["free-bits"]).sum()
        return rec.mean() + beta * kept, rec.mean(), kl.sum(1).mean()


MODELS = {"vae": (Vae, VAE, PRESETS)}  # the twin, its options with their defaults, its presets; other files have such tables too


def number(kind, text):
    return kind({"true": 1, "false": 0}.get(text, text))


def options_of(table, given):
    """Options as config.json or a preset has them; others than the model's are left out."""
    return {name: number(type(fallback), given.get(name, fallback)) for name, fallback in table.items()}


def twin(options, height, width, channels, classes=0, model=MODELS["vae"]):
    make, table, _ = model
    return make(options_of(table, options), height, width, channels, classes)


def preset(name):
    options, size = PRESETS[name]
    return twin(options, *size)


def training(options, model=MODELS["vae"]):
    """What of a preset's options is training's."""
    return {**TRAINING, **{k: v for k, v in options.items() if k not in model[1]}}


# ---- the same answers as tests/test_rng.c and tests/test_golden.c ---------------------------------------------------


def check():
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    ones = (0xFFFFFFFF,) * 4
    for seed, counter, expected in (  # Random123 1.09, examples/kat_vectors, rows "philox4x32 10"
        (0, (0,) * 4, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (0xFFFFFFFFFFFFFFFF, ones, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (0x299F31D0A4093822, pi, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ):
        assert tuple(philox(seed, *counter)) == expected, hex(seed)
    assert [hash_name(s) for s in ("", "a", "foobar")] == [0xCBF29CE484222325, 0xAF63DC4C8601EC8C, 0x85944171F73967E8]
    assert uniform_of(np.array([0, 0xFF, 0x80000000, 0xFFFFFFFF], np.uint32)).tolist() == [0, 0, 0.5, 1 - 2.0**-24]
    four = normal_of(np.array([0, 0, 0xFFFFFFFF, 0x40000000], np.uint32))
    assert four[0] == four[1] == 0 and abs(four[2]) < 1e-6 and abs(four[3] - math.sqrt(48 * math.log(2))) < 1e-6
    count = lambda half: sum(t.numel() for n, t in half.state_dict().items() if "num_batches" not in n)
    for name, encoder, decoder in (("gdl-vae-digits", 105220, 102017), ("gdl-vae-faces", 1732944, 917123)):
        net = preset(name)
        assert (count(net.enc), count(net.dec)) == (encoder, decoder), name


if __name__ == "__main__":
    check()
    print("the random numbers are gen's")
