"""Dense RootSIFT is Lowe's descriptor at each position, and carries through every stage."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from math import atan2, ceil, exp, floor, hypot, pi, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from stages.extract import extract
from stages.finetune import finetune
from stages.pretrained import pretrained
from stages.trunk import trunk
from tests.support.repositories import ROOT, change, require
from vpr.encoders.dense_rootsift import DenseRootSift, histograms, orientation_maps, smooth
from vpr.features.local_features import load_features
from vpr.features.model import Model, load_model
from vpr.features.trunk import load_trunk
from vpr.locating.ranking import Ranker, cluster_responses, rank_photos
from vpr.network.describing import load_network
from vpr.network.head import load_head
from vpr.places.index import ImageIndex, save_index
from vpr.places.positives import save_positives
from vpr.places.radius import find_training_positives
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.ranking import rank_database


def blobs(height: int, width: int, seed: int) -> np.ndarray:
    """A grey photo of soft blobs, RGB of shape (1, H, W, 3), uint8."""
    noise = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    grey = smooth(noise, sigma_px=2)[0, 0]
    grey = (grey - grey.min()) / (grey.max() - grey.min()) * 255
    return np.repeat(grey.round().numpy().astype(np.uint8)[None, :, :, None], 3, axis=3)


def literal_histogram(grey: np.ndarray, row: int, column: int, bin_px: float) -> np.ndarray:
    """Lowe's descriptor before normalisation, pixel by pixel and bin by bin (IJCV 2004, 6.1)."""
    height, width = grey.shape
    counts = np.zeros((4, 4, 8))
    reach = ceil(2.5 * bin_px)
    for y in range(max(1, row - reach), min(height - 1, row + reach + 1)):
        for x in range(max(1, column - reach), min(width - 1, column + reach + 1)):
            right, up = grey[y, x + 1] - grey[y, x - 1], grey[y - 1, x] - grey[y + 1, x]
            down_bins, right_bins = (y - row) / bin_px, (x - column) / bin_px
            weight = hypot(right, up) * exp(-(down_bins**2 + right_bins**2) / 8)
            place = (down_bins + 1.5, right_bins + 1.5, (atan2(up, right) / (2 * pi) * 8) % 8)
            for r in range(4):
                for c in range(4):
                    for o in (floor(place[2]), floor(place[2]) + 1):
                        share = max(0, 1 - abs(place[0] - r)) * max(0, 1 - abs(place[1] - c))
                        counts[r, c, o % 8] += weight * share * (1 - abs(place[2] - o))
    return counts.reshape(-1)


@pytest.mark.parametrize(("bin_px", "step_px"), [(2.5, 8), (4, 16), (6, 5)])
def test_histograms_equal_the_loops_over_pixels_and_bins(bin_px: float, step_px: int) -> None:
    grey = np.random.default_rng(0).uniform(0, 255, (33, 41)).astype(np.float32)
    maps = orientation_maps(torch.from_numpy(grey)[None, None])
    ours = histograms(maps, bin_px=bin_px, step_px=step_px)[0]
    assert ours.shape == (128, 33 // step_px, 41 // step_px)
    for r in range(ours.shape[1]):
        for c in range(ours.shape[2]):
            row, column = step_px // 2 + step_px * r, step_px // 2 + step_px * c
            literal = literal_histogram(grey.astype(np.float64), row, column, bin_px)
            np.testing.assert_allclose(ours[:, r, c], literal, rtol=1e-3, atol=0.05)


def test_descriptors_are_opencvs_at_the_same_upright_keypoints() -> None:
    require(find_spec("cv2"), "opencv-python-headless")
    import cv2

    photo = blobs(120, 160, 0)
    for bin_px in (4.0, 6.0):
        ours = DenseRootSift((bin_px,), 16)(torch.from_numpy(photo))[0]  # (128, 7, 10)
        keypoints = [
            cv2.KeyPoint(8.0 + 16 * c, 8.0 + 16 * r, 2 * bin_px / 3, 0, 0, 0)
            for r in range(7) for c in range(10)
        ]  # fmt: skip
        _, theirs = cv2.SIFT.create(sigma=bin_px / 3).compute(photo[0, :, :, 0], keypoints)
        roots = np.sqrt(theirs / theirs.sum(axis=1, keepdims=True)).reshape(7, 10, 128)
        cosines = (ours.permute(1, 2, 0).numpy() * roots).sum(axis=2)
        assert cosines[2:-2, 2:-2].min() > 0.998  # OpenCV rounds to bytes
        assert cosines.min() > 0.95  # and mirrors the photo at its edge


def test_a_vertical_edge_falls_into_the_bins_of_the_right_and_left_gradient_alone() -> None:
    photo = np.zeros((1, 48, 48, 3), np.uint8)
    photo[:, :, 24:] = 200
    found = DenseRootSift((4,), 16)(torch.from_numpy(photo))[0, :, 1, 1].view(4, 4, 8).numpy()
    assert (found[..., 0] ** 2).sum() > 0.99  # brighter to the right: orientation 0
    mirrored = np.ascontiguousarray(photo[:, :, ::-1])
    found = DenseRootSift((4,), 16)(torch.from_numpy(mirrored))[0, :, 1, 1].view(4, 4, 8).numpy()
    assert (found[..., 4] ** 2).sum() > 0.99


def test_a_blank_photo_is_the_even_histogram_and_every_feature_has_unit_length() -> None:
    blank = DenseRootSift()(torch.full((1, 48, 64, 3), 90, dtype=torch.uint8))
    torch.testing.assert_close(blank, torch.full_like(blank, sqrt(1 / 128)))
    found = DenseRootSift()(torch.from_numpy(blobs(48, 64, 1)))
    torch.testing.assert_close(found.norm(dim=1), torch.ones_like(found[:, 0]))


def test_features_do_not_depend_on_the_batch_and_scales_stand_below_each_other() -> None:
    photos = torch.from_numpy(np.concatenate([blobs(48, 64, seed) for seed in range(3)]))
    together = DenseRootSift((4, 6), 8)(photos)
    assert together.shape == (3, 128, 2 * 6, 8)
    alone = DenseRootSift((6,), 8)(photos[1:2])
    torch.testing.assert_close(together[1, :, 6:], alone[0], atol=1e-6, rtol=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stages ran on a dozen photos; the model trained for an epoch."""
    folder = tmp_path_factory.mktemp("sift")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_stages()
    return folder


def run_stages() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["trunk"] |= {"encoder": "dense_rootsift", "model": None, "trainable_from": "pool"}
    params["pretrained"]["weights"] = "random"
    params["finetune"] |= {"num_clusters": 4, "epochs": 1, "mining": "random"}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    Path("env.yaml").write_text((ROOT / "env.yaml").read_text())
    Path("images").mkdir()
    for number in range(12):
        size = (72, 56) if number % 3 else (60, 44)
        Image.fromarray(blobs(size[1], size[0], number)[0]).save(f"images/{number:06d}.png")
    places = np.stack([np.arange(12) * 10.0, np.zeros(12)], axis=1)
    save_index(Path("database.csv"), ImageIndex([f"{n}.png" for n in range(12)], places))
    save_positives(Path("positives.npz"), find_training_positives(places, radius_m=10))
    frozen, trainable, features = Path("frozen.pt"), Path("trainable.pt"), Path("features")
    pretrained(frozen=frozen, trainable=trainable)
    trunk(images=Path("images"), frozen=frozen, features=features)
    finetune(
        features=features, database=Path("database.csv"),
        positives=Path("positives.npz"), frozen=frozen, trainable=trainable, model=Path("model"),
    )  # fmt: skip
    extract(
        features=features, images=Path("images"), model=Path("model/model.pt"),
        descriptors=Path("database.npy"),
    )  # fmt: skip


def test_stages_carry_the_features_to_descriptors_and_the_pool_trains(model: Path) -> None:
    frozen = load_model(model / "frozen.pt")
    assert (frozen.encoder, frozen.split) == ("dense_rootsift", "pool")
    assert set(frozen.tensors) == {"encoder.bins_px", "encoder.step_px"}
    assert load_model(model / "trainable.pt").tensors == {}
    stored = load_features(model / "features")
    assert stored.rows.of(0).shape[1] == 128
    trunk = load_trunk(frozen, torch.bfloat16)
    assert trunk.map_shape(44, 60) == (128, *stored.shapes[0]) == (128, 4 * 5, 7)
    loss = (model / "model" / "loss.csv").read_text().split("\n")
    assert loss[0].startswith("epoch,loss")
    assert float(loss[1].split(",")[1]) > 0
    assert load_descriptors(model / "database.npy").shape == (12, 4 * 128)


def test_a_photo_of_the_database_is_located_there_and_its_heat_map_is_one_grid(
    model: Path,
) -> None:
    whole_model = load_model(model / "model" / "model.pt")
    network = load_network(
        whole_model, precision=torch.bfloat16, scale_to=None, device=torch.device("cpu")
    )
    database = load_descriptors(model / "database.npy")
    photos = [model / "images" / "000007.png", model / "images" / "000003.png"]
    search = partial(rank_database, database)
    ranker = Ranker(network, database, None, database, search, len(database), None)
    ranked = list(rank_photos(ranker, photos, top=2, with_responses=True))
    assert [int(row.indices[0]) for row in ranked] == [7, 3]
    assert max(float(row.distances[0]) for row in ranked) < 1e-3
    assert ranked[0].responses is not None
    assignment, shares = ranked[0].responses
    assert assignment.shape == (4, 7, 9)
    assert shares.shape == (7, 9)
    np.testing.assert_allclose(assignment.sum(axis=0), 1, rtol=1e-5)
    assert shares.sum() == pytest.approx(1, abs=1e-3)  # the match is the photo itself
    maps = load_features(model / "features").maps([7])
    head = load_head(whole_model)
    head.num_scales = 1
    whole = cluster_responses(head, maps, database[7])[1]
    np.testing.assert_allclose(whole.reshape(4, 7, 9).sum(axis=0), shares, atol=1e-5)


def test_weights_for_an_encoder_that_takes_none_are_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model)
    change(model, "weights: random", "weights: imagenet")
    with pytest.raises(
        ValueError, match=r"weights = imagenet: .* = dense_rootsift knows random; set"
    ):
        pretrained(frozen=Path("f.pt"), trainable=Path("t.pt"))


def test_a_model_without_its_encoders_tensors_is_refused_by_name() -> None:
    pool = {"pool.conv.weight": torch.zeros(2, 512, 1, 1), "pool.centroids": torch.zeros(2, 512)}
    with pytest.raises(ValueError, match=r"encoder\.24\.weight"):
        load_head(Model("vgg16", None, "conv5_1", pool))
