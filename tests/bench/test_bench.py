"""What the measurements compare with computes the same as the pipeline, and they notice a loss."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.shared.photos import random_model
from bench.shared.plain_loop import PlainNetwork, describe_plain, read_plain, train_plain
from bench.speed import gpu, scale
from bench.speed.extraction_scale import WAYS, tabulate
from bench.speed.figures import as_table
from bench.speed.search import METHODS
from bench.speed.side_by_side import LEAST, find_regressions
from vpr.features.trunk import load_trunk
from vpr.images.image_files import read_image
from vpr.network.head import load_head


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return sorted(tmp_path.iterdir())


def test_the_plain_loop_describes_and_trains_as_the_pipeline(photos: list[Path]) -> None:
    model = random_model()
    plain, head = PlainNetwork(model.tensors), load_head(model)
    trunk = load_trunk(model, torch.float32)
    pixels = np.stack([read_image(photo, scale_to=None) for photo in photos])
    with torch.inference_mode():
        maps = trunk(torch.from_numpy(pixels))
    rows = head(maps.clone())
    np.testing.assert_allclose(describe_plain(plain, photos), rows.detach(), atol=1e-5)
    torch.nn.TripletMarginLoss(margin=0.1**0.5)(*rows[:, None]).backward()
    train_plain(plain, [tuple(photos)])
    for ours, theirs in zip(head.parameters(), list(plain.parameters())[-8:], strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-3)
    assert tuple(read_plain(photos[0]).shape) == (1, 3, 48, 64)


def test_the_searches_agree() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ours, *others = (search(rows[:50], rows[50:]) for search in METHODS.values())
    assert ours.shape == (10, 20)
    for other in others:
        np.testing.assert_array_equal(ours, other)


def healthy() -> dict:
    found: dict = {"machine": {"fast_bfloat16": True}}
    for keys, least in LEAST.items():
        place = found
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = 1.01 * least
    return found


def test_a_ratio_below_its_bound_is_a_regression() -> None:
    assert find_regressions(healthy()) == []
    slow = healthy()
    slow["training"]["plain_over_bfloat16"] = 1.0
    assert find_regressions(slow) == ["training plain_over_bfloat16 = 1.00, expected 5.0 or more"]
    slow["machine"]["fast_bfloat16"] = False
    assert find_regressions(slow) == []


def test_the_table_shows_rates_and_ratios() -> None:
    training = {"seconds_per_epoch_of_314": {"plain": 1500.0, "bfloat16": 125.0}}
    table = as_table({"machine": {"threads": 2}, "training": training})
    assert "| bfloat16 | 125.00 | 12.00 |" in table
    assert "threads 2" in table


def test_a_stage_that_did_not_run_again_leaves_its_cells_empty() -> None:
    memory = {
        "factors": [1, 2, 4],
        "peak_memory_mb": {"trunk": [500.0, 550.0, 600.0], "pretrained": [610.0, None, None]},
        "growth": {"trunk": 1.2, "pretrained": None},
    }
    table = as_table({"machine": {"threads": 2}, "memory": memory})
    assert "| trunk | 500.00 | 550.00 | 600.00 | 1.20 |" in table
    assert "| pretrained | 610.00 |  |  |  |" in table


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_gpu_measurement_says_that_there_is_none() -> None:
    with pytest.raises(SystemExit, match="torch sees none"):
        gpu.main()


def test_the_bench_of_indices_measures_every_way_and_compares_it_with_exact_search(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["scale", "--quick"])
    scale.main()
    words = capsys.readouterr().out
    rows = [line.split(" | ") for line in words.splitlines() if line.startswith("| 2,000")]
    assert [row[1] for row in rows] == [
        "`exact`", "`IVF128,Flat`", "`HNSW32`", "`IVF128,PQ64x4fs`"
    ]  # fmt: skip
    assert [float(row[4]) > 0 for row in rows] == [False, True, True, True]  # bytes of an image
    assert all(float(row[7]) > 0.9 for row in rows)
    assert "exact, 2,000 images: " in words


@pytest.mark.soak
def test_the_bench_of_extraction_times_processes_of_their_own(
    photos: list[Path], capsys: pytest.CaptureFixture
) -> None:
    for way in WAYS:
        line = tabulate(way, [1, 3], photos[0].parent)
        assert re.fullmatch(
            rf"{re.escape(way)}: 3 times the images take [\d.]+ times the seconds "
            r"\([\d.]+ of CPU\) and [\d.]+ times the memory",
            line,
        )
    rows = [row.split(" | ") for row in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["| 1", "| 3", "| 1", "| 3"]
    assert all(float(cell.removesuffix(" |")) > 0 for row in rows for cell in row[2:])
