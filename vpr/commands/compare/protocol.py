"""What a run was measured on, by content hash: only runs of one protocol compare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vpr.run_files import DATABASE, DATABASE_IMAGES, POSITIVES, QUERY, QUERY_IMAGES

LOCKED = {  # outs of stage prepare, by which two runs are measured alike or not
    str(DATABASE_IMAGES): "database images",
    str(QUERY_IMAGES): "query images",
    str(DATABASE): "database list",
    str(QUERY): "query list",
    str(POSITIVES): "positives",
}
COLUMNS = {"path": "names of the queries", "num_positives": "number of positives of each query"}


@dataclass(frozen=True)
class Protocol:
    """What a run was measured on.

    Args:
        hashes: Of the content of each thing; a bare table of queries knows fewer of them.
        radius: The value of prepare.radius_m in words; None where it is not known.
    """

    hashes: Mapping[str, str]
    radius: str | None


def protocol_of_table(table: pd.DataFrame) -> Protocol:
    """Read the protocol of a bare table of queries: their names and numbers of positives."""
    hashes = {}
    for column, thing in COLUMNS.items():
        content = json.dumps(table[column].tolist()).encode()
        hashes[thing] = hashlib.sha256(content).hexdigest()
    return Protocol(hashes, None)


def protocol_of_run(table: pd.DataFrame, stages: Mapping[str, Any]) -> Protocol:
    """Read the protocol of a table of queries with the run's record.

    Args:
        table: A row per query.
        stages: Of dvc.lock. What `evaluate` looked at goes before what `prepare` made.

    Raises:
        ValueError: If `prepare` or `evaluate` is not in the record.
    """
    try:
        entries = [*stages["prepare"]["outs"], *stages["evaluate"]["deps"]]
        radius_m = stages["prepare"]["params"]["params.yaml"]["prepare"]["radius_m"]
    except KeyError as error:
        raise ValueError(f"dvc.lock: has no {error} of a finished run") from None
    found = {entry["path"]: entry["md5"] for entry in entries}
    hashes = {words: found[path] for path, words in LOCKED.items() if path in found}
    radius = "null" if radius_m is None else f"{radius_m:g}"
    return Protocol({**protocol_of_table(table).hashes, **hashes}, radius)


def check_same_protocol(a: Protocol, b: Protocol, *, names: tuple[str, str]) -> list[str]:
    """Check that two runs were measured alike.

    Args:
        a: Of the first run.
        b: Of the second.
        names: Of the two runs, for the message.

    Returns:
        The things that both know the content hash of; all agree.

    Raises:
        ValueError: If one of them differs; the message names each.
    """
    both = [thing for thing in a.hashes if thing in b.hashes]
    lines = [
        f"  {thing}: {a.hashes[thing][:8]} and {b.hashes[thing][:8]}"
        for thing in both
        if a.hashes[thing] != b.hashes[thing]
    ]
    if lines:
        if a.radius != b.radius and None not in (a.radius, b.radius):
            lines.append(f"  prepare.radius_m is {a.radius} and {b.radius}")
        raise ValueError(
            f"{' and '.join(names)} were measured differently, so their recalls cannot be "
            "compared. These differ by content hash:\n" + "\n".join(lines)
        )
    return both
