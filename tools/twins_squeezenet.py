#!/usr/bin/env python3
"""SqueezeNet 1.1 in PyTorch: models/squeezenet.c. Writes tests/golden/squeezenet.safetensors (tests/test_squeezenet.c).

    twins_squeezenet.SqueezeNet().load_state_dict(weights, strict=False)      # names are torchvision's, the classifier left out
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import golden
import twins

FIRE = {3: (16, 64), 4: (16, 64), 6: (32, 128), 7: (32, 128), 9: (48, 192), 10: (48, 192), 11: (64, 256), 12: (64, 256)}
SIZE = (2, 45, 38, 3)


class Fire(nn.Module):
    def __init__(self, before, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self):
        super().__init__()
        layers, channels = [nn.Conv2d(3, 64, 3, 2), nn.ReLU()], 64
        for i in range(2, 13):
            if i in FIRE:
                layers.append(Fire(channels, *FIRE[i]))
                channels = 2 * FIRE[i][1]
            else:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        self.features = nn.Sequential(*layers)

    def activations(self, x):
        """x[N,3,H,W] in [0,1] -> what each layer gives"""
        shape = (1, 3, 1, 1)
        x = (x - torch.tensor([0.485, 0.456, 0.406]).reshape(shape)) / torch.tensor([0.229, 0.224, 0.225]).reshape(shape)
        for i, layer in enumerate(self.features):
            x = layer(x)
            yield f"features.{i}", x


def initialise(net):
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d):
            k, c, r, s = layer.weight.shape
            w = twins.initial_values(name + ".weight", k * c * r * s, "he", c * r * s, k * r * s, golden.SEED)
            layer.weight.data.copy_(torch.from_numpy(np.ascontiguousarray(twins.from_conv(w, k, c, r, s))))
            layer.bias.data.zero_()
    return net


if __name__ == "__main__":
    n, h, w, c = SIZE
    x = torch.from_numpy(golden.pictures(n, (h, w, c)).astype(np.float64).transpose(0, 3, 1, 2).copy())
    net, out = initialise(SqueezeNet().double()), {}
    assert sum(p.numel() for p in net.parameters()) == 722496
    with torch.no_grad():
        for name, y in net.activations(x):
            out[name] = golden.sums(name, y.permute(0, 2, 3, 1))
    out["mu"] = y.mean((2, 3)).float()
    path = golden.save("squeezenet", out, {"options": "", "size": f"{n} {h} {w} {c}", "seed": str(golden.SEED),
                       "torch": torch.__version__.split("+")[0], "made by": "tools/twins_squeezenet.py"})  # fmt: skip
    print(f"{path.name}: {path.stat().st_size} bytes")
