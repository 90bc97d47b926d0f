"""`python -m vpr export`: the data set in a form that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vpr.datasets.export import Form, export_set
from vpr.datasets.formats import parse_set
from vpr.datasets.params import DatasetParams
from vpr.datasets.protocol_checks import follow_protocol
from vpr.places.params import PrepareParams
from vpr.runtime.parameters import load_params


def export(
    out: Annotated[Path, typer.Argument(help="Folder to create.")],
    to: Annotated[Form, typer.Option(help="Form of the copy.")],
) -> None:
    """Write the data set of params.yaml, images included, in another form."""
    chosen = load_params("dataset", DatasetParams)
    asked_m = load_params("prepare", PrepareParams).radius_m
    truth, radius_m, _ = follow_protocol(
        parse_set(Path(chosen.dir), chosen.index), chosen.protocol, asked_m=asked_m, crs=chosen.crs
    )
    notes = export_set(truth, Path(chosen.dir), out, to=to, radius_m=radius_m)
    print(f"{out}: {len(truth.database.paths)} + {len(truth.query.paths)} images as {to}")
    for note in notes:
        print(note)
    if to != "dbstruct":
        print(f"this form has no place for the radius: set prepare.radius_m = {radius_m:g}")
