"""Our descriptors and rankings are those of a literal reference, on real photos.

The reference: torchvision's modules, one photo at a time, NCHW, float32; NetVLAD by loops in
float64, as the paper's equations have it; distances in float64.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import vgg16
from torchvision.transforms import Compose, Normalize, ToTensor

from vpr.encoders.vgg16 import random_weights
from vpr.features.model import Model
from vpr.network.describing import describe_photos, load_network
from vpr.retrieval.ranking import rank_database
from vpr.runtime.device import find_device
from vpr.weights.checkpoints import parse_checkpoint

NUM_CLUSTERS, DIM = 8, 512
CLOSER = 1e-5  # candidates closer than this may be swapped


def challenge_state() -> dict[str, torch.Tensor]:
    """A network of the challenge's form whose clusters are spread like its features."""
    generator = torch.Generator().manual_seed(1)
    centroids = torch.randn(NUM_CLUSTERS, DIM, generator=generator) / DIM**0.5
    weight = 20 * centroids / centroids.norm(dim=1, keepdim=True)
    pool = {"pool.conv.weight": weight[:, :, None, None], "pool.centroids": centroids}
    return random_weights(0) | pool


def from_challenges_file(folder: Path, *, old_numpy: bool) -> dict[str, torch.Tensor]:
    """The same network out of a file as the challenge's, as either numpy wrote it."""
    file = folder / "pittsburgh_checkpoint.pth.tar"
    content: dict[str, Any] = {
        "epoch": 13, "state_dict": challenge_state(), "recalls": {1: np.float64(0.84)},
        "best_score": np.float64(0.93), "optimizer": {"state": {}, "param_groups": []},
        "parallel": False,
    }  # fmt: skip
    torch.save(content, file, _use_new_zipfile_serialization=False)
    if old_numpy:
        data = file.read_bytes()
        assert b"cnumpy._core.multiarray\n" in data
        file.write_bytes(data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    return parse_checkpoint(file).state


def literal_descriptor(state: dict[str, torch.Tensor], photo: Path) -> np.ndarray:
    """The reference's descriptor of one photo, float64."""
    with torch.device("meta"):  # its initialisation would take a second
        encoder = vgg16(weights=None).features[:-2].eval()
    tensors = {k[len("encoder.") :]: v for k, v in state.items() if k.startswith("encoder.")}
    encoder.load_state_dict(tensors, assign=True)
    prepare = Compose([ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    with Image.open(photo) as image, torch.inference_mode():
        features = encoder(prepare(image.convert("RGB"))[None])[0].flatten(1).T.numpy()
    weight = state["pool.conv.weight"][:, :, 0, 0].numpy().astype(np.float64)
    centroids = state["pool.centroids"].numpy().astype(np.float64)
    return literal_vlad(features.astype(np.float64), weight, centroids)


def literal_vlad(features: np.ndarray, weight: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    vlad = np.zeros_like(centroids)
    for feature in features:
        x = feature / np.sqrt(np.dot(feature, feature))
        scores = np.exp([np.dot(row, x) for row in weight])
        for k in range(len(centroids)):
            vlad[k] += scores[k] / scores.sum() * (x - centroids[k])
    for k in range(len(centroids)):
        vlad[k] /= np.sqrt(np.dot(vlad[k], vlad[k]))
    return vlad.reshape(-1) / np.sqrt(np.sum(vlad**2))


@pytest.fixture(scope="module")
def photos(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """28 database and 8 query photos of Gardens Point in three sizes, upright ones too."""
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for side, numbers in (("day_right", range(0, 140, 5)), ("day_left", range(2, 140, 18))):
        files = sorted((real_data / "gardens_point" / side).iterdir())
        for number in numbers:
            size = [(96, 54), (96, 54), (96, 54), (64, 80), (80, 64)][len(paths) % 5]
            with Image.open(files[number]) as image:
                image.resize(size).save(folder / f"{len(paths):03d}.png")
            paths.append(folder / f"{len(paths):03d}.png")
    return paths


@pytest.fixture(scope="module")
def literal(photos: list[Path]) -> np.ndarray:
    state = challenge_state()
    return np.stack([literal_descriptor(state, photo) for photo in photos])


def ours(state: dict[str, torch.Tensor], photos: list[Path], device: torch.device) -> np.ndarray:
    model = Model("vgg16", None, "conv5_1", state)
    network = load_network(model, precision=torch.float32, scale_to=None, device=device)
    return np.concatenate([batch.descriptors for batch in describe_photos(network, photos)])


def assert_same_ranking(found: np.ndarray, expected: np.ndarray, *, top_k: int) -> None:
    """Rankings of the last 8 among the others are equal but for swaps of near-equals."""
    indices, _ = rank_database(found[:-8], found[-8:], top_k=top_k)
    for row, query in zip(indices, expected[-8:], strict=True):
        away = np.sqrt(((expected[:-8] - query) ** 2).sum(axis=1))
        nearest = np.sort(away)
        assert nearest[top_k] - nearest[0] > 100 * CLOSER  # else any ranking would do
        assert np.abs(away[row] - nearest[:top_k]).max() < CLOSER


def test_descriptors_and_top_20_of_real_photos_of_mixed_sizes(
    photos: list[Path], literal: np.ndarray, tmp_path: Path
) -> None:
    old = from_challenges_file(tmp_path, old_numpy=True)
    new = from_challenges_file(tmp_path, old_numpy=False)
    assert old.keys() == new.keys() == challenge_state().keys()
    assert all(torch.equal(old[name], tensor) for name, tensor in new.items())
    found = ours(old, photos, torch.device("cpu"))
    assert np.abs(found - literal).max() < 1e-5
    assert_same_ranking(found, literal, top_k=20)


def test_one_photo_alone_and_many_of_one_size_have_the_same_descriptors(
    photos: list[Path], literal: np.ndarray
) -> None:
    equal = [number for number in range(10) if number % 5 < 3]
    state, cpu = challenge_state(), torch.device("cpu")
    together = ours(state, [photos[number] for number in equal], cpu)
    assert np.abs(together - literal[equal]).max() < 1e-5
    assert np.abs(ours(state, photos[:1], cpu) - literal[0]).max() < 1e-5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_a_gpu_ranks_as_the_cpu_does(photos: list[Path], literal: np.ndarray) -> None:
    device = find_device()
    found = ours(challenge_state(), photos, device)
    assert device.type == "cuda"
    assert_same_ranking(found, literal, top_k=20)
