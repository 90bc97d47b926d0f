"""MegaLoc: DINOv2 (ViT-B/14) with SALAD of wider clusters and a linear layer, 8,448 values.

Berton and Masone, "MegaLoc: One Retrieval to Place Them All", CVPR Workshops 2025. Read at
github.com/gmberton/MegaLoc 1af071c (MIT); weights: `model.safetensors` of Hugging Face's
gberton/MegaLoc, or `megaloc.torch` of its release v1.0. The model itself resizes the normalised
image to the nearest multiples of 14; in the paper photos are 322 x 322 first. float32.
"""

from __future__ import annotations

from vpr.features.input_rules import InputRule
from vpr.features.published import DINOV2, Method, encoder_maker

SIZES = {
    "score.0.weight": (512, 768, 1, 1), "score.3.weight": (64, 512, 1, 1),
    "cluster_features.3.weight": (256, 512, 1, 1), "token_features.2.weight": (256, 512),
    "linear.weight": (8448, 16640),
}  # fmt: skip
SOURCE = DINOV2._replace(keeps_token=True)
FIGURES = {"msls-val": (91.0, "paper, as quoted in VPR-methods-evaluation, issue 19")}
METHODS = {
    "own_size": Method(SOURCE, "salad", 8448, SIZES, InputRule(multiple_px=14), {}),
    "322x322": Method(SOURCE, "salad", 8448, SIZES, InputRule((322, 322)), FIGURES),
}

make_encoder = encoder_maker("megaloc", METHODS, licence="MIT")
