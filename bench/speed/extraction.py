"""Images per second from photo to descriptor, against the plain loop and the matrix peak."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.shared.measuring import interleaved, matrix_peak
from bench.shared.photos import SIZE_PX, draw_photos, random_model
from bench.shared.plain_loop import PlainNetwork, describe_plain
from vpr.features.extraction import extract_features
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.images.image_files import read_image
from vpr.network.head import load_head

CPU = torch.device("cpu")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def measure(*, num_photos: int, repeats: int, peak_sizes: tuple[int, ...]) -> dict[str, Any]:
    """Compare our extraction with the plain loop, on the same photos and weights.

    Returns:
        Images per second of each way, ratios, and our share of the peak of matrix products.
    """
    model = random_model()
    with tempfile.TemporaryDirectory() as folder:
        photos = draw_photos(Path(folder) / "set", num_photos=num_photos)
        plain = PlainNetwork(model.tensors)
        runs = {"plain": partial(describe_plain, plain, photos)} | {
            name: partial(_describe, model, photos, precision)
            for name, precision in PRECISIONS.items()
        }
        describe_plain(plain, photos[:1])
        for precision in PRECISIONS.values():
            _describe(model, photos[:2], precision)
        before = _peaks(peak_sizes)
        seconds = interleaved(runs, repeats=repeats)
    peaks = {name: max(peak, before[name]) for name, peak in _peaks(peak_sizes).items()}
    rates = {name: num_photos / taken for name, taken in seconds.items()}
    flops = _flops(plain)
    return {
        "photos": num_photos,
        "repeats": repeats,
        "images_per_second": rates,
        "gflop_per_image": flops / 1e9,
        "matrix_peak_gflops": {name: peak / 1e9 for name, peak in peaks.items()},
        "share_of_peak": {name: rates[name] * flops / peaks[name] for name in PRECISIONS},
        "float32_over_plain": rates["float32"] / rates["plain"],
        "bfloat16_over_plain": rates["bfloat16"] / rates["plain"],
        "bfloat16_over_float32": rates["bfloat16"] / rates["float32"],
    }


def _peaks(sizes: tuple[int, ...]) -> dict[str, float]:
    return {name: matrix_peak(precision, sizes) for name, precision in PRECISIONS.items()}


def _describe(model: Model, photos: list[Path], precision: torch.dtype) -> None:
    trunk, head = load_trunk(model, precision), load_head(model)
    sizes = [SIZE_PX[::-1]] * len(photos)
    read = partial(read_image, scale_to=None)
    for maps in extract_features(trunk, photos, sizes, read, CPU):
        with torch.inference_mode():
            head(maps)


def _flops(network: PlainNetwork) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.encoder(torch.zeros(1, 3, *SIZE_PX[::-1]))
    return float(counter.get_total_flops())
