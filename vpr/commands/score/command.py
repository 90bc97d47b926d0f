"""`python -m vpr score`: recall of predictions, published ones too, without any image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.commands.score.rankings import parse_rankings
from vpr.datasets.checks import check_places
from vpr.datasets.findings import Level, list_notes, require_usable
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.protocol_checks import follow_protocol
from vpr.datasets.protocols import PROTOCOLS
from vpr.evaluation.recall import STANDARD_DEPTHS, first_correct_ranks, recall_of_ranks
from vpr.places.index import find_recordings
from vpr.places.radius import find_same_places
from vpr.retrieval.params import SequenceParams
from vpr.retrieval.sequences import rank_again
from vpr.runtime.parameters import load_params

COUNTS_FROM_1 = (
    "NOTE predictions: no query ranks database image 0; if the file counts from 1, subtract 1 from "
    "every index"
)


def score(
    predictions: Annotated[
        Path,
        typer.Option(help="Rankings: a run's .npz, a submission, other JSON, or hloc's pairs."),
    ],
    truth: Annotated[Path, typer.Option(help="Ground truth: a file in a known form, or a folder.")],
    n: Annotated[str | None, typer.Option(help="Depths N, such as 1,5,10,20.")] = None,
    radius: Annotated[
        float | None, typer.Option(help="Radius of positives in metres. Default: the set's own.")
    ] = None,
    max_heading: Annotated[
        float | None,
        typer.Option(min=0, max=180, help="Largest angle between headings of positives, degrees."),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Published protocol that the truth must follow, as msls-val.")
    ] = None,
    sequence: Annotated[
        int, typer.Option(min=1, help="Length of a sequence in queries; 1: single queries.")
    ] = 1,
    velocity: Annotated[
        list[float] | None,
        typer.Option(
            help="Database images passed from one query to the next. Default: sequence.velocities."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON output.")] = False,
) -> None:
    """Compute recall of predictions against a ground truth, over both denominators in use."""
    everything, depths = _parse_truth(truth), _parse_depths(n)
    if protocol is None:
        _check_radius(truth, everything, radius)
    if max_heading is not None:
        _check_headings(truth, everything, protocol)
    places, radius_m, counted = follow_protocol(
        everything, protocol, asked_m=radius, keys=("--protocol", "--radius")
    )
    notes = _check_truth(truth, places, radius_m=radius_m, max_heading_deg=max_heading)
    _check_velocities(velocity or [], length=sequence)
    rankings = parse_rankings(
        predictions, query=everything.query.paths, database=places.database.paths
    )[counted]
    if predictions.suffix != ".npz" and not (rankings == 0).any():
        notes.append(COUNTS_FROM_1)
    positives = find_same_places(
        places.database, places.query, radius_m=radius_m, max_heading_deg=max_heading
    )
    single = score_rankings(rankings, positives, depths)
    content: dict[str, object] = {
        **single.by_name(),
        "num_queries": single.num_queries, "num_queries_answerable": single.num_answerable,
        "num_database": len(places.database.paths), "radius_m": radius_m,
    }  # fmt: skip
    text = (
        f"{single.num_queries} queries, {content['num_database']} database images, positives "
        f"within {radius_m:g} m\n{single.as_table()}"
    )
    if protocol is not None:
        text = f"protocol {protocol}: {PROTOCOLS[protocol].describe()}\n{text}"
        content["protocol"] = protocol
    if sequence > 1:
        velocities = velocity or load_params("sequence", SequenceParams).velocities
        sides = (find_recordings(side.sequence, len(side.paths))
                 for side in (places.query, places.database))  # fmt: skip
        along = rank_again(rankings, *sides, length=sequence, velocities=velocities)
        again = score_rankings(along, positives, depths)
        text += f"\nsequences of {sequence}, another protocol: it uses the order of the queries\n"
        text += again.as_table()
        content |= again.by_name("sequence_")
    if json:
        print(dumps(content | ({"notes": notes} if notes else {}), indent=2))
    else:
        print(text, *notes, sep="\n")


@dataclass(frozen=True)
class Score:
    """Recall with both denominators that are in use.

    Args:
        recalls: Fraction of all queries, by depth N.
        recalls_answerable: Fraction of the queries that have a positive; empty if none has.
        num_queries: Number of queries.
        num_answerable: Number of queries that have a positive.
    """

    recalls: dict[int, float]
    recalls_answerable: dict[int, float]
    num_queries: int
    num_answerable: int

    def by_name(self, prefix: str = "") -> dict[str, float]:
        """Name each recall: `recall@N`, and `recall@N_answerable`."""
        every = {f"{prefix}recall@{n}": of for n, of in self.recalls.items()}
        rest = {f"{prefix}recall@{n}_answerable": of for n, of in self.recalls_answerable.items()}
        return every | rest

    def as_table(self) -> str:
        """Write recall as a table, in percent as the papers have it."""
        rows = [
            ("", "all queries", "with a positive"),
            ("", f"of {self.num_queries}", f"of {self.num_answerable}"),
        ]
        for n, recall in self.recalls.items():
            rest = self.recalls_answerable.get(n)
            share = "-" if rest is None else f"{100 * rest:.2f} %"
            rows.append((f"recall@{n}", f"{100 * recall:.2f} %", share))
        return "\n".join(f"{name:10}{every:>16}{rest:>20}" for name, every, rest in rows)


def score_rankings(
    rankings: NDArray[np.int64], positives: csr_array, ns: Sequence[int] | None
) -> Score:
    """Compute recall of rankings.

    Args:
        rankings: Database indices, best first, shape (num_queries, depth); -1: no candidate.
        positives: Query x database; stored entries are the positives.
        ns: The depths N; None: those of 1, 5, 10 and 20 that the rankings reach.

    Raises:
        ValueError: If the rankings do not reach some N.
    """
    depth = rankings.shape[1]
    chosen = [n for n in STANDARD_DEPTHS if n <= depth] if ns is None else ns
    too_deep = [n for n in chosen if not 1 <= n <= depth]
    if too_deep:
        raise ValueError(f"recall@N for N = {too_deep}: expected 1 to {depth}, the rankings' depth")
    ranks = first_correct_ranks(rankings, positives)
    answerable = np.diff(positives.indptr) > 0
    among_answerable = recall_of_ranks(ranks[answerable], chosen) if answerable.any() else {}
    every = recall_of_ranks(ranks, chosen)
    return Score(every, among_answerable, len(ranks), int(answerable.sum()))


def _parse_truth(truth: Path) -> GroundTruth:
    if not truth.exists():
        raise ValueError(f"--truth {truth}: there is no such file or folder")
    folder, name = (truth, None) if truth.is_dir() else (truth.parent, truth.name)
    try:
        return parse_set(folder, name)
    except ValueError as error:  # its words are those of params.yaml
        raise ValueError(f"--truth {truth}: {error}") from None


def _check_radius(truth: Path, places: GroundTruth, asked_m: float | None) -> None:
    radius_m = places.radius_m if asked_m is None else asked_m
    if radius_m is None or not 0 < radius_m < math.inf:
        raise ValueError(
            f"--radius: expected metres above 0, found {radius_m} ({truth}, {places.form}, has "
            f"{places.radius_m})"
        )


def _check_headings(truth: Path, places: GroundTruth, protocol: str | None) -> None:
    if protocol is not None:
        raise ValueError(f"--max-heading: --protocol {protocol} counts positions alone")
    for side, index in (("database", places.database), ("query", places.query)):
        if index.heading is None or np.isnan(index.heading).all():
            raise ValueError(f"--max-heading: {truth} has no headings of its {side} images")


def _check_truth(
    truth: Path, places: GroundTruth, *, radius_m: float, max_heading_deg: float | None
) -> list[str]:
    findings = check_places(places, radius_m=radius_m, crs=None, max_heading_deg=max_heading_deg)
    try:
        require_usable(findings)
    except ValueError as error:
        raise ValueError(f"--truth {truth}: {error}") from None
    # Of queries without positives the score itself tells, over both denominators.
    return list_notes(
        found for found in findings if found.key != "positives" or found.level > Level.NOTE
    )


def _check_velocities(velocities: Sequence[float], *, length: int) -> None:
    for velocity in velocities:
        if not math.isfinite(velocity * length):  # the span of a line
            raise ValueError(
                f"--velocity {velocity}: expected database images from query to query, such as "
                "0.8 or -1, and finite over a whole line"
            )


def _parse_depths(text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--n: expected whole numbers as in 1,5,10,20, found {text!r}") from None
