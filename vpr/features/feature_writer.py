"""Writing local features image by image, so that a killed run can resume."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from vpr.features.local_features import STORED, position_rows
from vpr.runtime.artefacts import replaced_whole

SECONDS_BETWEEN_SAVES = 5.0  # what a kill costs at most


class FeatureWriter:
    """Writes the features of a folder map by map, so that they never lie in memory together.

    `shapes.npy` lists the images that are complete: it is rewritten every few seconds, after their
    features, so that a writer on the same folder resumes where a killed one stopped.

    Args:
        folder: The folder to create, or to resume in.
    """

    def __init__(self, folder: Path) -> None:
        """Create the folder and open its file, after the last image that is complete."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._shapes: list[tuple[int, int]] = []
        self._num_rows = 0
        self._dtype: np.dtype[Any] = np.dtype(np.float32)
        self._dim = 0
        goes_on = (folder / "shapes.npy").exists()
        self._file = (folder / "features.npy").open("r+b" if goes_on else "wb")
        if goes_on:
            self._go_on()
        self._saved_at = time.monotonic()

    def _go_on(self) -> None:
        self._shapes = [(h, w) for h, w in np.load(self._folder / "shapes.npy").tolist()]
        self._num_rows = sum(height * width for height, width in self._shapes)
        np.lib.format.read_magic(self._file)
        (_, self._dim), _, self._dtype = np.lib.format.read_array_header_1_0(self._file)
        self._file.seek(self._num_rows * self._dim * self._dtype.itemsize, os.SEEK_CUR)
        self._file.truncate()

    @property
    def num_images(self) -> int:
        """How many images are written."""
        return len(self._shapes)

    def append(self, maps: Tensor) -> None:
        """Add maps of images, (N, C, H, W), float32, bfloat16 or float16, on the CPU."""
        count, dim, height, width = maps.shape
        if not self._shapes:
            self._dtype, self._dim = STORED[maps.dtype], dim
            self._write_header()
        self._file.write(position_rows(maps).tobytes())
        self._shapes += [(height, width)] * count
        self._num_rows += count * height * width
        if time.monotonic() - self._saved_at >= SECONDS_BETWEEN_SAVES:
            self._save_shapes()

    def _write_header(self) -> None:
        # numpy pads the header so that the first axis may grow: rewritten, it has the same length.
        self._file.seek(0)
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._num_rows, self._dim),
        }
        np.lib.format.write_array_header_1_0(self._file, header)

    def _save_shapes(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        with replaced_whole(self._folder / "shapes.npy") as file:
            np.save(file, np.array(self._shapes, dtype=np.int64).reshape(-1, 2))
        self._saved_at = time.monotonic()

    def __enter__(self) -> FeatureWriter:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the header and the shapes."""
        with self._file:
            self._write_header()
            self._save_shapes()
