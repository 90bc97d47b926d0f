"""A repository in the form that torch.hub loads, with a small model."""

from __future__ import annotations

from pathlib import Path

HUBCONF = '''
"""What a published model looks like."""

dependencies = ["torch"]

import torch
from layers import Colours


def colours(dim=8, scale=1.0, name="plain", wrapped=False):
    """Mean colour, mixed by a layer."""
    torch.manual_seed(3)
    model = Colours(dim, scale, name)
    return torch.nn.DataParallel(model) if wrapped else model


def nothing():
    return "no model"


def a_map():
    return torch.nn.Conv2d(3, 4, 1)


def broken(dim):
    raise RuntimeError("Missing dependencies: pytorch_lightning")


def unready():
    assert False, "no weights yet"


def misnamed():
    return {}["encoder"]


class Fails(torch.nn.Module):
    def forward(self, images):
        assert len(images) == 8, "8 tokens"


def fails():
    return Fails()


def asks():
    raise EOFError("EOF when reading a line")


def offline():
    raise OSError("Name or service not known")
'''
LAYERS = '''
import torch
from torch import nn


class Colours(nn.Module):
    """Descriptors beside something else, as Bag-of-Queries gives them."""

    def __init__(self, dim, scale, name):
        super().__init__()
        self.norm, self.mix = nn.BatchNorm2d(3), nn.Linear(3, dim)
        self.scale, self.name = scale, name

    def forward(self, images):
        self.seen = images
        found = self.mix(self.norm(images).mean(dim=(2, 3))) * self.scale
        return (found, [found]) if self.name == "pair" else found
'''


def write_hub_model(folder: Path) -> None:
    """Write the repository's two files into a folder."""
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "layers.py").write_text(LAYERS)
