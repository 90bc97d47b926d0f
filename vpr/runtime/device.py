"""The device that the network runs on, and the precision that it computes with."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable

import psutil
import torch
from threadpoolctl import threadpool_info

from vpr.runtime.environment import installed_version

FAST_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # CPU features of x86-64 and ARM


def find_device() -> torch.device:
    """Find the first GPU if torch sees one, else the CPU.

    On a GPU, float32 is float32: TF32 (10-bit mantissa products) is off for matrix products and
    convolutions, and cuDNN picks deterministic kernels without timing them, so that a run can be
    repeated. Whoever wants speed asks for bfloat16 by name (`trunk.precision`).
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def check_precision(precision: torch.dtype, device: torch.device) -> None:
    """Refuse a precision that the device computes very slowly, and warn of a slow one.

    Raises:
        ValueError: If it is float16 and the device a CPU (5.6 times float32's time, measured on an
            AMD EPYC with avx512_bf16; bfloat16 without its instructions takes 3 to 7 times).
    """
    if device.type != "cpu":
        return
    if precision == torch.float16:
        raise ValueError(
            "trunk.precision = float16 needs a GPU, and torch sees none: a CPU takes several times "
            "as long as for float32. Set it to float32 or bfloat16"
        )
    if precision == torch.bfloat16 and not has_fast_bfloat16():
        print(
            "warning: this CPU has no bfloat16 instructions: trunk.precision = bfloat16 is 3 to 7 "
            "times slower here than float32, in every stage that runs the network",
            file=sys.stderr,
        )


def has_fast_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 faster than float32."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(feature, False) for feature in FAST_BFLOAT16)


def memory_at_hand(device: torch.device) -> int:
    """Return the free memory of the device in bytes."""
    if device.type == "cpu":
        return int(psutil.virtual_memory().available)
    return int(torch.cuda.mem_get_info(device)[0])


def describe_machine(packages: Iterable[str], device: torch.device) -> dict[str, str]:
    """Describe what the bits of a result depend on, apart from the number of threads.

    `packages` are names in env.yaml.

    Returns:
        Versions of the packages, the CPU's instructions, the kernels that torch and OpenBLAS choose
        by them, and the GPU's name.
    """
    facts = {name: str(installed_version(name)) for name in packages}
    facts |= {
        f"CPU's {name}": str(value)
        for name, value in torch.cpu.get_capabilities().items()
        if name != "cpu_name" and not name.startswith("num_")  # instructions and caches
    }
    facts["torch build"] = torch.__version__
    facts["torch kernels"] = torch.backends.cpu.get_cpu_capability()
    kernels = {library.get("architecture", "") for library in threadpool_info()} - {""}
    facts["OpenBLAS kernels"] = " ".join(sorted(kernels))
    facts["machine"] = platform.machine()
    facts["GPU"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "none"
    return facts
