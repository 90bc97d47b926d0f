"""`python -m vpr export-model`, `export-map` and `export-page`: a run where there is no Python."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

Run = Annotated[Path, typer.Option(help="Folder of the finished run.")]
Dim = Annotated[
    int | None,
    typer.Option(min=1, help="Dimensions of a whitening, fitted on the database. Default: none."),
]
FalseRate = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0,
        help="Largest accepted share of photos from outside the map, 0 to 1. Default: the run's.",
    ),
]  # fmt: skip
Stored = Annotated[Literal["float16", "int8"], typer.Option(help="Type of the stored descriptors.")]
INSTALL = "`pip install -r requirements-export.txt`"


def export_model(
    out: Annotated[Path, typer.Argument(help="ONNX file to write, with a .json of the same name.")],
    run: Run = Path(),
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(help="Type of the stored weights; with int8 also of the computations."),
    ] = "float32",
    dim: Dim = None,
    size: Annotated[
        str | None,
        typer.Option(help="Height and width of all photos in pixels, as 240x320. Default: any."),
    ] = None,
    detector: Annotated[
        bool, typer.Option("--detector", help="XFeat's keypoint detector in place of the network.")
    ] = False,
) -> None:
    """Write the network as one ONNX graph: pixels -> unit descriptor, checked on photos."""
    _require_onnx("export-model")
    from vpr.pocket.model_file import write_model
    from vpr.pocket.source import load_source

    if out.suffix != ".onnx":
        raise ValueError(f"{out}: expected a file name that ends with .onnx")
    shape = _parse_size(size)
    out.parent.mkdir(parents=True, exist_ok=True)
    if detector:
        if shape is None or dim is not None or precision != "float32":
            raise ValueError("--detector needs --size, and takes neither --dim nor --precision")
        from vpr.pocket.detector import write_detector

        print(write_detector(out, run, size=shape))
        return
    for line in write_model(out, load_source(run, dim=dim), precision=precision, size=shape):
        print(line)


def export_map(
    out: Annotated[Path, typer.Argument(help="Folder to create.")],
    run: Run = Path(),
    precision: Stored = "float16",
    dim: Dim = None,
    false_rate: FalseRate = None,
) -> None:
    """Write descriptors, places, calibration and small pictures in open forms, with readers."""
    from vpr.pocket.map_files import write_map
    from vpr.pocket.source import load_source

    source = load_source(run, dim=dim)
    for line in write_map(out, source, precision=precision, false_rate=false_rate):
        print(line)


def export_page(
    out: Annotated[Path, typer.Argument(help="Folder to create.")],
    run: Run = Path(),
    precision: Stored = "float16",
    dim: Dim = None,
    false_rate: FalseRate = None,
    runtime: Annotated[
        Path | None, typer.Option(help="File of npm's onnxruntime-web. Default: fetched from npm.")
    ] = None,
) -> None:
    """Write a page that locates photos in the browser, also without a network."""
    _require_onnx("export-page")
    from vpr.commands.serve.pages import pages_without_service
    from vpr.pocket.page import write_page
    from vpr.pocket.source import READERS, load_source

    own = json.loads((READERS / "words.json").read_bytes())
    texts = pages_without_service(own) | {
        "static/ask.js": (READERS / "ask.js").read_text(encoding="utf-8")
    }
    for line in write_page(
        out, load_source(run, dim=dim), texts, precision=precision, false_rate=false_rate,
        runtime=runtime,
    ):  # fmt: skip
        print(line)


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ValueError(f"--size {text}: expected height and width in pixels, such as 240x320")
    return int(height), int(width)


def _require_onnx(command: str) -> None:
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise ValueError(f"{command}: the package {package!r} is not installed: {INSTALL}")
