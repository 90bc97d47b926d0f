"""Images per second on a GPU, by batch and precision, and whether decoding is the bottleneck.

`python -m bench.speed.gpu` writes bench/results/gpu.json. It needs a GPU that torch sees.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.shared.measuring import machine
from bench.shared.photos import SIZE_PX, draw_photos, random_model
from vpr.features.trunk import Trunk, load_trunk
from vpr.images.image_files import read_image
from vpr.runtime.device import find_device

RESULTS = Path(__file__).resolve().parents[1] / "results"
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PRECISIONS = {
    "float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}  # fmt: skip
SECONDS, STEPS = 0.5, 3  # minimum of computing for each figure


def measure(device: torch.device) -> dict[str, Any]:
    """The trunk's images per second from pixels on the GPU, and those that the CPU decodes."""
    decoded = _decoding_rate()
    rates = {name: _rates(name, device) for name in PRECISIONS}
    return {
        "cores": os.cpu_count(),
        "images_per_second": rates,
        "decoded_per_second": decoded,
        "bounded_by": {
            name: "decoding" if decoded < max(found.values()) else "computing"
            for name, found in rates.items()
        },
    }


def _rates(name: str, device: torch.device) -> dict[str, float]:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    trunk = load_trunk(random_model(), PRECISIONS[name]).to(device)
    found = {}
    for batch in BATCHES:
        try:
            found[str(batch)] = _rate(trunk, batch, device)
        except torch.cuda.OutOfMemoryError:
            print(f"{name}: a batch of {batch} does not fit", file=sys.stderr)
            break
    return found


def _rate(trunk: Trunk, batch: int, device: torch.device) -> float:
    pixels = torch.zeros(batch, *SIZE_PX[::-1], 3, dtype=torch.uint8, device=device)
    with torch.inference_mode():
        for _ in range(2):
            trunk(pixels)
        torch.cuda.synchronize(device)
        taken: list[float] = []
        while sum(taken) < SECONDS or len(taken) < STEPS:
            start = time.perf_counter()
            trunk(pixels)
            torch.cuda.synchronize(device)
            taken.append(time.perf_counter() - start)
    return batch / statistics.median(taken)


def _decoding_rate() -> float:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        photos = draw_photos(Path(folder) / "set", num_photos=64) * 8
        start = time.perf_counter()
        list(pool.map(partial(read_image, scale_to=None), photos))
        return len(photos) / (time.perf_counter() - start)


def main() -> None:
    """Measure, print and save the figures."""
    device = find_device()
    if device.type != "cuda":
        sys.exit("bench.speed.gpu needs a GPU, and torch sees none; `make bench` measures the CPU")
    found = {"machine": machine(), "gpu": measure(device)}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "gpu.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
