"""EigenPlaces: a ResNet or VGG16 with GeM and a linear layer, 128 to 2,048 values.

Berton, Trivigno, Caputo and Masone, "EigenPlaces: Training Viewpoint Robust Models for Visual Place
Recognition", ICCV 2023. Read at github.com/gmberton/EigenPlaces a2969f7 (MIT); weights:
`ResNet50_2048_eigenplaces.pth` and alike of its release v1.0. Photos are taken as they are.
float32.
"""

from __future__ import annotations

from vpr.features.published import encoder_maker, gem_methods

NETWORKS = {  # VGG16's last layer is conv5_3, without its ReLU
    "resnet50": ("layer4", 2048, (2048, 512, 256, 128)),
    "resnet18": ("layer4", 512, (512, 256)),
    "resnet101": ("layer4", 2048, (2048, 512, 256, 128)),
    "vgg16": ("features.28", 512, (512,)),
}
FIGURES = {
    "resnet50_2048": {"pitts30k-test": (92.5, "author, VPR-methods-evaluation, issue 2")}
}  # fmt: skip
METHODS = gem_methods(NETWORKS, FIGURES)

make_encoder = encoder_maker("eigenplaces", METHODS, licence="MIT")
