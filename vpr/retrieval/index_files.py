"""The folder of an index, and search with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.approximate import build_index, search_index
from vpr.retrieval.index_kinds import EXACT, KIND, Effort, parse_kind, save_kind
from vpr.retrieval.ranking import rank_shards
from vpr.runtime.store import Store

INDEX = "index.faiss"  # in the folder, unless search is exact


class Search(Protocol):
    """The database ranked for queries: indices and distances, each (num_queries, top_k)."""

    def __call__(
        self, query: NDArray[np.float32], *, top_k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rank the database for each query, the nearest descriptors first."""


def write_index(
    folder: Path, text: str, database: NDArray[np.float32], *, store: Store | None = None
) -> None:
    """Build the index of a database; with exact search the folder only records that.

    `text` is the value of `search.index`; the database has unit rows (num_database, dim); the store
    keeps what was trained.

    Raises:
        ValueError: If faiss has no such index type, or cannot build it with this few rows.
    """
    save_kind(folder, text)
    if text != EXACT:
        num_rows, dim = database.shape
        kind = parse_kind(text, num_rows=num_rows, dim=dim)
        faiss.write_index(build_index(database, kind, store=store), str(folder / INDEX))


def open_search(
    folder: Path, text: str, database: NDArray[np.float32], *, effort: Effort
) -> Search:
    """Prepare search with a folder that `write_index` wrote.

    `text` is the value of `search.index`; the database has unit rows (num_database, dim).

    Raises:
        ValueError: If the index is damaged, or of another database.
    """
    built = (folder / KIND).read_text(encoding="utf-8").strip()
    if built != text:
        raise ValueError(
            f"{folder}: search.index is {text}, but this index is {built}: run `dvc repro index`"
        )
    if text == EXACT:
        return partial(rank_shards, database)
    index = _read_index(folder / INDEX, *database.shape)
    return partial(search_index, index, database, effort=effort)


def _read_index(path: Path, num_rows: int, dim: int) -> Any:  # noqa: ANN401 - no types
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{path}: not a faiss index: {reason}") from None
    if (index.ntotal, index.d) != (num_rows, dim):
        raise ValueError(
            f"{path}: expected an index of {num_rows} descriptors of {dim} dimensions, found "
            f"{index.ntotal} of {index.d}"
        )
    return index
