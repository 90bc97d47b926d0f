"""A run's network as a file of ONNX: with weights in 32 or 16 bits, or convolutions in 8."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from vpr.images.image_files import Photo, list_images, read_image
from vpr.images.pixels import ScaleTo
from vpr.pocket.graph import INPUT, write_card, write_graph
from vpr.pocket.losses import describe_graph_loss
from vpr.pocket.source import Source
from vpr.run_files import DATABASE_IMAGES

Precision = Literal["float32", "float16", "int8"]
NUM_CHECKS = 3  # photos that the graph is checked with, each in several shapes
NUM_CALIBRATION = 100  # photos that say the range of values for int8
ENCODER = ("/trunk/", "/encoder/")  # how names of its nodes begin
# With convolutions alone, values pass between them in float: recall@1 of the demo fell by 0.06.
QUANTISED = ["Add", "Clip", "Conv", "Relu"]
SMALL = 256  # values of a tensor that stays as it is
MOST_FLOAT16 = 65_504  # larger ones, as a whitening may have, would be infinite


def write_model(
    out: Path, source: Source, *, precision: Precision, size: tuple[int, int] | None
) -> Iterator[str]:
    """Write a graph and its card, if its descriptors agree with the pipeline's.

    Args:
        out: File to create or replace; its folder exists.
        source: The run.
        precision: Of the weights; with int8 also of the computations.
        size: Height and width in pixels of all photos; None: any.

    Yields:
        What was written and how well it agrees, in lines to print.

    Raises:
        ValueError: If a file of the run is missing or damaged, or the network cannot be exported.
    """
    photos = list_images(source.folder / DATABASE_IMAGES)
    with TemporaryDirectory(dir=out.parent) as aside:
        built = Path(aside) / out.name
        worst = write_graph(built, source, spread(photos, NUM_CHECKS), size=size)
        if precision == "float16":
            store_in_float16(built)
        if precision == "int8":
            quantise(built, spread(photos, NUM_CALIBRATION), source.trunk.scale_to)
        loss = "not compared: its photos have other sizes"
        if size is None:
            loss = describe_graph_loss(built, source)
        card = write_card(built, precision=precision)
        for file in (built, card):
            file.replace(out.with_name(file.name))
    yield f"{out.name}: {out.stat().st_size / 1e6:.1f} MB, {precision}, run {source.run}"
    yield f"in float32 its descriptors are at most {worst:.1g} from the pipeline's"
    yield f"{precision} against the run ({source.trunk.precision}): {loss}"


def spread(photos: list[Photo], count: int) -> list[Photo]:
    """Choose so many photos, evenly spaced."""
    return photos[:: max(1, len(photos) // count)][:count]


def store_in_float16(path: Path) -> None:
    """Store the weights of a graph in 16 bits; a runtime widens them once, as it loads the file.

    It computes in float32: few CPUs and no WebAssembly compute in 16 bits.
    """
    model = onnx.load(path)
    widened = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        if np.abs(values).max() > MOST_FLOAT16:
            continue
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_16"))
        widened.append(helper.make_node("Cast", [f"{name}_16"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*widened, *nodes])
    onnx.save(model, path)


class _Photos(CalibrationDataReader):  # type: ignore[misc]
    """Photos as the quantiser asks for them."""

    def __init__(self, photos: Sequence[Photo], scale_to: ScaleTo) -> None:
        self.rest: Iterator[NDArray[np.uint8]] = (read_image(p, scale_to=scale_to) for p in photos)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next batch of one."""
        pixels = next(self.rest, None)
        return None if pixels is None else {INPUT: pixels[None]}


def quantise(path: Path, photos: Sequence[Photo], scale_to: ScaleTo) -> None:
    """Quantise the encoder's layers to 8 bits, by the range of values that photos give.

    What pools and whitens stays in float32. Jacob et al., Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018.
    """
    logging.getLogger().addFilter(lambda record: "pre-processing" not in record.getMessage())
    model = onnx.load(path)
    properties = {item.key: item.value for item in model.metadata_props}
    whole = path.with_suffix(".whole")
    path.replace(whole)
    try:
        quantize_static(
            whole, path, _Photos(photos, scale_to), quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED, per_channel=True, activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[n.name for n in model.graph.node if not n.name.startswith(ENCODER)],
        )  # fmt: skip
        quantised = onnx.load(path)
        helper.set_model_props(quantised, properties)
        onnx.save(quantised, path)
    finally:
        whole.unlink()
