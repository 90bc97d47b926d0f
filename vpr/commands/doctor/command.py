"""`python -m vpr doctor`: is everything there that a run needs?"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.doctor.dataset import check_set
from vpr.commands.doctor.machine import check_gpu, check_packages, check_runs
from vpr.commands.doctor.sharing import (
    check_cache,
    check_cache_path,
    check_config,
    check_locks,
    check_remote,
    check_sharing,
    check_sharing_of_weights,
    find_dataset,
    find_weights,
)
from vpr.datasets.findings import Finding, Level
from vpr.features.encoder import check_aggregator, check_resizing, find_split, load_encoder
from vpr.features.params import TrunkParams
from vpr.images.pixels import scaled_size
from vpr.matchers.base.matcher import load_matcher
from vpr.repository.dvc import find_cache, read_config
from vpr.repository.recorded_outs import list_recorded
from vpr.reranking.params import RerankParams
from vpr.run_files import WEIGHTS
from vpr.runtime.hashing import check_sha256
from vpr.runtime.parameters import load_param, load_params
from vpr.sections import check_sections
from vpr.training.params import FinetuneParams
from vpr.weights.checkpoints import NAMES, describe_checkpoint, parse_checkpoint
from vpr.weights.params import PretrainedParams

PHOTO_PX = (3000, 4000)  # height and width of a photo, before any is looked at
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
    yield Finding("Python", platform.python_version())  # pip refuses one that is too old
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
        yield check_gpu()
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


def fit_encoder() -> str:
    """Describe the encoder.

    Raises:
        ValueError: If other parameters do not fit it.
    """
    trunk = load_params("trunk", TrunkParams)
    find_split(trunk.encoder, trunk.model, trunk.trainable_from)
    encoder = load_encoder(trunk.encoder, trunk.model)
    check_resizing(encoder, PHOTO_PX, scaled_size(PHOTO_PX[::-1], 1, trunk.scale_to))
    check_aggregator(encoder, load_params("finetune", FinetuneParams).aggregator)
    return f"params.yaml fits every stage; encoder {encoder.origin}"


def fit_matcher() -> str:
    """Describe the matcher.

    Raises:
        ValueError: If there is none of that name.
        OSError: If its weights are missing.
    """
    rerank = load_params("rerank", RerankParams)
    if rerank.model is None:
        load_matcher(rerank.method)
    return f"by {rerank.method}"


def fit_checkpoint() -> str:
    """Describe the checkpoint that the starting weights are, if they are one.

    Raises:
        ValueError: If it cannot be loaded, or does not fit the parameters.
    """
    given, trunk = load_params("pretrained", PretrainedParams), load_params("trunk", TrunkParams)
    file = WEIGHTS / given.weights
    if not file.is_file() or file.name in NAMES:
        return "none to check"
    if given.sha256 is not None:
        check_sha256(file, given.sha256, source="pretrained.sha256")
    found = parse_checkpoint(file, encoder=trunk.encoder, variant=trunk.model)
    tuned = load_params("finetune", FinetuneParams)
    keys = (
        ("aggregator",)
        if tuned.clusters == "refit"
        else ("aggregator", "num_clusters", "vlad_version")
    )
    for key in keys:
        brought = getattr(found, key)
        if brought not in (None, getattr(tuned, key)):
            raise ValueError(
                f"{file} has a pool with {key} {brought}: set finetune.{key} = {brought}"
            )
    return describe_checkpoint(found)
