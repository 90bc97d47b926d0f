"""Runs to be compared: how each query fared, from a revision, an experiment or a bare table."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import dvc.api
import numpy as np
import pandas as pd
from dvc.exceptions import DvcException
from numpy.typing import NDArray
from ruamel.yaml import YAML

from vpr.commands.compare.protocol import Protocol, protocol_of_run, protocol_of_table
from vpr.evaluation.recall import NEVER, STANDARD_DEPTHS
from vpr.run_files import QUERIES, RECALL

COLUMNS = ("path", "first_correct_rank", "num_positives")
WORKSPACE = "workspace"  # as DVC calls what lies on the disk


@dataclass(frozen=True)
class ComparedRun:
    """A run, as much of it as comparing takes.

    Args:
        name: Revision, experiment or file.
        paths: Of the queries, in the order of the route.
        ranks: Rank of the first positive of each, from 1, shape (num_queries,).
        depths: N of the recalls that it reports.
        protocol: What it was measured on.
    """

    name: str
    paths: list[str]
    ranks: NDArray[np.int64]
    depths: tuple[int, ...]
    protocol: Protocol


def load_run(name: str) -> ComparedRun:
    """Load a run of the repository in the current folder, or a bare table of queries.

    A bare table does not say how deep the ranking was, so that its depths end at the deepest rank
    in it.

    Args:
        name: A git revision, the name of an experiment, `workspace`, or a queries.csv.

    Raises:
        ValueError: If there is no such run, or it has no results.
        OSError: If there is no such file.
    """
    if name.endswith(".csv"):
        table = _parse_table(name, Path(name).read_text(encoding="utf-8"))
        ranks = _ranks(name, table)
        deepest = max((int(rank) for rank in ranks[ranks < NEVER]), default=1)
        depths = tuple(n for n in STANDARD_DEPTHS if n <= deepest)
        protocol = protocol_of_table(table)
    else:
        table = _parse_table(name, _read(name, str(QUERIES)))
        ranks = _ranks(name, table)
        metrics = json.loads(_read(name, str(RECALL)))
        found = (re.fullmatch(r"recall@(\d+)", key) for key in metrics)
        depths = tuple(int(match[1]) for match in found if match)
        lock = YAML(typ="safe", pure=True).load(_read(name, "dvc.lock"))
        protocol = protocol_of_run(table, lock["stages"])
    return ComparedRun(name, table["path"].tolist(), ranks, depths, protocol)


def _read(revision: str, path: str) -> str:
    try:
        text: str = dvc.api.read(path, rev=None if revision == WORKSPACE else revision)
    except (DvcException, FileNotFoundError) as error:
        raise ValueError(f"{revision}: cannot read {path} of this run: {error}") from None
    return text


def _parse_table(name: str, text: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{name}: not a readable CSV file: {error}") from None
    if table.empty or not set(COLUMNS) <= set(table):
        raise ValueError(
            f"{name}: expected a row per query with {', '.join(COLUMNS)}, found {len(table)} rows "
            f"of {', '.join(map(str, table.columns))}"
        )
    return table


def _ranks(name: str, table: pd.DataFrame) -> NDArray[np.int64]:
    ranks = np.full(len(table), NEVER)
    for row, text in enumerate(table["first_correct_rank"]):
        if text and not re.fullmatch("[1-9][0-9]*", text):
            raise ValueError(
                f"{name}: row {row}, first_correct_rank: expected a whole number from 1, or "
                f"nothing, found {text!r}"
            )
        if text:
            ranks[row] = int(text)
    return ranks
