"""`python -m vpr doctor`: is everything there that a run needs?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from vpr.commands.doctor.dataset import check_quickly, check_set
from vpr.commands.doctor.finding import Finding
from vpr.commands.doctor.inputs import (
    check_checkpoint,
    check_dataset,
    check_sharing,
    check_sharing_of_weights,
    check_weights,
)
from vpr.commands.doctor.machine import (
    check_disk,
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
from vpr.datasets.params import DatasetParams
from vpr.features.encoder import (
    BringsAggregator,
    check_aggregator,
    check_resizing,
    find_split,
    load_encoder,
)
from vpr.features.params import TrunkParams
from vpr.images.pixels import scaled_size
from vpr.matchers.base.matcher import load_matcher
from vpr.network.aggregator import descriptor_width
from vpr.places.params import PrepareParams
from vpr.repository.dvc import find_cache, read_config
from vpr.repository.recorded_outs import list_recorded
from vpr.run_files import WEIGHTS
from vpr.runtime.parameters import load_param, load_params
from vpr.sections import check_sections
from vpr.training.params import FinetuneParams
from vpr.weights.checkpoints import NAMES
from vpr.weights.params import PretrainedParams

ROOT = Path()
PHOTO_PX = (3000, 4000)  # height and width of a photo, before any is looked at


def doctor(
    quick: Annotated[bool, typer.Option(help="Print only what would stop a run at once.")] = False,
) -> None:
    """Check Python, packages, parameters, machine, data set and weights: each OK, or what to do."""
    all_ok = True
    for finding in _findings(quick=quick):
        all_ok = all_ok and finding.ok
        if not (quick and finding.ok and not finding.is_loud):
            print(finding, flush=True)
    if not all_ok:
        sys.exit(1)


def _findings(*, quick: bool) -> Iterator[Finding]:
    """Yield one finding after the other; the quick part opens no image and no checkpoint."""
    yield check_python()
    yield check_packages()
    problems = check_sections()
    if problems:
        yield from (Finding("parameters", problem, ok=False) for problem in problems)
        return
    yield _check_encoder()
    dataset = check_dataset(ROOT)
    yield dataset
    yield check_weights(ROOT)
    yield check_runs(ROOT)
    yield check_config(ROOT)
    locks = check_locks(ROOT)
    yield locks
    has_set = dataset.ok and Path(load_param("dataset.dir", str)).is_dir()
    if quick:
        if has_set:
            yield from _check_places()
        return
    trunk = load_params("trunk", TrunkParams)
    yield Finding("encoder", load_encoder(trunk.encoder, trunk.model).origin, ok=True)
    yield _check_matcher()
    yield check_torch_gpu()
    yield check_faiss_gpu()
    yield from _check_checkpoint()
    yield check_sharing(ROOT)
    yield check_sharing_of_weights(ROOT)
    if locks.ok:
        yield from _check_shared()
    if has_set:
        yield from _check_set()


def _check_encoder() -> Finding:
    trunk = load_params("trunk", TrunkParams)
    try:
        find_split(trunk.encoder, trunk.model, trunk.trainable_from)
        scaled_px = scaled_size(PHOTO_PX[::-1], 1, trunk.scale_to)
        maker = load_encoder(trunk.encoder, trunk.model)
        check_resizing(maker, PHOTO_PX, scaled_px)
        check_aggregator(maker, load_params("finetune", FinetuneParams).aggregator)
    except ValueError as error:
        return Finding("parameters", str(error), ok=False)
    return Finding("parameters", "params.yaml fits every stage", ok=True)


def _check_matcher() -> Finding:
    method = load_param("rerank.method", str)
    try:
        if load_param("rerank.model", str | None) is None:  # type: ignore[arg-type] # mypy: no type
            load_matcher(method)
    except (OSError, ValueError) as error:  # no weights; no such matcher
        return Finding("verification", str(error), ok=False)
    return Finding("verification", f"by {method}", ok=True)


def _check_shared() -> Iterator[Finding]:
    try:
        yield check_remote(read_config())
        cache = find_cache()
        yield check_cache_path(cache)
        yield check_cache(cache, list_recorded(ROOT))
    except OSError as error:  # in dvc's own words
        yield Finding("remote and cache", str(error), ok=True, is_note=True)


def _check_checkpoint() -> Iterator[Finding]:
    params = load_params("pretrained", PretrainedParams)
    tuned, trunk = load_params("finetune", FinetuneParams), load_params("trunk", TrunkParams)
    file = ROOT / WEIGHTS / params.weights
    if file.is_file() and file.name not in NAMES:
        yield check_checkpoint(
            file, encoder=trunk.encoder, variant=trunk.model, sha256=params.sha256,
            aggregator=tuned.aggregator, num_clusters=tuned.num_clusters,
            vlad_version=tuned.vlad_version,
        )  # fmt: skip


def _check_places() -> Iterator[Finding]:
    chosen = load_params("dataset", DatasetParams)
    yield from check_quickly(chosen, load_params("prepare", PrepareParams))


def _check_set() -> Iterator[Finding]:
    chosen, trunk = load_params("dataset", DatasetParams), load_params("trunk", TrunkParams)
    tuned = load_params("finetune", FinetuneParams)
    maker = load_encoder(trunk.encoder, trunk.model)
    out_dim = maker.dim if isinstance(maker, BringsAggregator) else tuned.descriptor_dim
    yield from check_set(
        chosen, near=load_params("prepare", PrepareParams),
        epochs=tuned.epochs, scale_to=trunk.scale_to,
        check_disk=partial(
            check_disk, maker=maker,
            split=find_split(trunk.encoder, trunk.model, trunk.trainable_from),
            precision=getattr(torch, trunk.precision),
            scale_to=trunk.scale_to, store=trunk.store,
            descriptor_width=partial(
                descriptor_width, tuned.aggregator,
                num_clusters=tuned.num_clusters, out_dim=out_dim,
            ),
        ),
    )  # fmt: skip
