"""Kinds of approximate index, by the strings of faiss's index factory."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

EXACT = "exact"
KIND = "kind.txt"  # in the folder of an index
FORM = re.compile(
    r"((OPQ(?P<turns>\d+)(_(?P<turned>\d+))?|PCAR?(?P<reduced>\d+)),)?"
    r"((IVF(?P<lists>\d+)(_HNSW(?P<coarse>\d+))?|HNSW(?P<links>\d+))(,|$))?"
    r"(?P<codes>Flat|SQ(8|6|4|fp16|bf16)|PQ(?P<parts>\d+)(x(?P<bits>\d+)(fsr?)?)?)?"
)
GRAMMAR = "[OPQ16, | PCAR64,][IVF1024, | IVF65536_HNSW32, | HNSW32,][Flat | SQ8 | PQ32 | PQ64x4fs]"
FEWEST_ROWS = 39  # per centroid, below which faiss's k-means warns
EXACT_UP_TO = 100_000  # images; see docs/scale.md
IN_MEMORY_UP_TO = 1_000_000  # images whose descriptors an index may hold whole
COUNTS = {  # meaning of the numbers of a string
    "turns": "parts that OPQ turns to", "turned": "dimensions that OPQ keeps",
    "reduced": "dimensions that PCA keeps", "lists": "lists", "links": "links of each image",
    "coarse": "links of each list", "parts": "parts of a code",
}  # fmt: skip
MOST_LINKS = 512  # of each node of HNSW
MOST_BITS = 12  # of a code; its k-means has 2^bits centroids


class Effort(NamedTuple):
    """How much of an index is searched.

    Args:
        nprobe: Lists of an inverted file that are searched.
        ef_search: Nodes of a graph, of images or of lists, that are kept while searching (HNSW's
            efSearch); at least as many as are looked for.
        candidates: Images per query that are ranked by their exact distances.
    """

    nprobe: int
    ef_search: int
    candidates: int


class Kind(NamedTuple):
    """A parsed index string.

    Args:
        text: Value of `search.index`.
        num_centroids: Centroids of its largest k-means; 0 without k-means.
    """

    text: str
    num_centroids: int


def save_kind(folder: Path, text: str) -> None:
    """Create the folder of an index; for exact search this is all of it."""
    folder.mkdir()
    (folder / KIND).write_text(f"{text}\n")


def parse_kind(text: str, *, num_rows: int, dim: int) -> Kind:
    """Parse a string of faiss's index factory, and check whether it fits the descriptors.

    See github.com/facebookresearch/faiss/wiki/The-index-factory.

    Raises:
        ValueError: If it is not such a string, or cannot be trained on this few rows; the message
            recommends one.
    """
    match = FORM.fullmatch(text)
    if match is None or not is_form(text):
        raise _refusal(text, f"expected exact or {GRAMMAR}", num_rows, dim)
    numbers = {name: int(match[name]) for name in COUNTS if match[name]}
    lists, parts = numbers.get("lists", 0), numbers.get("parts", 0)
    bits = int(match["bits"] or 8) if parts else 0
    kind = Kind(text, max(lists, 2**bits if parts else 0))
    least = {name: 2 if name in ("links", "coarse") else 1 for name in numbers}
    most = {"turned": dim, "reduced": dim, "links": MOST_LINKS, "coarse": MOST_LINKS}
    # faiss does not refuse these numbers: it crashes.
    wrong = [
        f"{COUNTS[name]} are {count}: at least {least[name]}"
        + (f" and at most {most[name]}" if name in most else "")
        for name, count in numbers.items()
        if not least[name] <= count <= most.get(name, count)
    ]
    problems = (
        (text == "Flat", "this is exact search: set it to exact"),
        (bool(wrong), f"its {' and its '.join(wrong)}"),
        (lists > 0 and not match["codes"], "an IVF says how it stores images, as IVF1024,Flat"),
        (parts > 0 and not 1 <= bits <= MOST_BITS, f"codes of {bits} bits: 4 and 8 are usual"),
        (kind.num_centroids > num_rows,
         f"k-means of {kind.num_centroids} centroids needs at least as many images"),
    )  # fmt: skip
    for is_problem, problem in problems:
        if is_problem:
            raise _refusal(text, problem, num_rows, dim)
    return kind


def is_form(text: str) -> bool:
    """Return whether a text has the form of an index string, regardless of the data."""
    match = FORM.fullmatch(text)
    return match is not None and any(match[name] for name in ("codes", "lists", "links"))


def is_well_trained(kind: Kind, num_rows: int) -> bool:
    """Return whether every centroid has the rows that k-means should see for it."""
    return num_rows >= FEWEST_ROWS * kind.num_centroids


def recommend(num_rows: int, dim: int) -> str:
    """Recommend an index for a size, by the measurements in docs/scale.md."""
    if num_rows <= EXACT_UP_TO:
        return EXACT
    lists = 2 ** round(math.log2(4 * math.sqrt(num_rows)))
    if num_rows < IN_MEMORY_UP_TO or dim % 64:
        return f"IVF{lists},Flat"
    return f"IVF{lists},PQ64x4fs"


def _refusal(text: str, words: str, num_rows: int, dim: int) -> ValueError:
    return ValueError(
        f"params.yaml: search.index = {text}: {words}; for {num_rows:,} descriptors of {dim} "
        f"dimensions {recommend(num_rows, dim)} would do"
    )


def refuse(kind: Kind, error: Exception, *, num_rows: int, dim: int) -> ValueError:
    """Make the error for an index that faiss itself refuses to build."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return _refusal(kind.text, f"faiss refuses it ({lines[-1].strip()})", num_rows, dim)
