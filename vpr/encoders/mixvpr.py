"""MixVPR: ResNet-50 to its third stage with mixers over the positions, 128 to 4,096 values.

Ali-bey, Chaib-draa and Giguère, "MixVPR: Feature Mixing for Visual Place Recognition", WACV 2023.
Read at github.com/amaralibey/MixVPR 4043915 (no licence stated); weights:
`resnet50_MixVPR_4096_channels(1024)_rows(4).ckpt` and alike, by the links of its README. Bytes are
resized to 320 x 320, the only size, bilinear, as Pillow does. float32.
"""

from __future__ import annotations

from vpr.features.input_rules import InputRule
from vpr.features.published import Figures, Method, encoder_maker
from vpr.features.timm_networks import Source

RULE = InputRule((320, 320), in_bytes=True)
README = "README at 4043915"


def _method(channels: int, rows: int, published: Figures) -> Method:
    sizes = {"channel_proj.weight": (channels, 1024), "row_proj.weight": (rows, 400)}
    return Method(Source("resnet50", "layer3"), "mixvpr", channels * rows, sizes, RULE, published)


METHODS = {
    "resnet50_4096": _method(
        1024, 4, {"pitts30k-test": (91.6, README), "msls-val": (88.2, README)}
    ),
    "resnet50_512": _method(256, 2, {}),
    "resnet50_128": _method(64, 2, {}),
}  # fmt: skip

make_encoder = encoder_maker("mixvpr", METHODS, licence="none stated")
