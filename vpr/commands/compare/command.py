"""`python -m vpr compare A B`: is one run better than the other, or is it chance?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from vpr.commands.compare.runs import ComparedRun, load_run
from vpr.commands.compare.tables import Comparison, as_json, as_markdown, as_text
from vpr.evaluation.comparison import PairedRecall, compare_ranks, compare_risks
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.uncertainty import usable_block_length
from vpr.repository.recorded_metrics import check_same_protocol, list_code_changes
from vpr.runtime.parameters import load_params


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


def load_two(runs: Sequence[str]) -> list[ComparedRun]:
    """Load two runs.

    Raises:
        ValueError: If the names are not two, or one of them has no results.
    """
    if len(runs) != 2:
        raise ValueError(
            f"expected two runs, found {', '.join(runs)}: `python -m vpr leaderboard` ranks several"
        )
    return [load_run(name) for name in runs]


def compare_runs(a: ComparedRun, b: ComparedRun) -> Comparison:
    """Compare two runs.

    Raises:
        ValueError: If they were measured differently or report no depth N in common.
    """
    params = load_params("evaluate", EvaluateParams)
    checked = check_same_protocol(a.protocol, b.protocol, names=(a.name, b.name))
    risks = []
    if a.answers and b.answers:
        risks = compare_risks(
            a.answers, b.answers, block_length=params.block_length, num_samples=params.num_samples,
            confidence=params.confidence, seed=params.seed,
        )  # fmt: skip
    return Comparison(
        a, b, checked, pair_recalls(a, b, params), risks, list_code_changes(a.code, b.code),
        usable_block_length(params.block_length, len(a.ranks)), params.confidence,
    )  # fmt: skip


def pair_recalls(a: ComparedRun, b: ComparedRun, params: EvaluateParams) -> list[PairedRecall]:
    """Compare two runs of one protocol at each depth N that both report.

    Raises:
        ValueError: If there is no such depth.
    """
    depths = [n for n in a.depths if n in b.depths]
    if not depths:
        reported = "; ".join(f"{run.name} reports {run.depths}" for run in (a, b))
        raise ValueError(f"no depth N in common: {reported}")
    return compare_ranks(
        a.ranks, b.ranks, ns=depths, block_length=params.block_length,
        num_samples=params.num_samples, confidence=params.confidence, seed=params.seed,
    )  # fmt: skip
