"""A page of two runs: recall with its paired difference, changed queries, parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from vpr.commands.compare.command import RISK_NAMES, explain, list_flips, rank_in_words
from vpr.commands.compare.runs import ComparedRun, Comparison, recorded_params
from vpr.commands.report.pictures import Album, open_album
from vpr.report.defaults import list_changes
from vpr.report.pages import TEMPLATES, load_templates

PICTURED = 40  # changed queries with pictures, at most; all are in the table
LESS_IS_BETTER = ("area_under_risk_coverage",)


def write_page(path: Path, found: Comparison) -> None:
    """Write the page; it opens from disk and fetches nothing.

    Args:
        path: The file to write.
        found: The two runs, compared.
    """
    first = found.recalls[0]
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    with open_album([found.a, found.b]) as album:
        groups = [
            {"words": words, "queries": queries,
             "cards": [_card(query, found, album) for query in queries[:PICTURED]]}
            for words, queries in (("B loses", first.lost), ("B gains", first.gained))
        ]  # fmt: skip
        text = load_templates(Path(__file__).parent).get_template("page.html").render(
            found=found, n=first.n, figures=_figures(found), groups=groups, notes=explain(found),
            flips=list_flips(found), has_pictures=album is not None,
            params=list_changes(recorded_params(found.a), recorded_params(found.b)),
            is_recorded=bool(found.a.stages and found.b.stages),
            style=Markup(style),  # noqa: S704 - our own
        )  # fmt: skip
    path.write_text(text, encoding="utf-8")


def _figures(found: Comparison) -> list[dict[str, Any]]:
    """List what both runs have a value of, with the verdict of the interval of the difference."""
    figures = [
        (f"recall@{one.n}", one.recall_a, one.recall_b, one.difference, one.interval, 1,
         f"{len(one.gained)} gained, {len(one.lost)} lost; McNemar p = {one.p_value:.3g}")
        for one in found.recalls
    ] + [
        (RISK_NAMES[one.figure], one.value_a, one.value_b, one.difference, one.interval,
         -1 if one.figure in LESS_IS_BETTER else 1, "")
        for one in found.risks
    ]  # fmt: skip
    return [
        {"name": name, "a": a, "b": b, "difference": difference, "interval": interval,
         "verdict": _verdict(interval, sign), "details": details}
        for name, a, b, difference, interval, sign, details in figures
    ]  # fmt: skip


def _verdict(interval: tuple[float, float], sign: int) -> str:
    low, high = sorted(sign * end for end in interval)
    return "better" if low > 0 else "worse" if high < 0 else ""


def _card(query: int, found: Comparison, album: Album | None) -> dict[str, Any]:
    return {
        "path": found.a.paths[query],
        "number": query,
        "picture": album and album.show_query(query),
        "matches": [_match(name, run, query, album)
                    for name, run in (("A", found.a), ("B", found.b))],
    }  # fmt: skip


def _match(name: str, run: ComparedRun, query: int, album: Album | None) -> dict[str, Any]:
    """Collect the first prediction of a query in a run."""
    row = run.rows[query]
    top, metres = row.get("top1_path", ""), row.get("top1_metres", "")
    return {
        "run": name,
        "path": top,
        "picture": album and album.show_image(top),
        "is_right": int(run.ranks[query]) == 1,
        "metres": f"{metres} m" if metres else "",
        "rank": rank_in_words(run, query),
    }
