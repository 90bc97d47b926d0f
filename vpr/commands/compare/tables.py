"""Compared runs as tables: for a terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from vpr.commands.compare.runs import ComparedRun
from vpr.evaluation.comparison import PairedRecall
from vpr.evaluation.recall import NEVER

HEADER = ("", "A", "B", "B - A", "interval", "McNemar p", "gained", "lost")
Row = Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """Runs of one protocol, each compared with the first.

    Args:
        runs: The runs, at least two.
        checked: Data that they all were measured on, by content hash.
        recalls: Recall at each N of each run but the first, next to the first run's.
        code_changes: Code of each run but the first that differs from the first run's.
        block_length: Queries in a block of the bootstrap, as it was used.
        confidence: Confidence of the intervals.
    """

    runs: Sequence[ComparedRun]
    checked: Sequence[str]
    recalls: Sequence[Sequence[PairedRecall]]
    code_changes: Sequence[Sequence[str]]
    block_length: int
    confidence: float


def as_text(found: Comparison) -> str:
    """Aligned lines for a terminal."""
    return _write(found, _align, quote=str)


def as_markdown(found: Comparison) -> str:
    """Tables, for a pull request or an issue."""
    return _write(found, _pipe, quote=_code)


def as_json(found: Comparison) -> str:
    """Write one JSON object; queries that flipped are given by their index."""
    head = {
        "num_queries": len(found.runs[0].ranks), "same_by_content_hash": found.checked,
        "confidence": found.confidence, "block_length": found.block_length,
    }  # fmt: skip
    rest = [
        {"b": run.name, "code_differs": changes, "recall": [asdict(one) for one in recalls]}
        for run, recalls, changes in zip(
            found.runs[1:], found.recalls, found.code_changes, strict=True
        )
    ]
    content = {"a": found.runs[0].name, **head, **(rest[0] if len(rest) == 1 else {"runs": rest})}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def _write(
    found: Comparison,
    table: Callable[[Sequence[Row]], list[str]],
    *,
    quote: Callable[[str], str],
) -> str:
    first, *others = found.runs
    named = f"A = {first.name}, B = {others[0].name}"
    title = named if len(others) == 1 else f"{len(found.runs)} runs"
    lines = [
        f"{title}: {len(first.ranks)} queries",
        f"Same by content hash: {', '.join(found.checked)}",
    ]
    for run, changes in zip(others, found.code_changes, strict=True):
        if changes:
            lines.append(f"Code of {run.name} is not that of {first.name}: {', '.join(changes)}")
    lines += ["", *table(_pair_rows(found) if len(others) == 1 else _ranking_rows(found)), ""]
    difference = "B - A" if len(others) == 1 else f"the difference from {first.name}"
    lines.append(
        f"Interval: {found.confidence:.0%}, of {difference}, blocks of {found.block_length} "
        "neighbouring queries drawn along the route."
    )
    if len(others) == 1:
        lines += ["McNemar: exact, if each query flips independently.", ""]
        flips = _flips(found)
        lines.append(f"Flipped queries: {len(flips)}")
        if flips:
            rows = [(quote(path), *rest) for path, *rest in flips]
            lines += ["", *table([("query", "rank in A", "rank in B", "change"), *rows])]
    return "\n".join(lines)


def _pair_rows(found: Comparison) -> list[Row]:
    rows: list[Row] = [HEADER]
    for one in found.recalls[0]:
        low, high = one.interval
        rows.append((
            f"recall@{one.n}", f"{one.recall_a:.3f}", f"{one.recall_b:.3f}",
            f"{one.difference:+.3f}", f"{low:+.3f} to {high:+.3f}", f"{one.p_value:.3g}",
            str(len(one.gained)), str(len(one.lost)),
        ))  # fmt: skip
    return rows


def _ranking_rows(found: Comparison) -> list[Row]:
    """One row per run, the best recall at the smallest depth first."""
    first, *others = found.runs
    depths = [one.n for one in found.recalls[0]]
    header = ("run", *(f"recall@{n}" for n in depths), f"@{depths[0]} - {first.name}", "interval")
    rows = [([one.recall_a for one in found.recalls[0]], first.name, ("", ""))]
    for run, recalls in zip(others, found.recalls, strict=True):
        low, high = recalls[0].interval
        difference = f"{recalls[0].difference:+.3f}", f"{low:+.3f} to {high:+.3f}"
        rows.append(([one.recall_b for one in recalls], run.name, difference))
    rows.sort(key=lambda row: row[0], reverse=True)
    return [
        header,
        *((name, *(f"{of:.3f}" for of in recalls), *rest) for recalls, name, rest in rows),
    ]


def _flips(found: Comparison) -> list[tuple[str, str, str, str]]:
    changes: dict[int, dict[str, list[str]]] = {}
    for one in found.recalls[0]:
        for kind, queries in (("gained", one.gained), ("lost", one.lost)):
            for query in queries:
                changes.setdefault(query, {}).setdefault(kind, []).append(str(one.n))
    rows = []
    for query, kinds in sorted(changes.items()):
        change = "; ".join(f"{kind} at {', '.join(ns)}" for kind, ns in kinds.items())
        ranks = [_rank(run, query) for run in found.runs]
        rows.append((found.runs[0].paths[query], ranks[0], ranks[1], change))
    return rows


def _rank(run: ComparedRun, query: int) -> str:
    rank = int(run.ranks[query])
    return "none" if rank == NEVER else str(rank)


def _align(rows: Sequence[Row]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _pipe(rows: Sequence[Row]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]


def _code(name: str) -> str:
    """Write a file name as a code span of a table, whatever characters it has."""
    fence = "`" * (max(map(len, re.findall("`+", name)), default=0) + 1)
    return f"{fence} {name.replace('|', chr(92) + '|')} {fence}"
