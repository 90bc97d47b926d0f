"""`python -m vpr doctor`: is everything there that a run needs?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.doctor.dataset import check_set
from vpr.commands.doctor.inputs import (
    check_sharing,
    check_sharing_of_weights,
    find_dataset,
    find_weights,
    fit_checkpoint,
    fit_encoder,
    fit_matcher,
)
from vpr.commands.doctor.machine import (
    check_faiss_gpu,
    check_packages,
    check_python,
    check_runs,
    check_torch_gpu,
)
from vpr.commands.doctor.sharing import (
    check_cache,
    check_cache_path,
    check_config,
    check_locks,
    check_remote,
)
from vpr.datasets.findings import Finding, Level
from vpr.repository.dvc import find_cache, read_config
from vpr.repository.recorded_outs import list_recorded
from vpr.runtime.parameters import load_param
from vpr.sections import check_sections

LABELS = {Level.FINE: "OK  ", Level.NOTE: "NOTE", Level.LOUD: "NOTE", Level.REFUSED: "FAIL"}


def doctor(
    quick: Annotated[bool, typer.Option(help="Print only what would stop a run at once.")] = False,
) -> None:
    """Check Python, packages, parameters, machine, data set and weights: each OK, or what to do."""
    worst = Level.FINE
    for found in _find(quick=quick):
        worst = max(worst, found.level)
        if not quick or found.level >= Level.LOUD:
            print(f"{LABELS[found.level]} {found.subject}: {found.words}", flush=True)
    if worst is Level.REFUSED:
        sys.exit(1)


def _find(*, quick: bool) -> Iterator[Finding]:
    """Yield one finding after the other; the quick part opens no image and no checkpoint."""
    yield check_python()
    yield check_packages()
    if problems := check_sections():
        yield from (Finding("parameters", problem, Level.REFUSED) for problem in problems)
        return
    yield _attempt("parameters", fit_encoder)
    dataset = _attempt("data set", find_dataset)
    yield dataset
    yield _attempt("weights", find_weights)
    yield check_runs()
    yield check_config()
    locks = _attempt("dvc.lock", check_locks)
    yield locks
    if not quick:
        yield _attempt("verification", fit_matcher)
        yield check_torch_gpu()
        yield check_faiss_gpu()
        yield _attempt("checkpoint", fit_checkpoint)
        yield check_sharing()
        yield check_sharing_of_weights()
        if locks.level is Level.FINE:
            yield from _check_stores()
    if dataset.level is Level.FINE and Path(load_param("dataset.dir", str)).is_dir():
        yield from check_set(quick=quick)


def _attempt(subject: str, check: Callable[[], str]) -> Finding:
    """Make a finding of what a check returns, or of the error that it raises."""
    try:
        return Finding(subject, check())
    except (OSError, ValueError) as error:
        return Finding(subject, str(error), Level.REFUSED)


def _check_stores() -> Iterator[Finding]:
    try:
        yield check_remote(read_config())
        cache = find_cache()
        yield check_cache_path(cache)
        yield check_cache(cache, list_recorded(Path()))
    except OSError as error:  # in dvc's own words
        yield Finding("remote and cache", str(error), Level.NOTE)
