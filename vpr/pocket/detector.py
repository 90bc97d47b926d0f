"""XFeat's detector as one ONNX graph: pixels of one size -> keypoints and their descriptors.

Potje et al., XFeat: Accelerated Features for Lightweight Image Matching, CVPR 2024; by kornia.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from kornia.feature.xfeat import XFeat
from kornia.geometry.subpix import nms2d
from torch import Tensor, nn
from torch.nn import functional

from vpr.images.image_files import list_images, read_image
from vpr.locating.run import check_run
from vpr.matchers.base.matcher import load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.pocket.graph import INPUT, open_session, trace
from vpr.pocket.model_file import NUM_CHECKS, spread
from vpr.repository.locked_run import locked_params
from vpr.run_files import DATABASE_IMAGES, LOCK
from vpr.runtime.tensors import XFEAT

OUTPUTS = ["keypoints", "descriptors"]
MULTIPLE_PX = 32
TOLERANCE = 1e-3  # of a value of a descriptor; the pipeline stores 16 bits, so 2.5e-4 is rounding


class Detector(nn.Module):
    """kornia's `XFeat.detectAndCompute` for one photo, with any number of keypoints.

    Args:
        size: Height and width of photos in pixels, multiples of 32.
    """

    def __init__(self, size: tuple[int, int], max_keypoints: int) -> None:
        """Load the weights of the package."""
        super().__init__()
        self.whole, self.size, self.max_keypoints = XFeat().eval(), size, max_keypoints
        self.whole.net.load_state_dict(XFEAT.load("export-model --detector"))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Places x, y (N, 2), the best first, and descriptors (N, 64) of RGB (1, H, W, 3)."""
        whole, (height, width) = self.whole, self.size
        maps, logits, reliability = whole.net(pixels.permute(0, 3, 1, 2).float() / 255)
        heat = whole._get_kpts_heatmap(logits)
        peaks = nms2d(heat, (5, 5), mask_only=True) & (heat > whole.detection_threshold)
        places = peaks[0, 0].nonzero().flip(-1)[None]
        scores = whole._nearest(heat, places, height, width)
        scores = (scores * whole._bilinear(reliability, places, height, width))[0, :, 0]
        scores, order = scores.sort(descending=True)
        kept = places[0, order[scores > 0][: self.max_keypoints]]
        rows = whole.interpolator(functional.normalize(maps, dim=1), kept[None], height, width)
        return kept.float(), functional.normalize(rows[0], dim=1)


def write_detector(out: Path, run: Path, *, size: tuple[int, int]) -> str:
    """Write the graph, if it finds the pipeline's keypoints; the line to print is returned.

    Args:
        out: File to create or replace.
        run: Folder of a finished run, whose `keypoints.max_keypoints` and photos it takes.
        size: Height and width of photos in pixels.

    Raises:
        ValueError: If a side is not a multiple of 32, a file of the run is missing, or keypoints
            differ; nothing is written then.
    """
    if any(side % MULTIPLE_PX for side in size):
        raise ValueError(f"--size {size[0]}x{size[1]}: the detector takes multiples of 32 pixels")
    check_run(run, with_images=True)
    params = locked_params("keypoints@database", "keypoints", KeypointsParams, lock=run / LOCK)
    chosen = spread(list_images(run / DATABASE_IMAGES), NUM_CHECKS)
    photos = [read_image(photo, scale_to=size) for photo in chosen]
    graph = Detector(size, params.max_keypoints)
    with TemporaryDirectory(dir=out.parent) as aside:
        built = Path(aside) / out.name
        axes = {name: {0: "n"} for name in OUTPUTS}
        trace(graph, torch.tensor(photos[0][None]), built, outputs=OUTPUTS, axes=axes)
        session, matcher = open_session(built), load_matcher("xfeat")
        assert matcher is not None  # noqa: S101
        for pixels in photos:
            places, rows = session.run(None, {INPUT: pixels[None]})
            known = matcher.detect(pixels, max_keypoints=params.max_keypoints)
            found, expected = np.lexsort(places.T), np.lexsort(known.points.T)
            if not np.array_equal(places[found], known.points[expected]) or not np.allclose(
                rows[found], known.descriptors[expected], atol=TOLERANCE
            ):
                raise ValueError("the exported detector does not find the pipeline's keypoints")
        built.replace(out)
    return (
        f"{out.name}: {out.stat().st_size / 1e6:.1f} MB, at most {params.max_keypoints} keypoints, "
        f"the pipeline's on {len(photos)} photos"
    )
