"""The device that the network runs on, and how exactly it computes there."""

from __future__ import annotations

import torch


def find_device() -> torch.device:
    """The first GPU if torch sees one, else the CPU.

    On a GPU, float32 is float32: TF32 (10-bit mantissa products) is off for matrix products and
    convolutions, and cuDNN picks deterministic kernels without timing them, so that a run can be
    repeated. Whoever wants speed asks for bfloat16 by name (`trunk.precision`).
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
