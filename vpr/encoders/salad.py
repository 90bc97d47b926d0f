"""SALAD: DINOv2 (ViT-B/14) with an aggregation by optimal transport, 8,448 values.

Izquierdo and Civera, "Optimal Transport Aggregation for Visual Place Recognition", CVPR 2024. Read
at github.com/serizba/salad e593005 (GPL-3.0); weights: `dino_salad.ckpt` of its release v1.0.0.
CliqueMining is the same network, trained with batches of similar places (Izquierdo and Civera,
"Close, But Not There", ECCV 2024; github.com/serizba/cliquemining f7c4e8f, GPL-3.0; weights:
`cliquemining.ckpt`, by the link of its README). Both resize bytes to 322 x 322, bilinear, as
Pillow does. The authors evaluate with autocast to float16.
"""

from __future__ import annotations

from vpr.features.input_rules import InputRule
from vpr.features.published import DINOV2, Method, encoder_maker

SIZES = {
    "score.0.weight": (512, 768, 1, 1), "score.3.weight": (64, 512, 1, 1),
    "cluster_features.3.weight": (128, 512, 1, 1), "token_features.2.weight": (256, 512),
}  # fmt: skip
README = "README at e593005"
FIGURES = {
    "msls-val": (92.2, README),
    "nordland-1": (76.0, f"{README}; its truth: 2,760 of 27,592 queries, 1 frame"),
}
METHOD = Method(
    DINOV2._replace(keeps_token=True), "salad", 8448, SIZES,
    InputRule((322, 322), in_bytes=True), FIGURES,
)  # fmt: skip
METHODS = {"8448": METHOD, "cliquemining": METHOD._replace(published={})}

make_encoder = encoder_maker("salad", METHODS, licence="GPL-3.0")
