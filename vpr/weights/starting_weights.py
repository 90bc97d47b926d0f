"""Starting weights by name: random, ImageNet's, or a checkpoint."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import VGG16_Weights

from vpr.encoders.dense_rootsift import DenseRootSift
from vpr.encoders.vgg16 import SIFT, Encoder
from vpr.weights.checkpoints import Checkpoint, describe_checkpoint, parse_checkpoint
from vpr.weights.random_weights import random_encoder

IMAGENET_SHA256 = "397923af"  # its first digits, which torchvision has in the file's name


def starting_state(path: Path, *, encoder: Encoder, seed: int) -> tuple[dict[str, Tensor], str]:
    """The tensors that an encoder starts with, and in words where they come from.

    Args:
        path: A file in models/pretrained, as for `find_weights`.
        encoder: Which one.
        seed: Of random weights.

    Raises:
        ValueError: If dense RootSIFT is to have weights, or as `find_weights`.
        OSError: As `find_weights`.
    """
    if encoder == "vgg16":
        found = find_weights(path, seed=seed)
        return found.state, f"{path.name}: {describe_checkpoint(found)}"
    if path.name != "random":
        raise ValueError(
            f"pretrained.weights = {path.name}, but trunk.encoder = {encoder} takes no weights: "
            "set pretrained.weights to random, or trunk.encoder to vgg16"
        )
    sift = DenseRootSift()
    words = f"dense RootSIFT at {len(sift.bins_px)} scales: no weights, nothing random"
    return {SIFT + name: tensor for name, tensor in sift.state_dict().items()}, words


def find_weights(path: Path, *, seed: int) -> Checkpoint:
    """The weights that a file in models/pretrained stands for.

    Args:
        path: `random` (drawn from the seed), `imagenet` (torchvision's VGG16, downloaded once), or
            a checkpoint.
        seed: Of random weights.

    Returns:
        Tensors by the reference's names, and what is known about them.

    Raises:
        ValueError: If a checkpoint is refused, or ImageNet's weights on this machine are damaged.
        OSError: If ImageNet's weights are not on this machine and cannot be downloaded.
    """
    if path.name == "random":
        return Checkpoint(random_encoder(seed), f"random weights of seed {seed}", {})
    if path.name == "imagenet":
        return parse_checkpoint(_imagenet_file())
    return parse_checkpoint(path)


def check_sha256(path: Path, expected: str, *, source: str) -> None:
    """Check that a file is the one that is meant.

    Args:
        path: The file.
        expected: Its SHA-256 in hexadecimal digits, or the first of them.
        source: What states it, for the message.

    Raises:
        ValueError: If it is another file; the message has the digits found.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(expected.lower()):
        raise ValueError(f"{path}: expected SHA-256 {expected} ({source}), found {found}")


def _imagenet_file() -> Path:
    url = VGG16_Weights.IMAGENET1K_V1.url
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file: Path = folder / url.rsplit("/", 1)[1]
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(file), hash_prefix=IMAGENET_SHA256)
        except (urllib.error.URLError, http.client.HTTPException, RuntimeError, OSError) as error:
            raise OSError(
                f"pretrained.weights = imagenet: {url} could not be downloaded ({error}). On a "
                f"machine with access download it, and put it here as {file}; or put it into "
                f"models/pretrained/ and set pretrained.weights to {file.name}"
            ) from None
    check_sha256(file, IMAGENET_SHA256, source="torchvision; if it is damaged, remove it")
    return file
