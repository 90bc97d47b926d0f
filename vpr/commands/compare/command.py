"""`python -m vpr compare A B`: is one run better than the other, or is it chance?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from vpr.commands.compare.runs import ComparedRun, Comparison, compare_runs, load_two
from vpr.evaluation.comparison import PairedRecall, PairedRisk
from vpr.evaluation.recall import NEVER

HEADER = ("", "A", "B", "B - A", "interval", "McNemar p", "gained", "lost")
RISK_NAMES = {
    "coverage_at_risk_1": "coverage at 1 % risk",
    "area_under_risk_coverage": "area under risk",
}
Row = Sequence[str]


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="A B",
            help="Two runs: git revisions, experiments, `workspace`, folders of finished runs, or "
            "queries.csv files.",
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="JSON output.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Markdown output.")] = False,
) -> None:
    """Compare the recall of two runs query by query."""
    if json and md:
        raise ValueError("--json and --md: choose one of them")
    found = compare_runs(*load_two(runs))
    print(as_json(found) if json else as_markdown(found) if md else as_text(found))


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
    found: Comparison, table: Callable[[Sequence[Row]], list[str]], *, quote: Callable[[str], str]
) -> str:
    lines = [
        f"A = {found.a.name}, B = {found.b.name}: {len(found.a.ranks)} queries",
        f"Same by content hash: {', '.join(found.checked)}",
    ]
    if found.code_changes:
        changed = ", ".join(found.code_changes)
        lines.append(f"Code of {found.b.name} is not that of {found.a.name}: {changed}")
    lines += ["", *table([HEADER, *recall_rows(found.recalls), *_risk_rows(found.risks)]), ""]
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


def recall_rows(recalls: Sequence[PairedRecall]) -> list[Row]:
    """Rows below `HEADER`, one for each N."""
    return [
        (
            f"recall@{one.n}", *_values(one.recall_a, one.recall_b, one.difference, one.interval),
            f"{one.p_value:.3g}", str(len(one.gained)), str(len(one.lost)),
        )
        for one in recalls
    ]  # fmt: skip


def _risk_rows(risks: Sequence[PairedRisk]) -> list[Row]:
    return [
        (
            RISK_NAMES[one.figure],
            *_values(one.value_a, one.value_b, one.difference, one.interval), "", "", "",
        )
        for one in risks
    ]  # fmt: skip


def _values(a: float, b: float, difference: float, interval: tuple[float, float]) -> Row:
    low, high = interval
    return f"{a:.3f}", f"{b:.3f}", f"{difference:+.3f}", f"{low:+.3f} to {high:+.3f}"


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
        ranks = rank_in_words(found.a, query), rank_in_words(found.b, query)
        rows.append((found.a.paths[query], *ranks, change))
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
