"""`python -m vpr export`: the data set, or a ranking of it, in a form that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vpr.datasets.export import Form, export_set
from vpr.datasets.formats import parse_set
from vpr.datasets.params import DatasetParams, PrepareParams
from vpr.datasets.protocol_checks import follow_protocol
from vpr.places.index import load_index
from vpr.retrieval.predictions import load_predictions
from vpr.run_files import DATABASE, PREDICTIONS, QUERY
from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.parameters import load_params

To = Literal[Form, "hloc-pairs"]


def export(
    out: Annotated[Path, typer.Argument(help="Folder, or for hloc-pairs file, to create.")],
    to: Annotated[To, typer.Option(help="Form of the copy.")],
    ranking: Annotated[
        Path, typer.Option(help="Predictions that hloc-pairs are written from.")
    ] = PREDICTIONS,
) -> None:
    """Write the data set of params.yaml, images included, or the run's ranking in another form."""
    if to == "hloc-pairs":
        count = write_pairs(out, ranking, query=QUERY, database=DATABASE)
        print(f"{out}: {count:,} pairs of a query and a database image")
        return
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


def write_pairs(out: Path, ranking: Path, *, query: Path, database: Path) -> int:
    """Write a ranking as hloc reads it: a line for each pair, best first, split at whitespace.

    Args:
        out: The file to write.
        ranking: Predictions of a run.
        query: Index of its queries.
        database: Index of its database.

    Returns:
        The number of pairs.

    Raises:
        ValueError: If a name has whitespace, or the files are of different runs.
    """
    predictions = load_predictions(ranking)
    queries, images = load_index(query).paths, load_index(database).paths
    if (len(queries), len(images)) != (len(predictions.indices), predictions.num_database):
        raise ValueError(
            f"{ranking} has {len(predictions.indices)} queries and {predictions.num_database} "
            f"database images, {query} and {database} have {len(queries)} and {len(images)}"
        )
    broken = [name for name in (*queries, *images) if len(name.split()) != 1]
    if broken:
        raise ValueError(
            f"{broken[0]!r}: hloc splits lines at whitespace, so no name may have any: rename "
            f"{len(broken)} images"
        )
    rows = zip(queries, predictions.indices.tolist(), strict=True)
    with replaced_whole(out) as file:
        for name, found in rows:
            file.writelines(f"{name} {images[image]}\n".encode() for image in found)
    return int(predictions.indices.size)
