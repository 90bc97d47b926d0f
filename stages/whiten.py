"""Stage whiten: PCA-whitening of the descriptors, or the descriptors as they are."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vpr.runtime.entry import run_stage

from pydantic import Field

from vpr.features.model import load_model
from vpr.retrieval.descriptors import load_descriptors, save_descriptors
from vpr.retrieval.whitening import find_whitening, whiten_rows, whitening_state
from vpr.retrieval.whitening_fit import fit_whitening
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params
from vpr.runtime.tensors import save_state


@dataclass(frozen=True)
class WhitenParams:
    """Parameters of the stage whiten."""

    dim: Annotated[int, Field(ge=0)]


def whiten(
    *, database: Path, query: Path, model: Path,
    whitening: Path, whitened_database: Path, whitened_query: Path,
) -> None:  # fmt: skip
    """Whiten both sides by what the weights bring, or by what the database tells.

    Args:
        database: Descriptors of the database.
        query: Descriptors of the queries; nothing is fitted on them.
        model: State of the whole model, which may bring a whitening.
        whitening: State to write, `WPCA.0.weight` and `WPCA.0.bias`; empty if off.
        whitened_database: Descriptors to write.
        whitened_query: Descriptors to write.
    """
    dim = load_params("whiten", WhitenParams).dim
    database_rows, query_rows = load_descriptors(database), load_descriptors(query)
    found = None
    if dim:
        theirs = find_whitening(load_model(model).tensors, dim=dim)
        found = theirs or fit_whitening(database_rows, dim=dim)
        source = (
            "of the weights" if theirs else f"fitted on {len(database_rows)} database descriptors"
        )
        print(f"whitening to {dim} dimensions, {source}")
    with built_aside(whitening, whitened_database, whitened_query) as aside:
        save_state(aside[0], whitening_state(found))
        for path, source_path, rows in zip(
            aside[1:], (database, query), (database_rows, query_rows), strict=True
        ):
            if found is None:
                shutil.copyfile(source_path, path)
            else:
                save_descriptors(path, whiten_rows(rows, found), num_images=len(rows))


if __name__ == "__main__":
    run_stage(whiten)
