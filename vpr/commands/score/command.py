"""`python -m vpr score`: recall of predictions, published ones too, without any image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.score.foreign_rankings import parse_rankings
from vpr.commands.score.scoring import score_rankings, tell_score
from vpr.datasets.checks import check_places
from vpr.datasets.findings import list_notes, require_usable
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.retrieval.params import SequenceParams
from vpr.retrieval.sequence_ranking import rank_again
from vpr.retrieval.sequences import find_recordings
from vpr.runtime.parameters import load_params


def score(
    predictions: Annotated[
        Path, typer.Option(help="Our .npz, a submission, other JSON, or hloc's pairs.")
    ],
    truth: Annotated[Path, typer.Option(help="Ground truth: a file in a known form, or a folder.")],
    n: Annotated[str | None, typer.Option(help="Depths N, as in 1,5,10,20.")] = None,
    radius: Annotated[float | None, typer.Option(help="Metres. Default: the set's own.")] = None,
    sequence: Annotated[
        int, typer.Option(min=1, help="Queries on a line of the route; 1: single queries.")
    ] = 1,
    velocity: Annotated[
        list[float] | None,
        typer.Option(help="Database images from query to query. Default: sequence.velocities."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compute recall of predictions against a ground truth, over both denominators in use."""
    places = _parse_truth(truth)
    radius_m = places.radius_m if radius is None else radius
    if radius_m is None or not 0 < radius_m < math.inf:
        raise ValueError(
            f"--radius: expected metres above 0, found {radius_m} ({truth}, {places.form}, has "
            f"{places.radius_m})"
        )
    notes = _check_truth(truth, places, radius_m=radius_m)
    _check_velocities(velocity or [], length=sequence)
    rankings = parse_rankings(predictions, query=places.query.paths, database=places.database.paths)
    result = score_rankings(rankings, places, radius_m=radius_m, ns=_depths(n))
    text = tell_score(result)
    if sequence > 1:
        along = rank_again(
            rankings,
            *(find_recordings(side.sequence, len(side.paths))
              for side in (places.query, places.database)),
            length=sequence,
            velocities=velocity or load_params("sequence", SequenceParams).velocities,
        )  # fmt: skip
        again = score_rankings(along, places, radius_m=radius_m, ns=_depths(n))
        text += f"\nsequences of {sequence}, another protocol: it uses the order of the queries\n"
        text += "\n".join(tell_score(again).split("\n")[1:])
        result |= {f"sequence_{name}": of for name, of in again.items() if "recall@" in name}
    if json:
        print(dumps(result | ({"notes": notes} if notes else {}), indent=2))
    else:
        print(text, *notes, sep="\n")


def _parse_truth(truth: Path) -> GroundTruth:
    if not truth.exists():
        raise ValueError(f"--truth {truth}: there is no such file or folder")
    folder, name = (truth, None) if truth.is_dir() else (truth.parent, truth.name)
    try:
        return parse_set(folder, name)
    except ValueError as error:  # its words are those of params.yaml
        raise ValueError(f"--truth {truth}: {error}") from None


def _check_truth(truth: Path, places: GroundTruth, *, radius_m: float) -> list[str]:
    findings = check_places(places, radius_m=radius_m, crs=None)
    try:
        require_usable(findings)
    except ValueError as error:
        raise ValueError(f"--truth {truth}: {error}") from None
    return list_notes(findings)


def _check_velocities(velocities: Sequence[float], *, length: int) -> None:
    for velocity in velocities:
        if not math.isfinite(velocity * length):  # the span of a line
            raise ValueError(
                f"--velocity {velocity}: expected database images from query to query, such as "
                "0.8 or -1, and finite over a whole line"
            )


def _depths(text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--n: expected whole numbers as in 1,5,10,20, found {text!r}") from None
