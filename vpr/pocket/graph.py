"""The network as one ONNX graph: pixels -> unit descriptor, checked against the pipeline."""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from vpr.features.input_rules import InputRule, normalise
from vpr.images.image_files import EncodedImage, Photo, path_of, read_image
from vpr.network.describing import Network, describe_photos
from vpr.pocket.source import Source
from vpr.retrieval.whitening import Whitening
from vpr.runtime.hashing import hash_file

INPUT, OUTPUT = "pixels", "descriptor"
OPSET = 18  # the first whose Resize has an antialias
TOLERANCE = 1e-4  # Euclidean distance of unit descriptors, of the graph's and the pipeline's
CROPS = ((1.0, 1.0), (0.75, 1.0), (1.0, 0.75))  # of height and width: the shapes that are checked


class Graph(nn.Module):
    """Encoder, aggregator and whitening as one module.

    Args:
        network: Both parts of the model, in float32.
        whitening: None: off.
        size: Height and width of all photos in pixels; None: any.

    Raises:
        ValueError: If the encoder resizes photos of that size itself.
    """

    def __init__(
        self, network: Network, whitening: Whitening | None, size: tuple[int, int] | None
    ) -> None:
        """Put the parts together."""
        super().__init__()
        trunk: Any = network.trunk.encoder
        self.trunk, self.head = trunk, network.head
        if isinstance(rule := getattr(trunk, "rule", None), InputRule):
            trunk.rule = _AsTheyAre(*_require_unresized(rule, size))
        self.whitening = None if whitening is None else nn.Linear(*whitening.weight.shape[::-1])
        if whitening is not None and self.whitening is not None:
            self.whitening.weight.data = torch.tensor(whitening.weight)
            self.whitening.bias.data = torch.tensor(whitening.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """Unit descriptors (N, dim) of RGB (N, H, W, 3), uint8."""
        descriptors: Tensor = self.head.pool(self.head.encoder(self.trunk(pixels)).float())
        if self.whitening is None:
            return descriptors
        return functional.normalize(self.whitening(descriptors), dim=1)


class _AsTheyAre(InputRule):
    """Normalises images without looking at their size, of which tracing knows no number."""

    def images(self, pixels: Tensor) -> Tensor:
        """Images (N, 3, H, W), float32, of RGB (N, H, W, 3)."""
        return normalise(pixels, self.mean, self.std)


def _require_unresized(rule: InputRule, size: tuple[int, int] | None) -> InputRule:
    if size is None and (rule.size_px or rule.multiple_px > 1):
        raise ValueError("it resizes photos itself: name one size with --size")
    if size is not None and (seen := rule.size_seen(*size)) != size:
        raise ValueError(f"it resizes them itself: use --size {seen[0]}x{seen[1]}")
    return rule


def write_graph(
    path: Path, source: Source, photos: Sequence[Photo], *, size: tuple[int, int] | None
) -> float:
    """Write the graph of a run's network in float32, if it makes the pipeline's descriptors.

    Args:
        path: The file to write.
        source: The run.
        photos: Some to check the graph with.
        size: Height and width, in pixels, of all photos that it takes; None: any.

    Returns:
        Largest Euclidean distance of a descriptor of the graph's from the pipeline's.

    Raises:
        ValueError: If the encoder cannot be exported, or the graph disagrees; no file is left.
    """
    network = source.network()
    checks = [crop for photo in photos for crop in _crops(photo, network, size)]
    pair = torch.from_numpy(np.stack(2 * [read_image(checks[0], scale_to=network.scale_to)]))
    axes = {INPUT: {0: "n"}, OUTPUT: {0: "n"}}
    if size is None:
        axes[INPUT] |= {1: "height", 2: "width"}
    try:
        graph = Graph(source.network(), source.whitening, size).eval()
        trace(graph, pair, path, outputs=[OUTPUT], axes=axes)
        with torch.inference_mode():
            dim = graph(pair).shape[1]
        _describe_graph(path, source, size, dim)
        worst = _largest_distance(path, source, network, checks)
        if not worst <= TOLERANCE:
            raise ValueError(f"its descriptors are up to {worst:.2g} from the pipeline's")
    except Exception as error:  # exporter, checker and runtime raise many kinds
        path.unlink(missing_ok=True)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        way = "photos of any size" if size is None else f"{size[1]}x{size[0]} pixels"
        raise ValueError(
            f"trunk.encoder = {source.model.encoder}: cannot be exported for {way}: {reason}; "
            "docs/pocket.md lists the encoders that can be"
        ) from None
    return worst


def trace(
    module: nn.Module, pixels: Tensor, path: Path, *, outputs: Sequence[str],
    axes: dict[str, dict[int, str]],
) -> None:  # fmt: skip
    """Write a module as ONNX by tracing: 2 s, where torch.export took a minute of one core.

    Args:
        module: The module.
        pixels: What it is traced with.
        path: The file to write.
        outputs: Names of what it returns.
        axes: Names of the axes of any length, by input or output and number.
    """
    with warnings.catch_warnings(), torch.inference_mode(), _silenced():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (pixels,), path, dynamo=False, input_names=[INPUT], output_names=outputs,
            dynamic_axes=axes, opset_version=OPSET,
        )  # fmt: skip


@contextmanager
def _silenced() -> Iterator[None]:
    """Drop what is printed: where it fails, the exporter prints the whole graph, from C++."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def _crops(photo: Photo, network: Network, size: tuple[int, int] | None) -> list[Photo]:
    """A photo as the network sees it, in several shapes or resized to one, as files in memory."""
    whole = Image.fromarray(read_image(photo, scale_to=network.scale_to))
    if size is not None:
        pictures = [whole.resize(size[::-1])]
    else:
        pictures = [
            whole.crop((0, 0, round(whole.width * across), round(whole.height * down)))
            for down, across in CROPS
        ]
    made: list[Photo] = []
    for picture in pictures:
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        made.append(EncodedImage(path_of(photo), stream.getvalue()))
    return made


def _largest_distance(
    path: Path, source: Source, network: Network, photos: Sequence[Photo]
) -> float:
    expected = np.concatenate([batch.descriptors for batch in describe_photos(network, photos)])
    found = describe_by_graph(path, photos, source)
    return float(np.linalg.norm(found - source.whiten(expected), axis=1).max())


def describe_by_graph(path: Path, photos: Sequence[Photo], source: Source) -> NDArray[np.float32]:
    """Descriptors (num_photos, dim) of photos, by ONNX Runtime on the CPU."""
    session = open_session(path)
    rows = [
        session.run(None, {INPUT: read_image(photo, scale_to=source.trunk.scale_to)[None]})[0]
        for photo in photos
    ]
    return np.concatenate(rows)


def open_session(path: Path) -> Any:  # noqa: ANN401 - of a library without types
    """Open a graph in ONNX Runtime, on as many cores as torch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _describe_graph(path: Path, source: Source, size: tuple[int, int] | None, dim: int) -> None:
    """Put the run's id and the input rule into the file's metadata."""
    graph = onnx.load(path)
    properties = {
        "run": source.run,
        "dim": str(dim),
        "encoder": source.model.encoder,
        "aggregator": source.model.aggregator,
        "input": json.dumps(source.input_rule | {"graph_size": size and list(size)}),
    }
    onnx.helper.set_model_props(graph, properties)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def write_card(path: Path, *, precision: str) -> Path:
    """Write what a graph is beside it as JSON, with its SHA-256, for readers without ONNX."""
    properties = {item.key: item.value for item in onnx.load(path).metadata_props}
    card = {
        "format": "vpr-model", "version": 1, "run": properties["run"], "file": path.name,
        "sha256": hash_file(path, "sha256"), "precision": precision, "dim": int(properties["dim"]),
        "encoder": properties["encoder"], "aggregator": properties["aggregator"],
        "input": json.loads(properties["input"]),
    }  # fmt: skip
    written = path.with_suffix(".json")
    written.write_text(json.dumps(card, indent=2) + "\n")
    return written
