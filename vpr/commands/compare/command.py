"""`python -m vpr compare A B`: is one run better than the other, or is it chance?"""

from __future__ import annotations

from typing import Annotated

import typer

from vpr.commands.compare.compared_runs import load_run
from vpr.commands.compare.comparison_text import Comparison, as_json, as_markdown, as_text
from vpr.commands.compare.protocol import check_same_protocol
from vpr.evaluation.comparison import compare_ranks
from vpr.evaluation.params import EvaluateParams
from vpr.runtime.parameters import load_params

WHAT = "A git revision, an experiment, `workspace`, or a queries.csv."


def compare(
    a: Annotated[str, typer.Argument(help=WHAT)],
    b: Annotated[str, typer.Argument(help=WHAT)],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Print Markdown.")] = False,
) -> None:
    """Compare the recall of two runs on the same queries, with the queries that flipped."""
    if json and md:
        raise ValueError("--json and --md: choose one of them")
    params = load_params("evaluate", EvaluateParams)
    first, second = load_run(a), load_run(b)
    checked = check_same_protocol(first.protocol, second.protocol, names=(a, b))
    depths = [n for n in first.depths if n in second.depths]
    if not depths:
        raise ValueError(f"no depth N in common: {a} reports {first.depths}, {b} {second.depths}")
    recalls = compare_ranks(
        first.ranks, second.ranks, ns=depths, block_length=params.block_length,
        num_samples=params.num_samples, confidence=params.confidence, seed=params.seed,
    )  # fmt: skip
    found = Comparison(first, second, checked, recalls, params.block_length, params.confidence)
    print(as_json(found) if json else as_markdown(found) if md else as_text(found))
