"""`python -m vpr reproduce METHOD PROTOCOL`: our recall beside the published one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vpr.commands.berlin.command import (
    PLAIN,
    baseline_params,
    copy_checkpoint,
    place_checkpoint,
)
from vpr.commands.reproduce.published import (
    Published,
    as_table,
    find_published,
    list_differences,
    list_published,
)
from vpr.datasets.formats import find_index, parse_set
from vpr.datasets.protocol_checks import follow_protocol
from vpr.datasets.protocols import PROTOCOLS, check_name
from vpr.evaluation.details import RecordedRecall, list_recalls
from vpr.repository.dvc import as_override, run_dvc
from vpr.repository.revisions import current_commit, find_revision, list_experiments
from vpr.run_files import RECALL, WEIGHTS
from vpr.weights.checkpoints import describe_checkpoint, parse_checkpoint

MOST_STORED = 1_000  # images of a side whose features are stored; larger sets are not tuned on


def reproduce(
    method: Annotated[
        str | None, typer.Argument(help="Method, or METHOD:MODEL, such as boq:dinov2_12288.")
    ] = None,
    protocol: Annotated[str | None, typer.Argument(help="Protocol, such as msls-val.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the protocol's set.")] = None,
    weights: Annotated[Path | None, typer.Option(help="The authors' weights.")] = None,
    index: Annotated[
        str | None, typer.Option(help="Ground truth in the folder. Default: recognised.")
    ] = None,
) -> None:
    """Run a published method by a published protocol as an experiment; alone, list both."""
    if method is None:
        rules = [f"{name}: {of.describe()} ({of.source})" for name, of in PROTOCOLS.items()]
        print(*as_table(list_published()), "", *rules, sep="\n")
        return
    if protocol is None or data is None or weights is None:
        raise ValueError("expected METHOD PROTOCOL --data FOLDER --weights FILE")
    one = find_published(method, check_name(protocol))
    data, weights = data.expanduser().resolve(), weights.expanduser()
    path = find_index(data, index)
    followed = follow_protocol(parse_set(data, path.name), protocol, asked_m=None)
    num_images = max(map(len, (followed.truth.database.paths, followed.truth.query.paths)))
    target = place_checkpoint(weights, WEIGHTS)
    params = choose_params(one, weights, target) | {
        "dataset.dir": data.as_posix(), "dataset.index": path.name, "dataset.crs": None,
        "dataset.protocol": protocol, "prepare.radius_m": None,
        "trunk.store": "all" if num_images <= MOST_STORED else 0,
    }  # fmt: skip
    if current_commit() is None:
        raise ValueError("an experiment starts from a commit: run `git commit` first")
    copy_checkpoint(weights, target)
    name = _free_name("-".join(filter(None, (one.method, one.model, protocol))))
    words = [word for key, value in params.items() for word in ("-S", as_override(key, value))]
    if not run_dvc("exp", "run", "--temp", "-n", name, "-C", target.as_posix(), *words):
        sys.exit(1)
    metrics = json.loads(find_revision(name).read_text(RECALL))
    print(describe_result(one, protocol, metrics))
    print(f"\nRecorded as experiment {name}: `dvc exp apply {name}`, `python -m vpr leaderboard`")


def choose_params(one: Published, weights: Path, target: Path) -> dict[str, object]:
    """Choose the parameters of a method that is not trained here.

    Args:
        one: The method's model.
        weights: The authors' file.
        target: Its place in models/pretrained.
    """
    if one.native is None:
        found = parse_checkpoint(weights, encoder="vgg16")
        print(f"{weights}: {describe_checkpoint(found)}")
        return baseline_params(Path(), target, found)
    found = parse_checkpoint(weights, encoder=one.method, variant=one.model)
    print(f"{weights}: {describe_checkpoint(found)}")
    return PLAIN | {
        "pretrained.weights": target.name, "trunk.encoder": one.method, "trunk.model": one.model,
        "trunk.trainable_from": "pool", "finetune.aggregator": one.native.aggregator,
    }  # fmt: skip


def describe_result(one: Published, protocol: str, metrics: Mapping[str, Any]) -> str:
    """Write our recall@1 beside the published one, and what differs.

    Args:
        one: The method's model.
        protocol: Name of the protocol.
        metrics: Content of metrics/recall.json.
    """
    ours = [found for found in list_recalls(metrics) if found.n == 1 and not found.is_of_sequences]
    lines = [
        f"{one.name} by {protocol}: {PROTOCOLS[protocol].describe()}",
        f"ours        {_describe_ours(ours[0]) if ours else 'not among evaluate.recall_at'}",
    ]
    figure = one.figures.get(protocol)
    lines.append(
        "published   none that we know of" if figure is None else
        f"published   {figure.percent:.2f} %  ({figure.source})"
    )  # fmt: skip
    if figure is not None and ours:
        outside = [
            title for title, (low, high) in sorted(ours[0].intervals.items())
            if not low <= figure.percent / 100 <= high
        ]  # fmt: skip
        missed = " and ".join(title.replace("_", " ") for title in outside)
        lines.append(
            f"difference  {100 * ours[0].value - figure.percent:+.2f} points, "
            + (f"outside the interval ({missed})" if outside else "within the interval")
        )
    precision = "precision: ours float32"
    size = "size: ours as the authors'" if one.native else "size: ours as the images are"
    images = PROTOCOLS[protocol].images
    lines.append(f"differs     {precision}; {size}" + (f"; protocol: {images}" if images else ""))
    return "\n".join([*lines, *(f"            {text}" for text in list_differences(one, protocol))])


def _describe_ours(found: RecordedRecall) -> str:
    intervals = ", ".join(
        f"{100 * low:.2f} to {100 * high:.2f} ({title.replace('_', ' ')})"
        for title, (low, high) in sorted(found.intervals.items())
    )
    return f"{100 * found.value:.2f} %  {intervals}"


def _free_name(name: str) -> str:
    """Find a name that no experiment has: an earlier one is kept."""
    taken = set(list_experiments())
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(free for free in names if free not in taken)
