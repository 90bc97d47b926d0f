"""Seconds per image of the exported network, by encoder and runtime.

`python -m bench.speed.runtimes` prints the table of docs/experiments/pocket.md: one image of random
pixels of 320x256, random weights (on which the time does not depend), NetVLAD of 64 clusters, the
runtimes taking turns. OpenVINO is tried where it is installed; it reads the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bench.shared import markdown
from bench.shared.measuring import interleaved, machine
from vpr.features.encoder import POOL, count_channels, load_encoder
from vpr.features.model import Model
from vpr.features.params import TrunkParams
from vpr.network.describing import load_network
from vpr.pocket.graph import INPUT, open_session, write_graph
from vpr.pocket.source import Source

HEIGHT_PX, WIDTH_PX, CLUSTERS = 256, 320, 64
ENCODERS = (("efficientnet_lite", "lite0"), ("xfeat", None), ("vgg16", None), ("timm", "resnet18"))
Run = Callable[[], object]


def make_source(encoder: str, variant: str | None) -> Source:
    """Make a network of random weights."""
    maker = load_encoder(encoder, variant)
    state, _ = maker.initial_state("random", 0)
    channels = count_channels(maker)
    pool = {
        "pool.conv.weight": torch.randn(CLUSTERS, channels, 1, 1),
        "pool.centroids": torch.randn(CLUSTERS, channels),
    }
    trunk = TrunkParams(encoder, variant, POOL, "float32", None, None, "all")
    return Source(Path(), Model(encoder, variant, POOL, state | pool), trunk, None, "0" * 16)


def torch_run(source: Source, precision: torch.dtype, pixels: NDArray[np.uint8]) -> Run:
    """The pipeline's own network."""
    network = load_network(
        source.model, precision=precision, scale_to=None, device=torch.device("cpu")
    )
    taken = torch.from_numpy(pixels)

    def run() -> None:
        with torch.inference_mode():
            network.head(network.trunk(taken))

    return run


def openvino_run(file: Path, hint: str, pixels: NDArray[np.uint8]) -> Run:
    """The same file in OpenVINO, which computes in `f32` or `bf16`."""
    import openvino

    compiled = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    return lambda: compiled([pixels])


def main() -> None:
    """Measure, and print the table."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    table, titles = [], ["encoder"]
    with TemporaryDirectory() as scratch:
        photo, file = Path(scratch) / "photo.png", Path(scratch) / "graph.onnx"
        Image.fromarray(pixels[0]).save(photo)
        for encoder, variant in ENCODERS:
            source = make_source(encoder, variant)
            write_graph(file, source, [photo], size=(HEIGHT_PX, WIDTH_PX))
            runs: dict[str, Run] = {
                "PyTorch, float32": torch_run(source, torch.float32, pixels),
                "PyTorch, bfloat16": torch_run(source, torch.bfloat16, pixels),
                "ONNX Runtime": partial(open_session(file).run, None, {INPUT: pixels}),
            }
            if find_spec("openvino"):
                for hint in ("f32", "bf16"):
                    runs[f"OpenVINO, {hint}"] = openvino_run(file, hint, pixels)
            for run in runs.values():
                run()
            seconds = interleaved(runs, repeats=10)
            titles = ["seconds for each image", *seconds]
            table.append([encoder, *(f"{value:.4f}" for value in seconds.values())])
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(markdown.table(titles, table))


if __name__ == "__main__":
    main()
