"""Writing a run's network as a file of ONNX, in the form and precision that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from vpr.images.image_files import Photo, list_images
from vpr.pocket.graph import write_card, write_graph
from vpr.pocket.losses import describe_graph_loss
from vpr.pocket.precision import Precision, quantise, store_in_float16
from vpr.pocket.source import Source
from vpr.run_files import DATABASE_IMAGES

NUM_CHECKS = 3  # photos that the graph is checked with, each in several shapes
NUM_CALIBRATION = 100  # photos that say the range of values for int8


def write_model(
    out: Path, source: Source, *, precision: Precision, size: tuple[int, int] | None
) -> Iterator[str]:
    """Write a graph and its card beside it, if it makes the pipeline's descriptors.

    Args:
        out: File to create or replace; its folder exists.
        source: The run.
        precision: See `vpr.pocket.precision`.
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
