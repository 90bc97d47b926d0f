"""Writing a data set, images included, in a form that others read."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from vpr.datasets.dbstruct import save_dbstruct
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.tables import TABLES, save_table
from vpr.datasets.utm_names import SIDES, utm_name, write_numbers
from vpr.images.file_kinds import READ_SUFFIXES
from vpr.images.image_files import encoded_image
from vpr.images.inspection import check_image
from vpr.places.index import ImageIndex
from vpr.places.photos import find_photo

Form = Literal["csv", "utm-names", "dbstruct"]


def export_set(
    truth: GroundTruth, source: Path, out: Path, *, to: Form, radius_m: float
) -> list[str]:
    """Write a set to a folder of its own.

    Coordinates keep every bit. `csv` and `utm-names` have no place for the radius; `utm-names`
    takes the order of its names and, as `dbstruct`, has no place for sequences: notes say so.

    Args:
        truth: Both sides of the set.
        source: The folder that its images' paths are relative to.
        out: The folder to create.
        to: The form.
        radius_m: Written where the form has a place for it, in metres.

    Returns:
        A line for each thing that the form has no place for.

    Raises:
        ValueError: If the folder exists, an image is missing or a name cannot be written.
    """
    if out.exists():
        raise ValueError(f"{out}: expected the name of a folder that does not exist yet")
    sides = [truth.database, truth.query]
    names = [index.paths for index in sides]
    if to == "utm-names":
        names = [_place_names(source, *side) for side in zip(SIDES, sides, strict=True)]
    padded = [name for side in names for name in side if name != name.rstrip()]
    if to == "dbstruct" and padded:
        raise ValueError(
            f"{padded[0]!r}: a dbStruct pads names with spaces, so one that ends in a space is lost"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for index, new in zip(sides, names, strict=True):
            for path, name in zip(index.paths, new, strict=True):
                target = aside / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(encoded_image(find_photo(source, path)).content)
        if to == "csv":
            for name, index in zip(TABLES, sides, strict=True):
                save_table(aside / name, index)
        if to == "dbstruct":
            file = aside / f"{out.name}.mat"
            save_dbstruct(file, database=truth.database, query=truth.query, radius_m=radius_m)
        aside.chmod(0o755)
        aside.rename(out)
        return _describe_lost(truth, names, to=to)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _place_names(source: Path, folder: str, index: ImageIndex) -> list[str]:
    columns = [write_numbers(column) for column in index.coordinates.T]
    headings = [math.nan] * len(index.paths) if index.heading is None else index.heading.tolist()
    names = (
        utm_name(east, north, heading=deg, note=f"{n:06d}", suffix=_suffix(source, name))
        for n, (name, east, north, deg) in enumerate(
            zip(index.paths, *columns, headings, strict=True)
        )
    )
    return [f"{folder}/{name}" for name in names]


def _describe_lost(truth: GroundTruth, names: Sequence[Sequence[str]], *, to: Form) -> list[str]:
    """Say what of a set its new form has no place for."""
    notes = []
    moved = sum(a != b for side in names for a, b in zip(side, sorted(side), strict=True))
    if to == "utm-names" and moved:
        notes.append(
            f"NOTE order: images are read in the order of their names, which moves {moved} rows: "
            "neighbouring rows are not neighbours on the route, as sequences, the interval along "
            "the route, folds and validation assume. --to csv and --to dbstruct keep the order"
        )
    if to != "csv" and (truth.database.sequence or truth.query.sequence):
        notes.append(f"NOTE sequence: {to} has no place for it, so recordings run into each other")
    if to == "dbstruct" and any(side.heading is not None for side in (truth.database, truth.query)):
        notes.append(f"NOTE heading: {to} has no place for it")
    return notes


def _suffix(source: Path, name: str) -> str:
    """Find a name's own suffix, or where images are not known by it, that of its format."""
    suffix = Path(name).suffix
    return suffix if suffix.lower() in READ_SUFFIXES else check_image(find_photo(source, name))
