"""Stage index: an index of the database's descriptors, for approximate search."""

from __future__ import annotations

from pathlib import Path

from vpr.console.entry import run_stage

from vpr.retrieval.index_kinds import EXACT, save_kind
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_param
from vpr.runtime.store import open_store


def index(*, database: Path, index: Path) -> None:
    """Build the index that search reads; with exact search the folder only records that."""
    kind = load_param("search.index", str)
    with built_aside(index) as (aside,):
        if kind == EXACT:
            save_kind(aside, kind)
            return
        # Imported here, since faiss is slow to import, and exact search does not need it.
        from vpr.retrieval.descriptors import load_descriptors
        from vpr.retrieval.index_files import write_index

        write_index(aside, kind, load_descriptors(database), store=open_store())


if __name__ == "__main__":
    run_stage(index)
