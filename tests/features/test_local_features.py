"""Stored features keep every bit, whatever the images' sizes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from vpr.features.local_features import batches_of_one_shape, load_features, save_features


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_maps_of_mixed_sizes_come_back_as_they_were(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 3, 2, 4).to(dtype), torch.randn(1, 3, 5, 1).to(dtype)
    save_features(tmp_path / "f", [first, second])
    stored = load_features(tmp_path / "f")
    assert [stored.rows.of(image).shape for image in range(3)] == [(8, 3), (8, 3), (5, 3)]
    assert torch.equal(stored.maps([0, 1]), first)
    assert torch.equal(stored.maps([2]), second)
    # Row-major, position after position: row 5 of image 0 is its position (1, 1).
    row = torch.from_numpy(np.array(stored.rows.of(0)[5]))
    row = row.view(torch.bfloat16) if dtype == torch.bfloat16 else row
    assert torch.equal(row, first[0, :, 1, 1])


def test_parts_that_disagree_are_refused(tmp_path: Path) -> None:
    save_features(tmp_path / "f", [torch.zeros(2, 3, 2, 2)])
    np.save(tmp_path / "f/shapes/000000.npy", np.array([[2, 2]]))
    with pytest.raises(ValueError, match="shapes list 4 positions, features have 8"):
        load_features(tmp_path / "f")
    save_features(tmp_path / "g", [torch.zeros(2, 3, 2, 2)])
    for name in ("features", "shapes"):
        shutil.copy(tmp_path / f"g/{name}/000000.npy", tmp_path / f"g/{name}/000003.npy")
    with pytest.raises(ValueError, match=r"shapes/000002\.npy: missing: .* is 000003\.npy"):
        load_features(tmp_path / "g")


def test_batches_are_neighbours_of_one_shape_within_the_area() -> None:
    shapes = [(2, 2), (2, 2), (2, 2), (3, 1), (9, 9), (2, 2)]
    assert list(batches_of_one_shape(shapes, max_area=8)) == [[0, 1], [2], [3], [4], [5]]
