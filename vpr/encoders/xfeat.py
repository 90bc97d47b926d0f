"""XFeat's dense 64-channel map of stride 8, as kornia builds it.

Potje et al., XFeat: Accelerated Features for Lightweight Image Matching, CVPR 2024.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from vpr.features.encoder import PREFIX, Encoder, choose_variant, draw_state, load_package_state
from vpr.features.external_networks import Adopted, FrozenNorm, fold_norm, freeze_norms, keep_layers
from vpr.runtime.tensors import XFEAT

CHANNELS = 64
STRIDE_PX, MULTIPLE_PX = 8, 32  # of the map; sides are scaled to multiples, at least one
PARTS = ("skip1", "block1", "block2", "block3", "block4", "block5", "block_fusion")
HEADS = ("heatmap_head.", "keypoint_head.", "fine_matcher.")  # for keypoints, not used here


class XFeatEncoder(Encoder):
    """XFeat without its heads; all of it is frozen."""

    origin = f"XFeat (Apache-2.0), weights of the package {XFEAT.package} (Apache-2.0)"
    weights = ("imagenet", "random")
    values_per_pixel = 40  # the first block's four channels at full size, and what surrounds them

    def frozen(self, split: str) -> nn.Module:
        """Make the whole encoder: RGB uint8 (N, H, W, 3) -> (N, 64, H', W')."""
        return _XFeat()

    def map_shape(self, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (64, H', W') of what it makes of one image."""
        return CHANNELS, _scaled(height_px) // STRIDE_PX, _scaled(width_px) // STRIDE_PX

    def initial_state(self, weights: str, seed: int) -> tuple[dict[str, Tensor], str]:
        """Find weights by name: `imagenet` (the package's) or `random` (drawn from the seed).

        XFeat was trained on MegaDepth and synthetic warps; `imagenet` is what the pipeline calls
        an encoder's own trained weights.
        """
        if weights == "random":
            return draw_state(self, seed), f"random, seed {seed}"
        return load_package_state(self, XFEAT), f"{self.origin}, trained on MegaDepth and COCO"

    def canonical(self, name: str) -> str | None:
        """Find the name in a model of a tensor of the published file; None if it is not used."""
        if name.startswith(HEADS) or name.endswith("num_batches_tracked"):
            return None
        return PREFIX + name if name.startswith(PARTS) else name

    def fold(self, frozen: nn.Module) -> None:
        """Fold normalisation into the convolutions before it."""
        for module in frozen.modules():
            if not isinstance(module, nn.Sequential):
                continue
            layers = list(module)
            for conv, norm in pairwise(layers):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenNorm):
                    fold_norm(conv, norm)
                    module[layers.index(norm)] = nn.Identity()


def make_encoder(variant: str | None) -> XFeatEncoder:
    """Make the encoder, of which there is one."""
    choose_variant("xfeat", variant, ("xfeat",))
    return XFeatEncoder()


class _XFeat(Adopted):
    """kornia's layers up to the fused map, under the published names."""

    def __init__(self) -> None:
        # Here, since a stage whose head is the pool alone needs none of it.
        from kornia.feature.xfeat import XFeatModel

        network = XFeatModel()
        keep_layers(network, PARTS)
        freeze_norms(network, nn.BatchNorm2d)
        super().__init__(network, "trunk.encoder = xfeat")

    def run(self, pixels: Tensor) -> Tensor:
        net = self.network
        grey = pixels.float().mean(dim=3)[:, None] / 255  # (N, 1, H, W)
        size = [_scaled(side) for side in grey.shape[2:]]
        if list(grey.shape[2:]) != size:
            grey = functional.interpolate(grey, size, mode="bilinear", align_corners=False)
        grey = functional.instance_norm(grey).to(next(self.parameters()).dtype)
        second = net.block2(net.block1(grey) + net.skip1(grey))
        third = net.block3(second)
        fourth = net.block4(third)
        fifth = net.block5(fourth)
        for maps in (fourth, fifth):
            third = third + functional.interpolate(
                maps, third.shape[2:], mode="bilinear", align_corners=False
            )
        fused: Tensor = net.block_fusion(third)
        return fused


def _scaled(size_px: int) -> int:
    return max(MULTIPLE_PX, size_px // MULTIPLE_PX * MULTIPLE_PX)
