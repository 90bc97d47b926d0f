"""A comparison of two runs in words: for a terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from vpr.commands.compare.compared_runs import ComparedRun
from vpr.evaluation.comparison import PairedRecall
from vpr.evaluation.recall import NEVER

HEADER = ("", "A", "B", "B - A", "interval", "McNemar p", "gained", "lost")


@dataclass(frozen=True)
class Comparison:
    """All that was found.

    Args:
        a: The first run.
        b: The second run.
        checked: What both were measured on, by content hash.
        recalls: At each N.
        block_length: Of the bootstrap, in queries.
        confidence: Of the intervals.
    """

    a: ComparedRun
    b: ComparedRun
    checked: list[str]
    recalls: list[PairedRecall]
    block_length: int
    confidence: float


def as_text(found: Comparison) -> str:
    """Aligned lines."""
    rows = [HEADER, *map(_row, found.recalls)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    table = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    flips = [
        f"  {path}: rank {before} -> {after}, {change}"
        for path, before, after, change in _flips(found)
    ]
    return "\n".join([_title(found), "", *table, "", _note(found), "", _count(flips), *flips])


def as_markdown(found: Comparison) -> str:
    """Tables, for a pull request or an issue."""
    lines = [_title(found), "", *_table([HEADER, *map(_row, found.recalls)]), "", _note(found), ""]
    flips = _flips(found)
    lines.append(_count(flips))
    if flips:
        rows = [(_code(path), *rest) for path, *rest in flips]
        lines += ["", *_table([("query", "rank in A", "rank in B", "change"), *rows])]
    return "\n".join(lines)


def as_json(found: Comparison) -> str:
    """Write one JSON object; flips name queries by their index."""
    content = {
        "a": found.a.name, "b": found.b.name, "num_queries": len(found.a.ranks),
        "same_by_content_hash": found.checked, "confidence": found.confidence,
        "block_length": found.block_length, "recall": [asdict(one) for one in found.recalls],
    }  # fmt: skip
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def _row(one: PairedRecall) -> tuple[str, ...]:
    low, high = one.interval
    return (
        f"recall@{one.n}", f"{one.recall_a:.3f}", f"{one.recall_b:.3f}", f"{one.difference:+.3f}",
        f"{low:+.3f} to {high:+.3f}", f"{one.p_value:.3g}",
        str(len(one.gained)), str(len(one.lost)),
    )  # fmt: skip


def _title(found: Comparison) -> str:
    return (
        f"A = {found.a.name}, B = {found.b.name}: {len(found.a.ranks)} queries\n"
        f"Same by content hash: {', '.join(found.checked)}"
    )


def _note(found: Comparison) -> str:
    return (
        f"Interval: {found.confidence:.0%}, of B - A, blocks of {found.block_length} neighbouring "
        "queries drawn along the route.\nMcNemar: exact, if each query flips independently."
    )


def _count(flips: Sequence[object]) -> str:
    return f"Flipped queries: {len(flips)}"


def _flips(found: Comparison) -> list[tuple[str, str, str, str]]:
    changes: dict[int, dict[str, list[str]]] = {}
    for one in found.recalls:
        for word, queries in (("gained", one.gained), ("lost", one.lost)):
            for query in queries:
                changes.setdefault(query, {}).setdefault(word, []).append(str(one.n))
    rows = []
    for query, words in sorted(changes.items()):
        change = "; ".join(f"{word} at {', '.join(ns)}" for word, ns in words.items())
        rows.append((found.a.paths[query], _rank(found.a, query), _rank(found.b, query), change))
    return rows


def _rank(run: ComparedRun, query: int) -> str:
    rank = int(run.ranks[query])
    return "none" if rank == NEVER else str(rank)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]


def _code(name: str) -> str:
    """Write a file name as a code span of a table, whatever signs it has."""
    fence = "`" * (max(map(len, re.findall("`+", name)), default=0) + 1)
    return f"{fence} {name.replace('|', chr(92) + '|')} {fence}"
