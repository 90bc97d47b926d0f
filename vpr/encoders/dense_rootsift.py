"""An encoder that needs no weights: dense RootSIFT, image -> local features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vpr.features.encoder import PREFIX, Encoder, choose_variant

NUM_ORIENTATIONS = 8
NUM_BINS = 4  # each way
DIM = NUM_BINS * NUM_BINS * NUM_ORIENTATIONS
BINS_PX = (4, 6, 8, 10)  # width of a spatial bin at each scale, as in Torii et al.
STEP_PX = 8  # between neighbouring positions
PIXELS_PER_SIGMA = 3  # a bin is three times the deviation that the image is smoothed by (Lowe)
CAMERA_SIGMA = 0.5  # deviation, in pixels, that Lowe takes a photo to be smoothed by already
CLIP = 0.2  # largest entry of a unit descriptor before its second normalisation (Lowe)
FLOOR = 1e-3  # grey levels; makes a blank patch the even histogram in place of a division by 0
LUMA = (0.299, 0.587, 0.114)  # of RGB (ITU-R BT.601)


class DenseRootSiftEncoder(Encoder):
    """Dense RootSIFT, which has no weights: all of it is frozen."""

    origin = "dense RootSIFT: no weights; the patent on SIFT expired in March 2020"
    weights = ("random",)
    num_scales = len(BINS_PX)
    values_per_pixel = 64  # eight orientation maps, padded, and what they are made by

    def frozen(self, split: str) -> nn.Module:
        """Make the whole encoder: RGB uint8 (N, H, W, 3) -> (N, 128, scales * H', W')."""
        return DenseRootSift()

    def map_shape(self, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (128, num_scales * H', W') of what it makes of one image."""
        return DIM, self.num_scales * (height_px // STEP_PX), width_px // STEP_PX

    def initial_state(self, weights: str, seed: int) -> tuple[dict[str, Tensor], str]:
        """Give the scales and the step, in which nothing is random."""
        state = DenseRootSift().state_dict()
        words = f"dense RootSIFT at {self.num_scales} scales: no weights, nothing random"
        return {PREFIX + name: tensor for name, tensor in state.items()}, words


def make_encoder(variant: str | None = None) -> DenseRootSiftEncoder:
    """Make the encoder, of which there is one."""
    choose_variant("dense_rootsift", variant, ("dense_rootsift",))
    return DenseRootSiftEncoder()


class DenseRootSift(nn.Module):
    """SIFT descriptors on a grid at several scales, upright, as square roots.

    Dense SIFT is what DenseVLAD describes places by (Torii et al., CVPR 2015), the square root of
    L1-normalised descriptors what makes their Euclidean distance Hellinger's (Arandjelović and
    Zisserman, CVPR 2012). A descriptor is Lowe's (IJCV 2004, section 6) for orientation 0: since
    neither its Gaussian window nor its bilinear bins turn, both are a product of a horizontal and
    a vertical kernel, and all descriptors of a scale are two strided convolutions of the
    gradient's eight orientation maps. Values are ordered row, column, orientation, as OpenCV's.

    The grid is the same at each scale; where a window leaves the image, there is no gradient. The
    scales' maps are stacked vertically, since NetVLAD does not care for position.

    Args:
        bins_px: Width of a spatial bin at each scale, in pixels.
        step_px: Pixels between neighbouring positions.
    """

    bins_px: Tensor
    step_px: Tensor

    def __init__(self, bins_px: Sequence[float] = BINS_PX, step_px: int = STEP_PX) -> None:
        """Keep the scales and the step as buffers, which are all the state there is."""
        super().__init__()
        self.register_buffer("bins_px", torch.tensor(bins_px, dtype=torch.float32))
        self.register_buffer("step_px", torch.tensor(step_px))

    def forward(self, pixels: Tensor) -> Tensor:
        """Local features of images.

        Args:
            pixels: RGB of shape (N, H, W, 3), uint8.

        Returns:
            Shape (N, 128, num_scales * (H // step_px), W // step_px), float32, of unit length.
        """
        grey = (pixels.float() @ torch.tensor(LUMA, device=pixels.device))[:, None]  # (N, 1, H, W)
        step_px = int(self.step_px)
        scales = []
        for bin_px in self.bins_px.tolist():
            maps = orientation_maps(smooth(grey, sigma_px=bin_px / PIXELS_PER_SIGMA))
            scales.append(root_sift(histograms(maps, bin_px=bin_px, step_px=step_px)))
        return torch.cat(scales, dim=2)


def smooth(grey: Tensor, *, sigma_px: float) -> Tensor:
    """Images (N, 1, H, W) smoothed until their deviation from a point is sigma_px."""
    missing = math.sqrt(max(sigma_px**2 - CAMERA_SIGMA**2, 0.01))
    radius = math.ceil(4 * missing)
    offsets = torch.arange(-radius, radius + 1, device=grey.device)
    kernel = torch.exp(-(offsets**2) / (2 * missing**2))
    kernel /= kernel.sum()
    padded = functional.pad(grey, (radius,) * 4, mode="replicate")
    across = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(across, kernel.view(1, 1, -1, 1))


def orientation_maps(grey: Tensor) -> Tensor:
    """Compute length of the gradient, shared between the two nearest of eight orientations.

    Args:
        grey: Shape (N, 1, H, W).

    Returns:
        Shape (N, 8, H, W); orientation o is at 45 o degrees, counted against the clock. Central
        differences; zero at the image's edge, where there is none.
    """
    right = grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]
    up = grey[:, :, :-2, 1:-1] - grey[:, :, 2:, 1:-1]
    turn = torch.atan2(up, right) * (NUM_ORIENTATIONS / (2 * math.pi))  # in (-4, 4]
    lower = turn.floor()
    above = turn - lower
    lower = lower.long()
    length = torch.hypot(right, up)
    count, _, height, width = right.shape
    maps = grey.new_zeros(count, NUM_ORIENTATIONS, height, width)
    maps.scatter_(1, lower % NUM_ORIENTATIONS, length * (1 - above))
    maps.scatter_add_(1, (lower + 1) % NUM_ORIENTATIONS, length * above)
    return functional.pad(maps, (1, 1, 1, 1))


def histograms(maps: Tensor, *, bin_px: float, step_px: int) -> Tensor:
    """Gradients around each position of the grid, collected in 4 x 4 spatial bins.

    Args:
        maps: Orientation maps (N, 8, H, W).
        bin_px: Width of a bin.
        step_px: Pixels between positions; the first is step_px // 2 from the edge.

    Returns:
        Shape (N, 128, H // step_px, W // step_px).
    """
    count, _, height, width = maps.shape
    kernels = spatial_kernels(bin_px).to(maps)  # (4, L)
    before = kernels.shape[1] // 2 - step_px // 2
    rows, columns = height // step_px, width // step_px
    ends = [(n - 1) * step_px + kernels.shape[1] - before - size
            for n, size in ((columns, width), (rows, height))]  # fmt: skip
    padded = functional.pad(maps, (before, ends[0], before, ends[1])).flatten(0, 1)[:, None]
    across = functional.conv2d(padded, kernels[:, None, None], stride=(1, step_px))
    both = functional.conv2d(
        across.flatten(0, 1)[:, None], kernels[:, None, :, None], stride=(step_px, 1)
    )  # (N * 8 * 4 columns, 4 rows, H', W')
    split = both.view(count, NUM_ORIENTATIONS, NUM_BINS, NUM_BINS, rows, columns)
    return split.permute(0, 3, 2, 1, 4, 5).reshape(count, DIM, rows, columns)


def spatial_kernels(bin_px: float) -> Tensor:
    """Compute weight of a pixel for each of the four bins along one axis, by its offset.

    Bilinear: a bin's weight falls from 1 at its centre to 0 at the next one's; times a Gaussian
    around the position whose deviation is half the descriptor's width, two bins.

    Returns:
        Shape (4, L), L odd, the middle being offset 0.
    """
    radius = math.ceil(2.5 * bin_px)
    offsets = torch.arange(-radius, radius + 1) / bin_px  # (L,), in bins
    centres = torch.arange(NUM_BINS)[:, None] - (NUM_BINS - 1) / 2
    bilinear = (1 - (offsets - centres).abs()).clamp_min(0)  # (4, L)
    return bilinear * torch.exp(-(offsets**2) / (2 * (NUM_BINS / 2) ** 2))


def root_sift(counts: Tensor) -> Tensor:
    """Histograms (N, 128, H, W) clipped as Lowe does, L1-normalised, and their square roots."""
    unit = functional.normalize(counts + FLOOR, dim=1).clamp_max(CLIP)
    return (unit / unit.sum(dim=1, keepdim=True)).sqrt()
