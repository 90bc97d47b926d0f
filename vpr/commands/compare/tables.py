"""Compared runs as tables: for a terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from vpr.commands.compare.runs import ComparedRun
from vpr.evaluation.comparison import PairedRecall, PairedRisk
from vpr.evaluation.recall import NEVER

HEADER = ("", "A", "B", "B - A", "interval", "McNemar p", "gained", "lost")
RISK_NAMES = {
    "coverage_at_risk_1": "coverage at 1 % risk",
    "area_under_risk_coverage": "area under risk",
}
Row = Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """Two runs of one protocol.

    Args:
        checked: Data that both were measured on, by content hash.
        recalls: Recall of both at each N.
        risks: Risk and coverage of both; empty if one has no calibrated probabilities.
        code_changes: Code that both used, but not in the same version.
        block_length: Queries in a block of the bootstrap, as it was used.
        confidence: Confidence of the intervals.
    """

    a: ComparedRun
    b: ComparedRun
    checked: Sequence[str]
    recalls: Sequence[PairedRecall]
    risks: Sequence[PairedRisk]
    code_changes: Sequence[str]
    block_length: int
    confidence: float


def as_text(found: Comparison) -> str:
    """Aligned lines for a terminal."""
    return _write(found, align, quote=str)


def as_markdown(found: Comparison) -> str:
    """Tables, for a pull request or an issue."""
    return _write(found, pipe, quote=_code)


def as_json(found: Comparison) -> str:
    """Write one JSON object; queries that flipped are given by their index."""
    content = {
        "a": found.a.name, "num_queries": len(found.a.ranks),
        "same_by_content_hash": found.checked, "confidence": found.confidence,
        "block_length": found.block_length, "b": found.b.name,
        "code_differs": found.code_changes, "recall": [asdict(one) for one in found.recalls],
        "risk": [asdict(one) for one in found.risks],
    }  # fmt: skip
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def _write(
    found: Comparison,
    table: Callable[[Sequence[Row]], list[str]],
    *,
    quote: Callable[[str], str],
) -> str:
    lines = [
        f"A = {found.a.name}, B = {found.b.name}: {len(found.a.ranks)} queries",
        f"Same by content hash: {', '.join(found.checked)}",
    ]
    if found.code_changes:
        changed = ", ".join(found.code_changes)
        lines.append(f"Code of {found.b.name} is not that of {found.a.name}: {changed}")
    lines += ["", *table(_pair_rows(found)), ""]
    lines += [*explain(found), ""]
    flips = list_flips(found)
    lines.append(f"Flipped queries: {len(flips)}")
    if flips:
        rows = [(quote(path), *rest) for path, *rest in flips]
        lines += ["", *table([("query", "rank in A", "rank in B", "change"), *rows])]
    return "\n".join(lines)


def explain(found: Comparison) -> list[str]:
    """Say what the interval and the p-value are."""
    return [
        f"Interval: {found.confidence:.0%}, of B - A, blocks of {found.block_length} "
        "neighbouring queries drawn along the route.",
        "McNemar: exact, if each query flips independently.",
    ]


def _pair_rows(found: Comparison) -> list[Row]:
    rows = [HEADER, *recall_rows(found.recalls)]
    for risk in found.risks:
        low, high = risk.interval
        rows.append((
            RISK_NAMES[risk.figure], f"{risk.value_a:.3f}", f"{risk.value_b:.3f}",
            f"{risk.difference:+.3f}", f"{low:+.3f} to {high:+.3f}", "", "", "",
        ))  # fmt: skip
    return rows


def recall_rows(recalls: Sequence[PairedRecall]) -> list[Row]:
    """Rows below `HEADER`, one for each N."""
    return [
        (
            f"recall@{one.n}", f"{one.recall_a:.3f}", f"{one.recall_b:.3f}",
            f"{one.difference:+.3f}", f"{one.interval[0]:+.3f} to {one.interval[1]:+.3f}",
            f"{one.p_value:.3g}", str(len(one.gained)), str(len(one.lost)),
        )
        for one in recalls
    ]  # fmt: skip


def list_flips(found: Comparison) -> list[tuple[str, str, str, str]]:
    """List the queries that only one run answers at some N: name, both ranks, and the change."""
    changes: dict[int, dict[str, list[str]]] = {}
    for one in found.recalls:
        for kind, queries in (("gained", one.gained), ("lost", one.lost)):
            for query in queries:
                changes.setdefault(query, {}).setdefault(kind, []).append(str(one.n))
    rows = []
    for query, kinds in sorted(changes.items()):
        change = "; ".join(f"{kind} at {', '.join(ns)}" for kind, ns in kinds.items())
        ranks = [rank_in_words(run, query) for run in (found.a, found.b)]
        rows.append((found.a.paths[query], ranks[0], ranks[1], change))
    return rows


def rank_in_words(run: ComparedRun, query: int) -> str:
    """Rank of a query's first positive, or `none`."""
    rank = int(run.ranks[query])
    return "none" if rank == NEVER else str(rank)


def align(rows: Sequence[Row]) -> list[str]:
    """Lines of a terminal's table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def pipe(rows: Sequence[Row]) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]


def _code(name: str) -> str:
    """Write a file name as a code span of a table, whatever characters it has."""
    fence = "`" * (max(map(len, re.findall("`+", name)), default=0) + 1)
    return f"{fence} {name.replace('|', chr(92) + '|')} {fence}"
