"""The network gives the same descriptor in any batch, and says what it cannot do."""

from __future__ import annotations

import shutil
import time
from collections import namedtuple
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from vpr.aggregators.netvlad import NetVLAD
from vpr.encoders.vgg16 import make_encoder, random_weights
from vpr.features import batches, extraction
from vpr.features.batches import pixels_per_batch, positions_per_batch, require_memory
from vpr.features.extraction import extract_features
from vpr.features.local_features import LocalFeatures, load_features, save_features
from vpr.features.model import Model
from vpr.features.trunk import Trunk, check_features, load_trunk
from vpr.images.image_files import read_image
from vpr.network.head import Head, extract_descriptors, load_head
from vpr.runtime.device import check_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SIZES = [(48, 64)] * 3 + [(64, 48)] + [(48, 64)] * 2  # height, width
PRECISIONS = [torch.float32, torch.bfloat16]


@pytest.fixture(scope="module")
def model() -> Model:
    generator = torch.Generator().manual_seed(0)
    pool = {
        "pool.conv.weight": 5 * torch.randn(4, 512, 1, 1, generator=generator),
        "pool.centroids": 0.05 * torch.randn(4, 512, generator=generator),
    }
    return Model("vgg16", None, "conv5_1", random_weights(0) | pool)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate(SIZES):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06d}.png")
    return sorted(folder.iterdir())


def test_local_features_do_not_depend_on_how_many_threads_decode(
    model: Model, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = load_trunk(model, torch.float32)
    delays = np.random.default_rng(0).uniform(0, 0.05, len(photos))

    def read(photo: Path) -> NDArray[np.uint8]:
        time.sleep(delays[int(photo.stem)])  # so that threads finish in another order
        return read_image(photo, scale_to=None)

    found = []
    for count in (1, 2, 5):
        monkeypatch.setattr(extraction, "count_decoders", lambda _, count=count: count)
        maps = list(extract_features(trunk, photos, SIZES, read, CPU))
        found.append([one.numpy().tobytes() for one in maps])
    assert found[0] == found[1] == found[2]


def store(model: Model, photos: list[Path], folder: Path, precision: torch.dtype) -> LocalFeatures:
    trunk = load_trunk(model, precision)
    read = partial(read_image, scale_to=None)
    save_features(folder, extract_features(trunk, photos, SIZES, read, CPU))
    return load_features(folder)


def area_of(count: int) -> dict[str, int]:
    return {"cpu": count * 48 * 64}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_descriptor_does_not_depend_on_its_batch(
    monkeypatch: pytest.MonkeyPatch,
    model: Model,
    photos: list[Path],
    tmp_path: Path,
    precision: torch.dtype,
) -> None:
    head = load_head(model)
    found = []
    for together in (1, 3):
        monkeypatch.setattr(batches, "PIXELS_PER_BATCH", area_of(together))
        monkeypatch.setattr(batches, "POSITIONS_PER_BATCH", {"cpu": together * 3 * 4})
        stored = store(model, photos, tmp_path / str(together), precision)
        blocks = list(extract_descriptors(head, stored, range(len(SIZES)), CPU))
        assert max(map(len, blocks)) == together
        found.append(np.concatenate(blocks))
    shuffled = [4, 3, 0, 5, 1, 2]
    again = np.concatenate(list(extract_descriptors(head, stored, shuffled, CPU)))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(again, found[0][shuffled])
    assert np.abs(found[0][0] - found[0][1]).max() > 1e-3  # other images have other descriptors


def test_training_in_bfloat16_turns_descriptors_and_gradients_by_little(
    model: Model,
) -> None:
    maps = torch.rand(3, 512, 6, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    found = []
    for features in (maps, maps.float()):
        head = load_head(model)
        anchor, near, far = head(features)
        torch.nn.TripletMarginLoss(margin=1.0)(anchor, near, far).backward()
        gradients = torch.cat([p.grad.flatten() for p in head.encoder.parameters()])
        assert anchor.dtype == gradients.dtype == torch.float32
        found.append((anchor.detach(), gradients))
    (rounded, slope), (exact, exact_slope) = found
    assert rounded.norm() == pytest.approx(1, abs=1e-6)  # normalised in float32
    assert 0 < (exact - rounded).norm() < 0.02
    assert torch.cosine_similarity(slope, exact_slope, dim=0) > 0.99


def test_float16_features_are_computed_on_in_float32() -> None:
    torch.manual_seed(0)
    head = Head(make_encoder(), "conv5_3", NetVLAD(2, 512, with_bias=False))
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    maps = torch.rand(1, 512, 2, 3).half()
    assert torch.equal(head(maps), head(maps.float()))


class PassOn(Trunk):
    """A trunk whose maps are the pixels."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The pixels."""
        return pixels


def test_decoding_runs_ahead_by_few_batches_only(
    monkeypatch: pytest.MonkeyPatch, photos: list[Path]
) -> None:
    monkeypatch.setattr(batches, "PIXELS_PER_BATCH", area_of(1))
    seen: list[Path] = []

    def read(photo: Path) -> np.ndarray:
        seen.append(photo)
        return read_image(photo, scale_to=None)

    many = photos[:3] * 4
    maps = extract_features(
        PassOn(make_encoder(), "conv1_2", torch.float32), many, SIZES[:1] * 12, read, CPU
    )
    first = next(maps)
    assert len(seen) <= 4  # the one given and three that wait
    for photo, pixels in zip(many, [first, *maps], strict=True):
        assert np.array_equal(pixels[0].numpy(), read_image(photo, scale_to=None))


def test_float16_on_a_cpu_is_refused_and_slow_bfloat16_announced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r"trunk\.precision = float16 needs a GPU"):
        check_precision(torch.float16, CPU)
    check_precision(torch.float16, GPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    check_precision(torch.bfloat16, CPU)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    check_precision(torch.float32, CPU)
    assert capsys.readouterr().err == ""
    check_precision(torch.bfloat16, CPU)
    assert "no bfloat16 instructions" in capsys.readouterr().err


def test_batches_follow_memory_on_a_gpu_and_only_sizes_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "memory_at_hand", lambda device: 2 * 160 * 4 * 1000)
    assert (
        pixels_per_batch(GPU, values_per_pixel=160) == 1000
    )  # half of the memory, 160 values of 4 bytes a pixel
    assert pixels_per_batch(CPU, values_per_pixel=160) == 2 * 640 * 480
    monkeypatch.setattr(batches, "memory_at_hand", lambda device: 10**15)
    assert pixels_per_batch(GPU, values_per_pixel=160) == 64 * 640 * 480
    assert positions_per_batch(CPU) == 4 * 40 * 30
    assert positions_per_batch(GPU) == 128 * 40 * 30


def test_an_image_too_large_for_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    files, sizes = [Path("a.jpg"), Path("b.jpg"), Path("c.jpg")], [(10, 10), (400, 300), (9, 9)]
    monkeypatch.setattr(batches, "memory_at_hand", lambda device: 400 * 300 * 160 * 4)
    require_memory(files, sizes, 160 * 4, CPU)
    monkeypatch.setattr(batches, "memory_at_hand", lambda device: 400 * 300 * 160 * 4 - 1)
    with pytest.raises(ValueError, match=r"b\.jpg: 300x400 pixels .*max_side_px"):
        require_memory(files, sizes, 160 * 4, CPU)


def test_features_beyond_the_disk_are_refused_before_the_first(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: Model,
) -> None:
    usage = namedtuple("usage", "total used free")
    num_bytes = 2 * (4 * 3 * 512) * 2  # two images of 64x48, 4x3 positions, 2 bytes each
    images, sizes = [Path("a.jpg"), Path("b.jpg")], [(48, 64)] * 2
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 2 * num_bytes))
    trunk = load_trunk(model, torch.bfloat16)
    check_features(images, sizes, trunk, CPU)
    assert "2 images, local features of 0 MB" in capsys.readouterr().err
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 2 * num_bytes - 1))
    with pytest.raises(OSError, match=r"DVC's cache.*make room"):
        check_features(images, sizes, trunk, CPU)


def test_features_out_of_range_stop_by_name(
    model: Model, photos: list[Path], tmp_path: Path
) -> None:
    weights = torch.full_like(model.tensors["encoder.21.weight"], 3e38)
    model = model.with_tensors({"encoder.21.weight": weights})
    with pytest.raises(ValueError, match=r"000000\.png.*exceed the range of torch\.float32"):
        store(model, photos, tmp_path / "f", torch.float32)
