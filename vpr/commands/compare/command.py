"""`python -m vpr compare A B`: is one run better than the other, or is it chance?"""

from __future__ import annotations

from typing import Annotated

import typer

from vpr.commands.compare.runs import load_run
from vpr.commands.compare.tables import Comparison, as_json, as_markdown, as_text
from vpr.evaluation.comparison import compare_ranks, compare_risks
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.uncertainty import usable_block_length
from vpr.repository.protocol import check_same_protocol, list_code_changes
from vpr.runtime.parameters import load_params


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="A B...",
            help="Two runs or more: git revisions, experiments, `workspace`, or queries.csv files.",
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="JSON output.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Markdown output.")] = False,
) -> None:
    """Compare the recall of two runs query by query, or rank several by recall."""
    if json and md:
        raise ValueError("--json and --md: choose one of them")
    if len(runs) < 2:
        raise ValueError(f"expected two runs or more, found {', '.join(runs)}")
    found = _compare(runs)
    print(as_json(found) if json else as_markdown(found) if md else as_text(found))


def _compare(names: list[str]) -> Comparison:
    params = load_params("evaluate", EvaluateParams)
    first, *others = runs = [load_run(name) for name in names]
    checked = [
        check_same_protocol(first.protocol, run.protocol, names=(first.name, run.name))
        for run in others
    ]
    depths = [n for n in first.depths if all(n in run.depths for run in others)]
    if not depths:
        reported = "; ".join(f"{run.name} reports {run.depths}" for run in runs)
        raise ValueError(f"no depth N in common: {reported}")
    drawn = {
        "block_length": params.block_length, "num_samples": params.num_samples,
        "confidence": params.confidence, "seed": params.seed,
    }  # fmt: skip
    recalls = [compare_ranks(first.ranks, run.ranks, ns=depths, **drawn) for run in others]
    risks = [
        compare_risks(first.answers, run.answers, **drawn) if first.answers and run.answers else []
        for run in others
    ]
    return Comparison(
        runs,
        [thing for thing in checked[0] if all(thing in things for things in checked)],
        recalls,
        risks,
        [list_code_changes(first.code, run.code) for run in others],
        usable_block_length(params.block_length, len(first.ranks)),
        params.confidence,
    )
