"""Starting weights by name: random, ImageNet's, or a checkpoint."""

from __future__ import annotations

import http.client
import urllib.error
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import VGG16_Weights

from vpr.checkpoints import parse_checkpoint
from vpr.random_weights import random_encoder


def find_weights(path: Path, *, seed: int) -> dict[str, Tensor]:
    """The tensors that a file in models/pretrained stands for.

    Args:
        path: `random` (drawn from the seed), `imagenet` (torchvision's VGG16, downloaded once), or
            a checkpoint.
        seed: Of random weights.

    Returns:
        Tensors by the reference's names.

    Raises:
        ValueError: If a checkpoint is refused.
        OSError: If ImageNet's weights are not on this machine and cannot be downloaded.
    """
    if path.name == "random":
        return random_encoder(seed)
    if path.name == "imagenet":
        return parse_checkpoint(_imagenet_file())
    return parse_checkpoint(path)


def split_state(
    state: dict[str, Tensor], trainable_from: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Frozen tensors of the encoder, and all others, in the same order.

    Args:
        state: Tensors by name.
        trainable_from: Index of the encoder's first module that trains.
    """
    frozen = {
        name: tensor
        for name, tensor in state.items()
        if name.startswith("encoder.") and int(name.split(".")[1]) < trainable_from
    }
    return frozen, {name: tensor for name, tensor in state.items() if name not in frozen}


def _imagenet_file() -> Path:
    url = VGG16_Weights.IMAGENET1K_V1.url
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file: Path = folder / url.rsplit("/", 1)[1]
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(file), hash_prefix="397923af")
        except (urllib.error.URLError, http.client.HTTPException, RuntimeError, OSError) as error:
            raise OSError(
                f"pretrained.weights = imagenet: {url} could not be downloaded ({error}). On a "
                f"machine with access download it, and put it here as {file}; or put it into "
                f"models/pretrained/ and set pretrained.weights to {file.name}"
            ) from None
    return file
