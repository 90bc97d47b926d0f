"""BoQ: ResNet-50 to its third stage, or DINOv2 (ViT-B/14), with a bag of learned queries.

Ali-bey, Chaib-draa and Giguère, "BoQ: A Place is Worth a Bag of Learnable Queries", CVPR 2024. Read
at github.com/amaralibey/Bag-of-Queries 1a4965e (MIT); weights: `resnet50_16384.pth` and
`dinov2_12288.pth` of its release v1.0. The float image is resized to 384 x 384 (ResNet-50) or
322 x 322 (DINOv2), bicubic, not clamped. DINOv2's last norm and class token are not used. float32.
"""

from __future__ import annotations

from vpr.features.input_rules import InputRule
from vpr.features.published import DINOV2, Figures, Method, Shapes, encoder_maker
from vpr.features.timm_networks import Source

README = "README at 1a4965e"
PROTOCOLS = ("pitts30k-test", "msls-val", "nordland-1", "nordland-10")


def _sizes(channels: int, dim: int) -> Shapes:
    queries, fc = (1, 64, dim), (32, 128)
    return {
        "proj_c.weight": (dim, channels, 3, 3), "boqs.0.queries": queries, "fc.weight": fc,
    }  # fmt: skip


def _figures(*percent: float) -> Figures:
    return {name: (value, README) for name, value in zip(PROTOCOLS, percent, strict=True)}


METHODS = {
    "resnet50_16384": Method(
        Source("resnet50", "layer3"), "boq", 16384, _sizes(1024, 512),
        InputRule((384, 384), mode="bicubic"), _figures(92.4, 91.2, 70.7, 83.1),
    ),
    "dinov2_12288": Method(
        DINOV2._replace(layer="blocks.11"), "boq", 12288, _sizes(768, 384),
        InputRule((322, 322), mode="bicubic"), _figures(93.7, 93.8, 81.3, 90.6),
    ),
}  # fmt: skip

make_encoder = encoder_maker("boq", METHODS, licence="MIT")
