"""Rankings in the forms that others publish, in addition to our own file of predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from vpr.places.photos import with_slashes
from vpr.repository.locked_run import describe_fault
from vpr.retrieval.predictions import check_ranking, load_retrieval

NOTHING = -1  # what faiss gives where it found no candidate; it never counts as found
NUM_SHOWN = 3  # missing names in a message


def parse_rankings(
    path: Path, *, query: Sequence[str], database: Sequence[str]
) -> NDArray[np.int64]:
    """Read the ranked database images of each query from a file in any known form.

    Our `predictions.npz`; the challenge's submission `{"Query": [{"id": 0, "positive": [...]}]}`,
    its entries in any order; JSON with a list `predictions` that has a list for each query; text
    with names, as `_parse_names` reads it.

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
        rows: list[list[int]] = load_retrieval(path).indices.tolist()
    else:
        rows = _parse_text(path, query, database)
    if len(rows) != len(query):
        raise ValueError(
            f"{path}: ranks {len(rows)} queries, but the ground truth has {len(query)}"
        )
    for number, row in enumerate(rows):
        if len(database) in row:
            raise ValueError(
                f"{path}: query {number}: index {len(database)} is not one of the {len(database)} "
                f"database images, 0 to {len(database) - 1}: does the file count from 1? Then "
                "subtract 1 from every index"
            )
    named = (np.array([i for i in row if i != NOTHING], dtype=object) for row in rows)
    check_ranking(named, len(database), source=path)
    depth = max(map(len, rows), default=0)
    if depth == 0:
        raise ValueError(f"{path}: holds no predictions")
    padded = [row + [NOTHING] * (depth - len(row)) for row in rows]
    return np.array(padded, dtype=np.int64)


def _parse_text(path: Path, query: Sequence[str], database: Sequence[str]) -> list[list[int]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: neither an .npz nor text in UTF-8: {error}") from None
    if text.lstrip()[:1] not in ("{", "["):
        return _parse_names(path, text, query=query, database=database)
    form: TypeAdapter[_Lists | _Submission] = TypeAdapter(
        _Lists if '"predictions"' in text else _Submission
    )
    try:
        content = form.validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(
            f"{path}: {describe_fault(error).lstrip('.')}: expected a submission, "
            '{"Query": [{"id": 0, "positive": [...]}, ...]}, or a list of rankings, '
            '{"predictions": [[...], ...]}'
        ) from None
    return content.predictions if isinstance(content, _Lists) else _by_id(path, content.Query)


@dataclass(frozen=True)
class _Lists:
    predictions: list[list[int]]


@dataclass(frozen=True)
class _Ranked:
    id: int
    positive: list[int]


@dataclass(frozen=True)
class _Submission:
    Query: list[_Ranked]


def _by_id(path: Path, entries: Sequence[_Ranked]) -> list[list[int]]:
    rankings = {entry.id: entry.positive for entry in entries}
    missing = sorted(set(range(len(entries))) - rankings.keys())
    if missing:
        from_1 = ": do they count from 1?" if missing == [0] and len(entries) in rankings else ""
        raise ValueError(
            f"{path}: expected ids 0 to {len(entries) - 1}, each once: {missing[0]} is missing"
            f"{from_1}"
        )
    return [rankings[query] for query in range(len(rankings))]


def _parse_names(
    path: Path, text: str, *, query: Sequence[str], database: Sequence[str]
) -> list[list[int]]:
    """Read a ranking of names, best first.

    A line holds a query's name and one database image (the pairs of hloc, in the order of their
    lines) or all of them (the retrieval form). Names may hold spaces where a line is a pair.

    Args:
        path: The file, for messages.
        text: Content of the file.
        query: Names of the queries.
        database: Names of the database images.

    Returns:
        For each query the database indices of its lines, in their order.

    Raises:
        ValueError: If a name is not in the ground truth, or a query has no line.
    """
    queries = _number(query, side="query", source=path)
    images = _number(database, side="database", source=path)
    found: dict[int, list[int]] = {}
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if not line or line.startswith("#"):
            continue
        asked, ranked = _parse_line(line, queries, images, source=f"{path}, line {number}")
        found.setdefault(asked, []).extend(ranked)
    missing = [name for index, name in enumerate(query) if index not in found]
    if missing:
        raise ValueError(
            f"{path}: ranks {len(found)} queries, but the ground truth has {len(query)}: missing "
            f"are {', '.join(missing[:NUM_SHOWN])}"
        )
    return [found[index] for index in range(len(query))]


def _parse_line(
    line: str, queries: dict[str, int], images: dict[str, int], *, source: str
) -> tuple[int, list[int]]:
    words = line.split()
    asked, *ranked = map(_plain, words)
    if asked in queries and ranked and all(name in images for name in ranked):
        return queries[asked], [images[name] for name in ranked]
    for place in (place for place, letter in enumerate(line) if letter.isspace()):
        pair = _plain(line[:place].strip()), _plain(line[place:].strip())
        if pair[0] in queries and pair[1] in images:
            return queries[pair[0]], [images[pair[1]]]
    if asked not in queries:
        raise ValueError(
            f"{source}: {words[0]!r} is not a query of the ground truth, whose first is "
            f"{next(iter(queries))!r}"
        )
    strange = next((word for word in words[1:] if _plain(word) not in images), None)
    raise ValueError(
        f"{source}: expected names of database images, such as {next(iter(images))!r}, after the "
        f"query, found {strange!r}"
    )


def _number(names: Sequence[str], *, side: str, source: Path) -> dict[str, int]:
    """Number the images of one side by name; each name must stand for one image."""
    plain = [_plain(name) for name in names]
    (name, count), *_ = Counter(plain).most_common(1)
    if count > 1:
        raise ValueError(
            f"{source}: names its images, but {name!r} occurs {count} times on the {side} side of "
            "the ground truth, so it is unclear which is meant: give indices as JSON"
        )
    return {name: number for number, name in enumerate(plain)}


def _plain(name: str) -> str:
    """Normalise a name for comparison: slashes, and one Unicode form."""
    return normalize("NFC", with_slashes(name))
