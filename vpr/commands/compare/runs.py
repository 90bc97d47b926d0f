"""Runs, from a revision or a bare table, and their comparison query by query."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, TypeAdapter, ValidationError

from vpr.evaluation.comparison import (
    Answers,
    PairedRecall,
    PairedRisk,
    compare_ranks,
    compare_risks,
)
from vpr.evaluation.details import list_recalls
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.recall import NEVER, STANDARD_DEPTHS
from vpr.evaluation.uncertainty import usable_block_length
from vpr.repository.locked_run import Stages, describe_fault
from vpr.repository.recorded_metrics import (
    Protocol,
    check_same_protocol,
    list_code_changes,
    read_code,
    read_lock,
    read_protocol,
)
from vpr.repository.revisions import WORKSPACE, find_revision
from vpr.run_files import QUERIES, RECALL
from vpr.runtime.parameters import load_params

Row = dict[str, str]


@dataclass(frozen=True)
class ComparedRun:
    """A run, as far as a comparison needs it.

    Args:
        name: Revision, experiment or file.
        paths: Names of the queries, in the order of the route.
        ranks: Rank of the first positive of each, from 1, shape (num_queries,).
        depths: N of the recalls that it reports.
        answers: Calibrated probabilities; None if the run has none.
        protocol: Data and settings of the measurement.
        stages: What dvc.lock records of each stage; empty for a bare table.
        rows: Its table of queries.
        folder: Folder of its repository.
    """

    name: str
    paths: list[str]
    ranks: NDArray[np.int64]
    depths: tuple[int, ...]
    answers: Answers | None
    protocol: Protocol
    stages: Stages = field(default_factory=dict)
    rows: Sequence[Row] = ()
    folder: Path = Path()

    @property
    def code(self) -> dict[str, str]:
        """Hash of the code that computed it, by path; empty for a bare table."""
        return read_code(self.stages)


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


def load_run(name: str) -> ComparedRun:
    """Load a run of the repository in the current folder or in another one, or a bare table.

    A bare table does not say how deep the ranking was, so its depths end at the deepest rank in it.

    Args:
        name: A git revision, the name of an experiment, `workspace`, the folder of a finished run,
            or a queries.csv.

    Raises:
        ValueError: If there is no such run, or it has no results, or they are out of date.
        OSError: If there is no such file.
    """
    if name != WORKSPACE and (Path(name) / QUERIES).is_file():
        with chdir(name):
            return replace(load_run(WORKSPACE), name=name, folder=Path(name))
    if name.endswith(".csv"):
        return _parse_run(name, Path(name).read_text(encoding="utf-8"))
    revision = find_revision(name)
    stages = read_lock(revision)
    recalls = list_recalls(json.loads(revision.read_text(RECALL)))
    protocol, bare = read_protocol(stages), _parse_run(name, revision.read_text(QUERIES))
    return replace(
        bare, stages=stages, depths=tuple(one.n for one in recalls if not one.is_of_sequences),
        protocol=replace(protocol, hashes={**bare.protocol.hashes, **protocol.hashes}),
    )  # fmt: skip


@dataclass(frozen=True)
class _Query:
    """Columns of a query's row that a comparison reads."""

    path: str
    num_positives: str
    first_correct_rank: PositiveInt | None
    held_out_probability: float | None = None


def _parse_run(name: str, text: str) -> ComparedRun:
    """Parse a table of queries, which also identifies the queries and their positives."""
    # A row with too many fields then has no valid path.
    rows: list[Row] = list(csv.DictReader(io.StringIO(text, newline=""), restkey="path"))
    try:
        queries = TypeAdapter(list[_Query]).validate_python(
            [{column: value or None for column, value in row.items()} for row in rows]
        )
    except ValidationError as error:
        raise ValueError(f"{name}: row{describe_fault(error)}") from None
    if not queries:
        raise ValueError(f"{name}: expected a row per query, found none")
    ranks = np.array([query.first_correct_rank or NEVER for query in queries])
    deepest = max((int(rank) for rank in ranks[ranks < NEVER]), default=1)
    probabilities = [query.held_out_probability for query in queries]
    is_calibrated = None not in probabilities
    columns = {
        "names of the queries": [query.path for query in queries],
        "number of positives of each query": [query.num_positives for query in queries],
    }
    hashes = {thing: hashlib.sha256(json.dumps(values).encode()).hexdigest()
              for thing, values in columns.items()}  # fmt: skip
    return ComparedRun(
        name, [query.path for query in queries], ranks,
        tuple(n for n in STANDARD_DEPTHS if n <= deepest),
        Answers(np.array(probabilities, dtype=np.float64), ranks == 1) if is_calibrated else None,
        Protocol(hashes, None), rows=rows,
    )  # fmt: skip


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


def recorded_params(run: ComparedRun) -> dict[str, dict[str, Any]]:
    """Collect the recorded parameters of a run by section and name."""
    found: dict[str, dict[str, Any]] = {}
    for stage in run.stages.values():
        for key, value in stage.params.get("params.yaml", {}).items():
            section, _, name = key.partition(".")
            found.setdefault(section, {}).update({name: value} if name else value)
    return found


def recorded_hashes(run: ComparedRun) -> dict[str, str]:
    """Collect the recorded hash of each out of a run, by path."""
    outs = (out for stage in run.stages.values() for out in stage.outs)
    return {out.path: out.md5 for out in outs}
