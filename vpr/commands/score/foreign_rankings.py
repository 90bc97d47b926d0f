"""Rankings as others pass them on, beside our own file of predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr.commands.score.named_rankings import parse_names
from vpr.retrieval.predictions import check_ranking, load_retrieval

NOTHING = -1  # what faiss gives where it found no candidate; it never counts as found


def parse_rankings(
    path: Path, *, query: Sequence[str], database: Sequence[str]
) -> NDArray[np.int64]:
    """Ranked database images of each query, from a file in any known form, told by its content.

    Our `predictions.npz`; the challenge's submission `{"Query": [{"id": 0, "positive": [...]}]}`,
    its entries in any order; JSON with a list `predictions` that has a list for each query; text
    with names, as `parse_names` reads it.

    Args:
        path: The file.
        query: Names of the ground truth's queries.
        database: Names of its database images.

    Returns:
        Database indices, best first, shape (num_queries, depth); short rankings end in -1.

    Raises:
        ValueError: If the form is none of these, or it does not fit the ground truth.
    """
    if path.suffix == ".npz":
        rows: list[Any] = load_retrieval(path).indices.tolist()
    else:
        rows = _parse_text(path, query, database)
    if len(rows) != len(query):
        raise ValueError(
            f"{path}: ranks {len(rows)} queries, but the ground truth has {len(query)}"
        )
    for number, row in enumerate(rows):
        if not isinstance(row, list) or not all(type(index) is int for index in row):
            raise ValueError(f"{path}: query {number}: expected a list of indices, found {row!r}")
    named = [np.array([i for i in row if i != NOTHING], dtype=object) for row in rows]
    check_ranking(named, len(database), source=path)
    depth = max(map(len, rows), default=0)
    if depth == 0:
        raise ValueError(f"{path}: holds no predictions")
    padded = [row + [NOTHING] * (depth - len(row)) for row in rows]
    return np.array(padded, dtype=np.int64)


def _parse_text(path: Path, query: Sequence[str], database: Sequence[str]) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: neither an .npz nor text in UTF-8: {error}") from None
    if text.lstrip()[:1] in ("{", "["):
        return _parse_json(path, text)
    return list(parse_names(path, text, query=query, database=database))


def _parse_json(path: Path, text: str) -> list[Any]:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: neither an .npz nor readable JSON: {error}") from None
    if isinstance(content, dict) and isinstance(content.get("Query"), list):
        return _by_id(path, content["Query"])
    if isinstance(content, dict) and isinstance(content.get("predictions"), list):
        rows: list[Any] = content["predictions"]
        return rows
    raise ValueError(
        f'{path}: expected a submission, {{"Query": [{{"id": 0, "positive": [...]}}, ...]}}, or '
        'a list of rankings, {"predictions": [[...], ...]}'
    )


def _by_id(path: Path, entries: list[Any]) -> list[Any]:
    rankings: dict[int, Any] = {}
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not {"id", "positive"} <= entry.keys():
            raise ValueError(f"{path}: Query[{number}]: expected an id and a list positive")
        if type(entry["id"]) is not int or entry["id"] in rankings:
            raise ValueError(
                f"{path}: Query[{number}]: expected a whole number that no earlier entry has, "
                f"found the id {entry['id']!r}"
            )
        rankings[entry["id"]] = entry["positive"]
    missing = sorted(set(range(len(rankings))) - rankings.keys())
    if missing:
        raise ValueError(f"{path}: expected ids 0 to {len(rankings) - 1}, {missing[0]} is missing")
    return [rankings[query] for query in range(len(rankings))]
