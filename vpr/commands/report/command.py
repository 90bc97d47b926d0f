"""`python -m vpr report A B`: two runs side by side, on a page.

Recall with its paired difference, changed queries, parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from vpr.commands.compare.command import RISK_NAMES, explain, list_flips, rank_in_words
from vpr.commands.compare.runs import (
    ComparedRun,
    Comparison,
    compare_runs,
    load_two,
    recorded_hashes,
    recorded_params,
)
from vpr.commands.locate.outputs import check_targets
from vpr.images.image_files import encoded_image
from vpr.images.numbered import NumberedImages
from vpr.places.index import load_index
from vpr.report.pages import write_single_page
from vpr.report.params import list_changes
from vpr.report.pictures import jpeg_address
from vpr.repository.dvc import find_cache
from vpr.repository.recorded_outs import is_whole, stored_at
from vpr.run_files import DATABASE, THUMBNAILS

PICTURED = 40  # changed queries with pictures, at most; all are in the table
LESS_IS_BETTER = ("area_under_risk_coverage",)


def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="A B",
            help="Two runs: git revisions, experiments, `workspace`, folders of finished runs, or "
            "queries.csv files.",
        ),
    ],
    html: Annotated[Path, typer.Option(help="Page to write.")] = Path("comparison.html"),
) -> None:
    """Write an offline page of two runs: recall, changed queries, parameters."""
    check_targets({"--html": html})
    write_page(html, compare_runs(*load_two(runs)))
    print(f"{html}: written")


def write_page(path: Path, found: Comparison) -> None:
    """Write the page of two runs, compared; it opens from disk and fetches nothing."""
    first = found.recalls[0]
    with open_album([found.a, found.b]) as album:
        groups = [
            {"words": words, "queries": queries,
             "cards": [_card(query, found, album) for query in queries[:PICTURED]]}
            for words, queries in (("B loses", first.lost), ("B gains", first.gained))
        ]  # fmt: skip
        write_single_page(
            path, Path(__file__).parent, found=found, n=first.n, figures=_figures(found),
            groups=groups, notes=explain(found), flips=list_flips(found),
            has_pictures=album is not None,
            params=list_changes(recorded_params(found.a), recorded_params(found.b)),
            is_recorded=bool(found.a.stages and found.b.stages),
        )  # fmt: skip


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


@dataclass(frozen=True)
class Album:
    """Small pictures of both sides.

    Args:
        query: Pictures of the queries.
        database: Pictures of the database's images.
        numbers: Number of each database image, by name.
    """

    query: NumberedImages
    database: NumberedImages
    numbers: dict[str, int]

    def show_query(self, number: int) -> str:
        """Write the picture of a query as an address that holds it."""
        return jpeg_address(encoded_image(self.query[number]).content)

    def show_image(self, name: str) -> str | None:
        """Write the picture of a database image likewise; None if there is none of that name."""
        if name not in self.numbers:
            return None
        return jpeg_address(encoded_image(self.database[self.numbers[name]]).content)


@contextmanager
def open_album(runs: Sequence[ComparedRun]) -> Iterator[Album | None]:
    """Open the pictures of the first of some runs on the same images whose cache has them.

    None if it has them of no run.
    """
    with TemporaryDirectory() as folder:
        found = (_find(run, Path(folder, str(number))) for number, run in enumerate(runs))
        yield next((album for album in found if album), None)


def _find(run: ComparedRun, folder: Path) -> Album | None:
    made = recorded_hashes(run)
    names = [str(THUMBNAILS), str(THUMBNAILS.with_name("query")), str(DATABASE)]
    if not made.keys() >= set(names):
        return None
    with chdir(run.folder):
        cache = find_cache()
    stored = [stored_at(cache, made[name]) for name in names]
    if not all(is_whole(file, made[name]) for file, name in zip(stored, names, strict=True)):
        return None
    sides = []
    for listing in stored[:2]:
        side = folder / listing.name
        side.mkdir(parents=True)
        for entry in json.loads(listing.read_bytes()):
            file = stored_at(cache, entry["md5"])
            if not file.is_file():
                return None
            (side / entry["relpath"]).symlink_to(file)
        sides.append(NumberedImages(side))
    numbers = {name: number for number, name in enumerate(load_index(stored[2]).paths)}
    return Album(sides[1], sides[0], numbers)
