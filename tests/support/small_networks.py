"""Networks of timm with few layers and channels, by timm's names after `small_`."""

from __future__ import annotations

import timm
from timm.models import register_model
from torch import nn

THIN = {"embed_dim": 64, "num_heads": 2, "depth": 3}
SMALLER = {
    "resnet18": {"channels": (16, 32, 64, 128)},
    "densenet121": {"block_config": (1, 1, 1, 1)},
    "vit_tiny_patch16_224": THIN,
    "vit_small_patch14_dinov2": THIN,
    "vit_small_patch14_reg4_dinov2": THIN,
    "swin_s3_tiny_224": {"embed_dim": 24, "depths": (1, 1, 2, 1)},
    "swin_tiny_patch4_window7_224": {
        "embed_dim": 24, "depths": (1, 1, 1, 1), "drop_path_rate": 0.5
    },
    "hiera_tiny_224": {"embed_dim": 24, "stages": (1, 1, 1, 1)},
}  # fmt: skip


def _register(network: str, smaller: dict[str, object]) -> None:
    def create(pretrained: bool = False, **settings: object) -> nn.Module:
        made: nn.Module = timm.create_model(network, **smaller, **settings)
        return made

    create.__name__ = f"small_{network}"
    register_model(create)


for _network, _smaller in SMALLER.items():
    _register(_network, _smaller)
