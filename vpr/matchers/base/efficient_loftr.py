"""EfficientLoFTR: corresponding points of two photos, without a detector.

Wang et al., "Efficient LoFTR: Semi-Dense Local Feature Matching with Sparse-Like Speed", CVPR 2024.
The network is that of the library transformers; its matching is not used, since up to 5.24 it pairs
the matches of one photo with others of the second (docs/experiments/reranking.md). Matching here
gives what the authors' code gives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.matchers.base.photos import PhotoMatcher, Pixels
from vpr.runtime.device import find_device


class EfficientLoFTR(PhotoMatcher):
    """The network, and the matching of its maps.

    Args:
        network: `EfficientLoFTRForKeypointMatching` with its weights, in evaluation mode.
        processor: What the library resizes both photos with, to one size.
    """

    name = "EfficientLoFTR"

    def __init__(self, network: Any, processor: Any) -> None:  # noqa: ANN401
        """Move the network to a GPU if there is one."""
        self._device = find_device()
        self._network, self._processor = network.to(self._device), processor
        self.uses_gpu = self._device.type == "cuda"

    def match(
        self, query: Pixels, database: Pixels
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Find points of both photos that correspond, x and y in pixels, (num_matches, 2) each."""
        photos = self._processor(
            [query.copy(), database.copy()], return_tensors="pt", input_data_format="channels_last"
        )["pixel_values"].to(self._device)
        with torch.inference_mode():
            first, second = (points.cpu().numpy() for points in self._match(photos))
        seen = np.array(photos.shape[:-3:-1], np.float32)  # width and height
        return tuple(  # type: ignore[return-value] # of two
            (points + 0.5) * (np.array(photo.shape[1::-1], np.float32) / seen) - 0.5
            for points, photo in ((first, query), (second, database))
        )

    def _match(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Points of two photos (1, 2, 3, H, W), in their pixels."""
        config = self._network.config
        coarse, *finer = self._network.efficientloftr(photos).feature_maps
        rows, columns = match_cells(
            coarse[0], threshold=config.coarse_matching_threshold,
            temperature=config.coarse_matching_temperature,
            border=config.coarse_matching_border_removal,
            softmax=not config.coarse_matching_skip_softmax,
        )  # fmt: skip
        scaled = coarse / config.hidden_size**0.5
        windows = self._network.refinement_layer(scaled, finer)  # of each cell
        steps = refine_matches(
            windows[0][0, rows], windows[1][0, columns], num_exact=config.fine_matching_slice_dim,
            temperature=config.fine_matching_regress_temperature,
        )  # fmt: skip
        width, cell_px = coarse.shape[-1], photos.shape[-1] / coarse.shape[-1]
        corners = (torch.stack([cells % width, cells // width], dim=1) for cells in (rows, columns))
        first, second = (
            corner * cell_px + step for corner, step in zip(corners, steps, strict=True)
        )
        return first, second


def match_cells(
    maps: Tensor, *, threshold: float, temperature: float, border: int, softmax: bool
) -> tuple[Tensor, Tensor]:
    """Match cells of two maps that are each other's most confident.

    Args:
        maps: Shape (2, C, h, w).
        threshold: Least confidence of a match, exclusive.
        temperature: Divisor of the products of features.
        border: Number of cells at each edge of a map that match nothing.
        softmax: Whether confidence is the product of the softmax in both directions.

    Returns:
        Numbers of the cells of both maps, row by row, shape (num_matches,) each.
    """
    _, channels, height, width = maps.shape
    first, second = maps.flatten(2).transpose(1, 2)
    confidence = first @ second.T / (channels * temperature)  # (h w, h w)
    if softmax:
        confidence = confidence.softmax(0) * confidence.softmax(1)
    inside = torch.zeros(height, width, dtype=torch.bool, device=maps.device)
    inside[border : height - border, border : width - border] = True
    inside = inside.flatten()
    columns = confidence.argmax(dim=1)
    rows = torch.arange(len(columns), device=maps.device)
    mutual = confidence.argmax(dim=0)[columns] == rows
    kept = mutual & inside & inside[columns] & (confidence[rows, columns] > threshold)
    return rows[kept], columns[kept]


def refine_matches(
    first: Tensor, second: Tensor, *, num_exact: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Find the two pixels in matched cells that match best, the second to a fraction of a pixel.

    Args:
        first: Features of each pixel of the cells of one photo, shape (num_matches, side**2, C).
        second: The same of the other, with a margin of a pixel, (num_matches, (side + 2)**2, C).
        num_exact: Number of last channels, which are used for the fraction alone.
        temperature: Divisor of the products of these channels.

    Returns:
        x and y in pixels from the cell's position, which is the number of its column and row times
        `side`, shape (num_matches, 2) each. Pixel k of a window is k - (side - 1) / 2 away from it.
    """
    side, channels = math.isqrt(first.shape[1]), first.shape[2]
    shape = len(first), side**2, side + 2, side + 2
    rough, exact = (
        (first[..., part] @ second[..., part].transpose(1, 2)).view(shape)
        for part in (slice(-num_exact), slice(-num_exact, None))
    )
    likeness = rough.flatten(2) / channels
    confidence = (likeness.softmax(1) * likeness.softmax(2)).view_as(rough)[..., 1:-1, 1:-1]
    best = confidence.flatten(1).argmax(dim=1)
    place, row, column = torch.unravel_index(best, confidence.shape[1:])
    numbers, around = (torch.arange(n, device=best.device) for n in (len(best), 3))
    around = around - 1
    # As in the authors' code the margin is not counted: so the 3 x 3 products are centred one pixel
    # up and left of the best one.
    near = exact[
        numbers[:, None, None], place[:, None, None],
        row[:, None, None] + around[:, None], column[:, None, None] + around,
    ]  # fmt: skip
    weights = (near.flatten(1) / (num_exact**0.5 * temperature)).softmax(1).view_as(near)
    step = torch.stack([(weights * around).sum((1, 2)), (weights * around[:, None]).sum((1, 2))], 1)
    middle = (side - 1) / 2
    return (
        torch.stack([place % side, place // side], dim=1) - middle,
        torch.stack([column, row], dim=1) - middle + step,
    )
