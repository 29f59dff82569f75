#!/usr/bin/env python3
"""Random weights of VGG-19 and VGG-16 as torchvision lays them out, saved by PyTorch in both containers, and what PyTorch sees with them; for a test, with
$GEN_PYTHON.

    python tools/check_vgg.py FOLDER [--full]       writes vgg19.pth (zip), vgg16.pth (legacy), caffe.pth (conv1_1 …) and seen.safetensors

The network is torchvision's own where torchvision is installed, else the same modules written down here. The classifier's layers, 0.5 GB that nobody reads,
keep their names but are small without --full.
"""
import pathlib
import sys

import safetensors.torch
import torch
from torch import nn

PLAN = {
    "vgg19": [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"],
    "vgg16": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
}
HEIGHT, WIDTH = 37, 52
MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
CAFFE = torch.tensor([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)


class Vgg(nn.Module):
    def __init__(self, plan, wide):
        super().__init__()
        layers, c = [], 3
        for k in plan:
            layers += [nn.MaxPool2d(2)] if k == "M" else [nn.Conv2d(c, k, 3, padding=1), nn.ReLU()]
            c = c if k == "M" else k
        self.features = nn.Sequential(*layers)
        first, hidden, classes = (512 * 7 * 7, 4096, 1000) if wide else (8, 6, 4)
        self.classifier = nn.Sequential(nn.Linear(first, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden),
                                        nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes))  # fmt: skip


def network(name, full):
    try:
        import torchvision

        if full:
            return getattr(torchvision.models, name)(weights=None)
    except ImportError:
        pass
    return Vgg(PLAN[name], full)


def names(plan):
    """What VGG's authors call the convs, in their order: conv1_1 …"""
    block, i = 1, 1
    for k in plan:
        if k == "M":
            block, i = block + 1, 1
        else:
            yield f"conv{block}_{i}"
            i += 1


def seen(net, x, last):
    with torch.no_grad():
        for module in net.features[: last + 1]:
            x = module(x)
    return x.permute(0, 2, 3, 1).contiguous()


def main():
    folder, full = pathlib.Path(sys.argv[1]), "--full" in sys.argv
    torch.manual_seed(0)
    x = torch.rand(1, 3, HEIGHT, WIDTH)
    out = {"x": x.permute(0, 2, 3, 1).contiguous()}
    for name, last, zipped in [("vgg19", 29, True), ("vgg16", 25, False)]:  # relu5_1
        net = network(name, full)
        for module in net.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.normal_(module.bias, std=0.1)
        torch.save(net.state_dict(), folder / f"{name}.pth", _use_new_zipfile_serialization=zipped)
        out[name] = seen(net, (x - MEAN) / STD, last)
    convs = [m for m in net.features if isinstance(m, nn.Conv2d)]  # the same weights under Caffe's names see BGR
    caffe = {f"{n}.{part}": getattr(m, part).data for n, m in zip(names(PLAN["vgg16"]), convs) for part in ("weight", "bias")}
    torch.save(caffe, folder / "caffe.pth")
    out["caffe"] = seen(net, x.flip(1) * 255 - CAFFE, 25)
    safetensors.torch.save_file(out, str(folder / "seen.safetensors"))


main()
