"""Rankings as text, with names: a line for each pair, as hloc has them, or for each query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from unicodedata import normalize

from vpr.places.photos import with_slashes

NUM_SHOWN = 3


def parse_names(
    path: Path, text: str, *, query: Sequence[str], database: Sequence[str]
) -> list[list[int]]:
    """Read a ranking of names, best first.

    A line holds a query's name and one database image (the pairs of hloc, in the order of their
    lines) or all of them (the retrieval form). Names may hold spaces where a line is a pair.

    Args:
        path: The file, for messages.
        text: Its content.
        query: Names of the queries.
        database: Names of the database images.

    Returns:
        For each query the database indices of its lines, in their order.

    Raises:
        ValueError: If the file is kapture's, a name is not in the ground truth, or a query has no
            line.
    """
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    if any(line.startswith("# kapture") for line in lines[:1]) or _is_kapture(lines, query):
        raise ValueError(
            f"{path}: this is kapture's pairsfile (query, database image, score), whose order is "
            "not a ranking: convert it to hloc's pairs, one line `query database_image` for each, "
            "separated by a space, best first"
        )
    queries, images = _numbers(query), _numbers(database)
    found: dict[int, list[int]] = {}
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
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


def _is_kapture(lines: Sequence[str], query: Sequence[str]) -> bool:
    """Return whether the first line's fields are parted by commas, and begin with a query."""
    first = next((line for line in lines if not line.startswith("#")), "")
    fields = [_plain(field.strip()) for field in first.split(",")]
    return len(fields) in (2, 3) and fields[0] in {_plain(name) for name in query}


def _parse_line(
    line: str, queries: dict[str, int], images: dict[str, int], *, source: str
) -> tuple[int, list[int]]:
    words = line.split()
    known = [_plain(word) for word in words]
    if known[0] in queries and len(known) > 1 and all(name in images for name in known[1:]):
        return queries[known[0]], [images[name] for name in known[1:]]
    for asked, image in _splits(line):
        if asked in queries and image in images:
            return queries[asked], [images[image]]
    if known[0] not in queries:
        raise ValueError(
            f"{source}: {words[0]!r} is not a query of the ground truth, whose first is "
            f"{next(iter(queries))!r}"
        )
    strange = next((word for word in words[1:] if _plain(word) not in images), None)
    raise ValueError(
        f"{source}: expected names of database images, such as {next(iter(images))!r}, after the "
        f"query, found {strange!r}"
    )


def _splits(line: str) -> Iterator[tuple[str, str]]:
    """List the two parts of a line at each of its spaces."""
    for place, letter in enumerate(line):
        if letter.isspace():
            yield _plain(line[:place].strip()), _plain(line[place:].strip())


def _numbers(names: Sequence[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for number, name in enumerate(names):
        numbers.setdefault(_plain(name), number)
    return numbers


def _plain(name: str) -> str:
    """Normalise a name for comparison: slashes, and one Unicode form."""
    return normalize("NFC", with_slashes(name))
