"""The file of descriptors: one unit vector per image."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.npz import load_array

BLOCK_BYTES = 64 * 2**20  # of rows read together
SECONDS_BETWEEN_SAVES = 5.0  # what a kill costs at most
TOLERANCE = 1e-3  # largest deviation of a row's length from 1


def save_descriptors(
    path: Path,
    blocks: Iterable[NDArray[np.float32]],
    *,
    num_images: int,
    count: Path | None = None,
) -> None:
    """Write descriptors block by block.

    Args:
        path: The file to write.
        blocks: Unit rows, shape (N, dim) each, image after image, without the first `count_saved`
            rows.
        num_images: Total number of rows.
        count: File with the number of rows that are on the disk, rewritten every few seconds, so
            that a killed run can resume; None: it cannot.

    Raises:
        ValueError: If the blocks have another number of rows.
    """
    written = count_saved(count) if count else 0
    file = np.lib.format.open_memmap(path, mode="r+") if written else None
    saved_at = time.monotonic()
    for block in blocks:
        if file is None:
            shape = (num_images, block.shape[1])
            file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        file[written : written + len(block)] = block
        written += len(block)
        if count and time.monotonic() - saved_at >= SECONDS_BETWEEN_SAVES:
            file.flush()
            with replaced_whole(count) as stream:
                stream.write(str(written).encode())
            saved_at = time.monotonic()
    if file is None or written != num_images:
        raise ValueError(f"{path}: expected {num_images} descriptors, got {written}")
    file.flush()


def count_saved(count: Path) -> int:
    """Count the rows that an interrupted `save_descriptors` left."""
    return int(count.read_text()) if count.exists() else 0


def load_descriptors(path: Path) -> NDArray[np.float32]:
    """Map a file of descriptors into memory, and check it.

    Returns:
        Shape (num_images, dim).

    Raises:
        ValueError: If the file holds anything but finite unit rows; the message names the row.
    """
    descriptors: NDArray[np.float32] = load_array(path, what="a file of descriptors", mapped=True)
    if descriptors.ndim != 2 or descriptors.dtype != np.float32 or descriptors.size == 0:
        raise ValueError(
            f"{path}: expected (num_images, dim) of float32, found {descriptors.shape} of "
            f"{descriptors.dtype}"
        )
    for rows in row_blocks(descriptors):
        with np.errstate(over="ignore"):  # then the length is infinite, and refused below
            lengths = np.linalg.norm(descriptors[rows], axis=1)
        wrong = np.flatnonzero(~(np.abs(lengths - 1) <= TOLERANCE))
        if len(wrong):
            raise ValueError(
                f"{path}: row {rows.start + wrong[0]}: expected a unit vector, found length "
                f"{lengths[wrong[0]]}"
            )
    return descriptors


def row_blocks(descriptors: NDArray[np.float32]) -> list[slice]:
    """Split rows into slices that take about 64 MiB each."""
    step = max(1, BLOCK_BYTES // (4 * descriptors.shape[1]))
    return [slice(start, start + step) for start in range(0, len(descriptors), step)]


def exact_distances(rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute Euclidean distances of unit rows from a query, from their differences in float64."""
    differences = rows.astype(np.float64) - query
    lengths = np.sqrt(np.square(differences).sum(axis=1)).clip(0, 2)
    rounded: NDArray[np.float32] = lengths.astype(np.float32)
    return rounded
