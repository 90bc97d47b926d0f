"""Writing a data set, images included, in a form that others read."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from vpr.datasets.csv_tables import TABLES
from vpr.datasets.dbstruct import save_dbstruct
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.utm_names import SIDES, utm_name
from vpr.images.file_kinds import READ_SUFFIXES
from vpr.images.image_files import encoded_image
from vpr.images.inspection import check_image
from vpr.places.index import ImageIndex
from vpr.places.photos import find_photo

Form = Literal["csv", "utm-names", "dbstruct"]


def export_set(truth: GroundTruth, source: Path, out: Path, *, to: Form, radius_m: float) -> None:
    """Write a set to a folder of its own.

    Coordinates keep every bit. `csv` and `utm-names` have no place for the radius; `utm-names`
    takes the order of its names and, as `dbstruct`, has no place for sequences.

    Args:
        truth: Both sides of the set.
        source: The folder that its images' paths are relative to.
        out: The folder to create.
        to: The form.
        radius_m: Written where the form has a place for it, in metres.

    Raises:
        ValueError: If the folder exists, an image is missing or a name cannot be written.
    """
    if out.exists():
        raise ValueError(f"{out}: expected the name of a folder that does not exist yet")
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        sides = [truth.database, truth.query]
        if to == "utm-names":
            for folder, index in zip(SIDES, sides, strict=True):
                _copy(source, index, aside, _place_names(source, folder, index))
        else:
            for index in sides:
                _copy(source, index, aside, index.paths)
        if to == "csv":
            for name, index in zip(TABLES, sides, strict=True):
                _save_table(aside / name, index)
        if to == "dbstruct":
            _check_ends(sides)
            file = aside / f"{out.name}.mat"
            save_dbstruct(file, database=truth.database, query=truth.query, radius_m=radius_m)
        aside.chmod(0o755)
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _place_names(source: Path, folder: str, index: ImageIndex) -> list[str]:
    return [
        f"{folder}/{utm_name((place[0], place[1]), note=f'{n:06d}', suffix=_suffix(source, name))}"
        for n, (name, place) in enumerate(zip(index.paths, index.coordinates, strict=True))
    ]


def _suffix(source: Path, name: str) -> str:
    """Find a name's own suffix, or where images are not known by it, that of its format."""
    suffix = Path(name).suffix
    return suffix if suffix.lower() in READ_SUFFIXES else check_image(find_photo(source, name))


def _copy(source: Path, index: ImageIndex, folder: Path, names: list[str]) -> None:
    for path, name in zip(index.paths, names, strict=True):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encoded_image(find_photo(source, path)).content)


def _save_table(path: Path, index: ImageIndex) -> None:
    places = index.coordinates
    columns: dict[str, list[str] | np.ndarray] = {
        "path": index.paths, "easting": places[:, 0], "northing": places[:, 1],
    }  # fmt: skip
    if index.sequence is not None:
        columns["sequence"] = index.sequence
    pd.DataFrame(columns).to_csv(path, index=False)


def _check_ends(sides: list[ImageIndex]) -> None:
    for name in (name for index in sides for name in index.paths):
        if name != name.rstrip():
            raise ValueError(
                f"{name!r}: a dbStruct pads names with spaces, so one that ends in a space is lost"
            )
