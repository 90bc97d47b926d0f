"""CosPlace: a ResNet or VGG16 with GeM and a linear layer, 32 to 2,048 values.

Berton, Masone and Caputo, "Rethinking Visual Geo-localization for Large-Scale Applications", CVPR
2022. Read at github.com/gmberton/CosPlace 33ce8d0 (MIT); weights: `ResNet50_2048_cosplace.pth` and
alike of its release v1.0. Photos are taken as they are. float32.
"""

from __future__ import annotations

from vpr.features.published import encoder_maker, gem_methods

NETWORKS = {  # VGG16's last layer is conv5_3, without its ReLU
    "resnet50": ("layer4", 2048, (2048, 1024, 512, 256, 128, 64, 32)),
    "resnet18": ("layer4", 512, (512, 256, 128, 64, 32)),
    "resnet101": ("layer4", 2048, (2048, 1024, 512, 256, 128, 64, 32)),
    "resnet152": ("layer4", 2048, (2048, 1024, 512, 256, 128, 64, 32)),
    "vgg16": ("features.28", 512, (512, 256, 128, 64)),
}
AUTHOR = "author, CosPlace issue 13"
FIGURES = {
    "resnet101_2048": {
        "pitts30k-test": (90.4, AUTHOR), "msls-val": (86.6, AUTHOR), "tokyo247": (88.6, AUTHOR),
    }
}  # fmt: skip
METHODS = gem_methods(NETWORKS, FIGURES)

make_encoder = encoder_maker("cosplace", METHODS, licence="MIT")
