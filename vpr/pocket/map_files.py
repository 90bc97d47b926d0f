"""The map of a run in open forms: descriptors, places, calibration and small pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from vpr.evaluation.calibration import Calibration
from vpr.evaluation.cross_fitting import Sample, calibrate
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.recall import first_correct_ranks
from vpr.images.image_files import Photo, encoded_image, list_images
from vpr.images.thumbnails import thumbnail_name
from vpr.locating.matches import Places
from vpr.locating.run import load_places, require_out
from vpr.network.describing import Network, describe_photos
from vpr.pocket.losses import describe_loss, run_rows
from vpr.pocket.source import READERS, Source
from vpr.repository.locked_run import locked_params
from vpr.retrieval.descriptors import row_blocks, save_descriptors
from vpr.retrieval.ranking import rank_database
from vpr.run_files import DATABASE_IMAGES, FOREIGN_RANKED, LOCK, QUERY_IMAGES, THUMBNAILS
from vpr.runtime.hashing import hash_file

Stored = Literal["float16", "int8"]
MOST_INT8 = 127
TOP = 20  # matches that an answer is derived from


def write_map(
    out: Path, source: Source, *, precision: Stored, false_rate: float | None
) -> Iterator[str]:
    """Write a map for networks of `vpr.pocket.model_file`, with readers of it.

    Args:
        out: Folder to create.
        source: The run.
        precision: Type of the stored descriptors.
        false_rate: False-acceptance rate of answers by distance; None: the run's.

    Yields:
        What was written and what it costs, in lines to print.

    Raises:
        ValueError: If the folder exists, or a file of the run is missing or damaged.
    """
    if out.exists():
        raise ValueError(f"{out}: exists already: remove it, or name another folder")
    run, network = source.folder, source.network()
    _, places = load_places(run)
    photos: dict[str, Sequence[Photo]] = {
        "database": list_images(run / DATABASE_IMAGES), "query": list_images(run / QUERY_IMAGES),
        "foreign": _find_foreign(run),
    }  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent) as scratch:
        aside, built = Path(scratch), Path(scratch) / "built"
        built.mkdir()
        exact = {side: _describe(aside / side, source, network, photos[side]) for side in photos}
        stored = store_rows(built / "descriptors.npy", exact["database"], precision)
        save_descriptors(aside / "decoded", decode_rows(stored), num_images=len(stored))
        decoded = np.load(aside / "decoded", mmap_mode="r")
        _write_places(built / "places.csv", places)
        calibration, num_negatives = _calibrate(
            run, decoded, exact["query"], exact["foreign"], places, false_rate
        )
        _copy_thumbnails(run, built / "thumbnails")
        for reader in ("read_map.py", "map.js", "judge.js"):
            shutil.copyfile(READERS / reader, built / reader)
        content = _describe_map(built, source, stored, calibration, num_negatives)
        (built / "map.json").write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
        before = (run_rows(run, "database"), run_rows(run, "query"))
        chosen = np.arange(len(exact["query"]))
        loss = describe_loss(run, before, (decoded, exact["query"]), chosen)
        built.rename(out)
    count, width = stored.shape
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    yield f"{out.name}: {count:,} photos, {width} values each in {precision}, run {source.run}"
    yield (
        f"{size / 1e6:.1f} MB, for each thousand photos {size / count / 1e3:.1f} MB, of which "
        f"{stored.nbytes / count / 1e3:.3f} MB descriptors"
    )
    yield "against the run: " + loss
    if calibration is None or calibration.map_limit is None:
        yield (
            f"answers by distance are not calibrated: {num_negatives} photos from outside the map "
            "are too few for the rate: put some into evaluate.foreign, or see --false-rate"
        )


def _find_foreign(run: Path) -> list[Path]:
    """The photos from elsewhere that the run was evaluated with."""
    names = run / FOREIGN_RANKED / "photos.txt"
    require_out(names)
    photos = [run / name for name in names.read_text(encoding="utf-8").splitlines()]
    for photo in photos:
        if not photo.is_file():
            raise ValueError(f"{photo}: a photo of evaluate.foreign is missing: put it back")
    return photos


def _describe(
    path: Path, source: Source, network: Network, photos: Sequence[Photo]
) -> NDArray[np.float32]:
    """Describe photos as an exported network does, in float32: unit rows (N, dim), mapped."""
    if not photos:
        return np.empty((0, 0), np.float32)
    blocks = (source.whiten(batch.descriptors) for batch in describe_photos(network, photos))
    save_descriptors(path, blocks, num_images=len(photos))
    described: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return described


def store_rows(path: Path, rows: NDArray[np.float32], precision: Stored) -> NDArray[Any]:
    """Write unit rows (N, dim) in their stored form, block by block, and map the file."""
    factor = 1.0
    if precision == "int8":  # steps of the same size for all, since readers scale rows anyway
        factor = MOST_INT8 / max(float(np.abs(rows[block]).max()) for block in row_blocks(rows))
    stored: NDArray[Any] = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.dtype(precision), shape=rows.shape
    )
    for block in row_blocks(rows):
        scaled = rows[block] * np.float32(factor)
        stored[block] = np.round(scaled) if precision == "int8" else scaled
    return stored


def decode_rows(stored: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """Make the unit rows that readers make of the stored form, block by block."""
    for block in row_blocks(stored):
        decoded = stored[block].astype(np.float32)
        yield decoded / np.linalg.norm(decoded, axis=1, keepdims=True)


def _write_places(path: Path, places: Places) -> None:
    index = places.database
    table = pd.DataFrame(index.coordinates, columns=["easting", "northing"])
    table[["latitude", "longitude"]] = np.nan if places.globe is None else places.globe.round(7)
    table["heading"] = np.nan if index.heading is None else index.heading
    table["path"] = index.paths
    table.to_csv(path, index_label="index", lineterminator="\n")


def _calibrate(
    run: Path, database: NDArray[np.float32], queries: NDArray[np.float32],
    foreign: NDArray[np.float32], places: Places, false_rate: float | None,
) -> tuple[Calibration | None, int]:  # fmt: skip
    """Calibrate answers by distance on the run's queries and photos from elsewhere.

    Returns:
        The calibration, and the number of photos from outside the map.
    """
    params = locked_params("evaluate", "evaluate", EvaluateParams, lock=run / LOCK)
    query, positives = places.truth.query, places.truth.positives
    if not (places.database.has_places and query.has_places and places.calibration):
        return None, 0
    indices, distances = rank_database(database, queries, top_k=min(TOP, len(database)))
    away = np.empty(0)
    if len(foreign):
        away = rank_database(database, foreign, top_k=1)[1][:, 0].astype(np.float64)
    is_negative = np.diff(positives.indptr) == 0
    sample = Sample(
        "distance", distances.astype(np.float64), places.database.coordinates[indices],
        query.coordinates, first_correct_ranks(indices, positives) == 1, is_negative,
        away, places.calibration.radius_m, indices.shape[1],
    )  # fmt: skip
    fitted, _ = calibrate(
        sample, rate=params.accept_false_rate if false_rate is None else false_rate,
        confidence=params.confidence, block_length=params.block_length,
    )  # fmt: skip
    return fitted, len(sample.negatives)


def _copy_thumbnails(run: Path, folder: Path) -> None:
    folder.mkdir()
    for number, picture in enumerate(list_images(run / THUMBNAILS)):
        (folder / thumbnail_name(number)).write_bytes(encoded_image(picture).content)


def _describe_map(
    folder: Path, source: Source, stored: NDArray[Any], calibration: Calibration | None,
    num_negatives: int,
) -> dict[str, Any]:  # fmt: skip
    count, dim = stored.shape
    return {
        "format": "vpr-map", "version": 1, "run": source.run, "count": count, "dim": dim,
        "dtype": stored.dtype.name, "input": source.input_rule, "verified": False,
        "calibration": calibration and {
            **asdict(calibration), "reach": float(ndtri((1 + calibration.confidence) / 2))
        },
        "num_negatives": num_negatives,
        "files": {name: hash_file(folder / name, "sha256")
                  for name in ("descriptors.npy", "places.csv")},
    }  # fmt: skip
