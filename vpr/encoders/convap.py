"""Conv-AP: ResNet-50 with a 1x1 convolution and means over 2 x 2 cells, 512 to 8,192 values.

Ali-bey, Chaib-draa and Giguère, "GSV-Cities: Toward Appropriate Supervised Visual Place
Recognition", Neurocomputing 2022. Read at github.com/amaralibey/gsv-cities 77ffffc (no licence
stated); weights: `resnet50_ConvAP_2048_2x2.ckpt` (8,192 values) and alike, by the links of its
README. Bytes are resized to 320 x 320 by Pillow, since the authors' transform sees photos, not
tensors: bilinear, for 4,096 values bicubic. float32.
"""

from __future__ import annotations

from vpr.features.input_rules import InputRule
from vpr.features.published import Method, encoder_maker
from vpr.features.timm_networks import Source

README = "README at 77ffffc"
FIGURES = {
    8192: {"pitts30k-test": (90.5, README), "msls-val": (83.1, README)},
}  # on Nordland 42.7, without saying within how many frames
METHODS = {
    f"resnet50_{dim}": Method(
        Source("resnet50", "layer4"), "convap", dim,
        {"channel_pool.weight": (dim // 4, 2048, 1, 1)},
        InputRule((320, 320), mode="bicubic" if dim == 4096 else "bilinear", in_bytes=True),
        FIGURES.get(dim, {}),
    )
    for dim in (8192, 4096, 2048, 512)
}  # fmt: skip

make_encoder = encoder_maker("convap", METHODS, licence="none stated")
