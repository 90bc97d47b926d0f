"""dbStruct .mat files, the form in which place recognition sets are passed on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from vpr.datasets.ground_truth import GroundTruth, as_coordinates, as_number
from vpr.datasets.mat_files import read_dbstruct
from vpr.places.index import ImageIndex

CELLS = ("dbImage", "locDb", "qImage", "locQ", "numDb", "numQ", "posDistThr", "posDistSqThr")
# What the named form calls the same; it has more fields, of which nothing is needed here.
FIELDS = ("dbImageFns", "utmDb", "qImageFns", "utmQ", "numImages", "numQueries", *CELLS[6:])
TIME_STAMPS = "dbTimeStamp"
HEADER_BYTES = 116  # text of a MATLAB 5 file; scipy writes the time into it
HEADER = b"MATLAB 5.0 MAT-file, a place recognition data set"


def parse_dbstruct(path: Path) -> GroundTruth:
    """Read a dbStruct, as cells (Berlin, Oxford, Nordland) or named (Pittsburgh, Tokyo 24/7).

    Names are padded with spaces at their ends; only that padding goes, inner spaces stay (the
    public code strips every space). Time stamps are not read.

    Args:
        path: The .mat file.

    Returns:
        Both sides and the radius.

    Raises:
        ValueError: If it is not a dbStruct file, or its parts disagree; the message names them.
    """
    form, parts, names = _read_parts(path)
    num_database, num_query, radius, squared = (
        as_number(parts[number], f"{path}: {names[number]}") for number in range(4, 8)
    )
    if not np.isclose(radius**2, squared):
        raise ValueError(f"{path}: posDistThr = {radius}, but posDistSqThr = {squared}")
    return GroundTruth(
        _side(path, parts[0:2], names[0:2], num_database, names[4]),
        _side(path, parts[2:4], names[2:4], num_query, names[5]),
        radius,
        form,
    )


def save_dbstruct(path: Path, *, database: ImageIndex, query: ImageIndex, radius_m: float) -> None:
    """Write a dbStruct in cell form; equal sets give equal bytes.

    Args:
        path: The file to write.
        database: The database side.
        query: The query side.
        radius_m: Metres within which a database image is a positive.
    """
    cells = np.empty((1, len(CELLS)), dtype=object)
    parts = [
        np.array(database.paths), database.coordinates, np.array(query.paths), query.coordinates,
        len(database.paths), len(query.paths), radius_m, radius_m**2,
    ]  # fmt: skip
    for number, part in enumerate(parts):
        cells[0, number] = part
    buffer = io.BytesIO()
    savemat(buffer, {"dbStruct": cells}, do_compression=False)  # type: ignore[arg-type]
    path.write_bytes(HEADER.ljust(HEADER_BYTES) + buffer.getvalue()[HEADER_BYTES:])


def _read_parts(path: Path) -> tuple[str, list[NDArray[Any]], tuple[str, ...]]:
    """Read the form in words, and the eight parts with their names in this file."""
    fields, parts = read_dbstruct(path)
    if not fields and len(parts) == len(CELLS):
        return "dbStruct, as cells", parts, CELLS
    if not fields:
        raise ValueError(
            f"{path}: expected dbStruct as {len(CELLS)} cells or one struct with named fields, "
            f"found {len(parts)} cells"
        )
    missing = [name for name in FIELDS if name not in fields]
    if missing:
        raise ValueError(
            f"{path}: dbStruct lacks the fields {', '.join(missing)}; it has {list(fields)}"
        )
    stamps = " and time stamps" if TIME_STAMPS in fields else ""
    by_name = dict(zip(fields, parts, strict=True))
    chosen = [by_name[name] for name in FIELDS]
    for number in (1, 3):  # here a column is an image
        chosen[number] = chosen[number].T
    return f"dbStruct, {len(fields)} named fields{stamps}", chosen, FIELDS


def _side(
    path: Path, parts: list[NDArray[Any]], names: tuple[str, ...], count: float, counter: str
) -> ImageIndex:
    texts, coordinates = parts
    if texts.dtype.kind != "U":
        raise ValueError(f"{path}: {names[0]}: expected names, found {texts.dtype}")
    paths = [str(name).rstrip() for name in texts.reshape(-1)]
    if len(paths) != count:
        raise ValueError(f"{path}: {len(paths)} names in {names[0]}, but {counter} = {count:g}")
    return ImageIndex(paths, as_coordinates(coordinates, len(paths), f"{path}: {names[1]}"))
