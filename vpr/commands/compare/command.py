"""`python -m vpr compare A B`: is one run better than the other, or is it chance?"""

from __future__ import annotations

from typing import Annotated

import typer

from vpr.commands.compare.runs import ComparedRun, load_run
from vpr.commands.compare.tables import Comparison, as_json, as_markdown, as_text
from vpr.evaluation.comparison import PairedRecall, compare_ranks, compare_risks
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.uncertainty import usable_block_length
from vpr.repository.protocol import check_same_protocol, list_code_changes
from vpr.runtime.parameters import load_params


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="A B",
            help="Two runs: git revisions, experiments, `workspace`, or queries.csv files.",
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="JSON output.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Markdown output.")] = False,
) -> None:
    """Compare the recall of two runs query by query."""
    if json and md:
        raise ValueError("--json and --md: choose one of them")
    if len(runs) != 2:
        raise ValueError(
            f"expected two runs, found {', '.join(runs)}: `python -m vpr leaderboard` ranks several"
        )
    found = _compare(*map(load_run, runs))
    print(as_json(found) if json else as_markdown(found) if md else as_text(found))


def _compare(a: ComparedRun, b: ComparedRun) -> Comparison:
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
