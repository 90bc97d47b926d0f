"""Stage whiten: PCA-whitening of the descriptors, or the descriptors as they are."""

from __future__ import annotations

from pathlib import Path

from vpr.console.entry import run_stage

from vpr.retrieval.descriptors import load_descriptors, save_descriptors
from vpr.retrieval.params import WhitenParams
from vpr.retrieval.whitening import (
    MAX_ROWS,
    Whitening,
    find_whitening,
    fit_whitening,
    save_whitening,
    whiten_rows,
)
from vpr.runtime.artefacts import built_aside, link_file
from vpr.runtime.parameters import load_params


def whiten(
    *, database: Path, query: Path, model: Path,
    whitening: Path, whitened_database: Path, whitened_query: Path,
) -> None:  # fmt: skip
    """Whiten both sides by the weights' own whitening, or by one fitted on the database.

    With whitening off, `whitening` has no rows and the descriptors are the same files.
    """
    params = load_params("whiten", WhitenParams)
    mapping = find_or_fit(database, model, params) if params.dim else None
    with built_aside(whitening, whitened_database, whitened_query) as aside:
        save_whitening(aside[0], mapping)
        for source, path in zip((database, query), aside[1:], strict=True):
            if mapping is None:
                link_file(source, path)
            else:
                rows = load_descriptors(source)
                save_descriptors(path, whiten_rows(rows, mapping), num_images=len(rows))


def find_or_fit(database: Path, model: Path, params: WhitenParams) -> Whitening:
    """Return the weights' whitening, or fit one if they have none or `directions` is refit."""
    # Imported here: torch and scikit-learn take seconds, and are not needed if whitening is off.
    from vpr.features.model import load_model

    dim, is_kept = params.dim, params.directions == "keep"
    theirs = find_whitening(load_model(model).tensors, dim=dim) if is_kept else None
    if theirs:
        print(f"whitening to {dim} dimensions, from the weights")
        return theirs
    rows = load_descriptors(database)
    num_used = min(len(rows), MAX_ROWS)
    print(f"whitening to {dim} dimensions, fitted on {num_used} database descriptors")
    return fit_whitening(rows, dim=dim)


if __name__ == "__main__":
    run_stage(whiten)
