"""`python -m vpr reproduce METHOD PROTOCOL`: our recall beside the published one.

Figures are as the encoders state them; docs/methods.md has the same table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

import vpr
from vpr.commands.berlin.challenge import NUM_QUERY, PROTOCOL, PUBLISHED_CORRECT
from vpr.commands.berlin.command import (
    PLAIN,
    baseline_params,
    copy_checkpoint,
    find_recall_at_1,
    place_checkpoint,
)
from vpr.datasets.formats import find_index, parse_set
from vpr.datasets.protocol_checks import follow_protocol
from vpr.datasets.protocols import PROTOCOLS, check_name
from vpr.features.published import Figures, Method
from vpr.repository.dvc import as_override, run_dvc
from vpr.repository.revisions import current_commit, find_revision, list_experiments
from vpr.run_files import RECALL, WEIGHTS
from vpr.runtime.parameters import suggest
from vpr.weights.checkpoints import describe_checkpoint, parse_checkpoint

MOST_STORED = 1_000  # images of a side whose features are stored; larger sets are not tuned on

BASELINE = "netvlad"  # the challenge's, whose encoder is vgg16
# How a published measurement differs from this run by its protocol, by method, or method and name.
DIFFERENCES: dict[tuple[str, ...], str] = {
    ("salad",): "precision: the authors' float16 autocast",
    ("cosplace", "msls-val"): "denominator: the author's own format of MSLS has about 11,000 "
    "queries (VPR-datasets-downloader, issue 18)",
    ("megaloc", "msls-val"): "another user measured 93.5 (VPR-methods-evaluation, issue 19)",
    ("boq", "nordland-1"): "size: the README states 1 frame, not how many queries",
    ("boq", "nordland-10"): "order: winter is BoQ's database (VPR-datasets-downloader, "
    "download_nordland.py)",
}


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


@dataclass(frozen=True)
class Published:
    """A model of a method, and what is published of it.

    Args:
        method: The value of `trunk.encoder`, or the baseline's name.
        model: The value of `trunk.model`.
        figures: By the name of the protocol: recall@1 in per cent, and where it was published.
        native: The encoder's own description; None for the baseline.
    """

    method: str
    model: str | None
    figures: Figures
    native: Method | None = None

    @property
    def name(self) -> str:
        """Method and model as a person types them."""
        return f"{self.method}:{self.model}" if self.model else self.method


def list_published() -> list[Published]:
    """List every model that an encoder publishes figures or weights of, and the baseline."""
    share = round(100 * PUBLISHED_CORRECT / NUM_QUERY, 2)
    source = f"challenge, {PUBLISHED_CORRECT} of {NUM_QUERY} queries"
    found = [Published(BASELINE, None, {PROTOCOL: (share, source)})]
    for file in sorted((Path(vpr.__file__).parent / "encoders").glob("[!_]*.py")):
        methods = getattr(import_module(f"vpr.encoders.{file.stem}"), "METHODS", {})
        found += [Published(file.stem, model, of.published, of) for model, of in methods.items()]
    return found


def find_published(words: str, protocol: str) -> Published:
    """Find a model by `METHOD` or `METHOD:MODEL`.

    Args:
        words: What the user typed; without a model the first that has a figure by the protocol.
        protocol: Name of the protocol.

    Raises:
        ValueError: If there is none of that name.
    """
    method, _, model = words.partition(":")
    every = list_published()
    fitting = [one for one in every if one.method == method and (not model or one.model == model)]
    if not fitting:
        names = dict.fromkeys(name for one in every for name in (one.method, one.name))
        raise ValueError(f"{words}: no method of this name{suggest(words, names)}")
    return next((one for one in fitting if protocol in one.figures), fitting[0])


def list_differences(one: Published, protocol: str) -> list[str]:
    """List how the published measurement is known to differ from one by the protocol."""
    keys = [(one.method,), (one.method, protocol)]
    return [DIFFERENCES[key] for key in keys if key in DIFFERENCES] if one.figures else []


def as_table(published: Sequence[Published]) -> list[str]:
    """Write methods x protocols in Markdown, those with a figure."""
    shown = [one for one in published if one.figures]
    names = [name for name in PROTOCOLS if any(name in one.figures for one in shown)]
    lines = [f"|method|{'|'.join(names)}|source|", "|---" * (len(names) + 2) + "|"]
    for one in shown:
        cells = [f"{one.figures[name][0]:g}" if name in one.figures else "" for name in names]
        sources = sorted({source for _, source in one.figures.values()})
        longest = [a for a, b in zip(sources, [*sources[1:], ""], strict=True)
                   if not b.startswith(a)]  # fmt: skip
        lines.append(f"|`{one.name}`|{'|'.join(cells)}|{'; '.join(longest)}|")
    return lines


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
    ours, figure = find_recall_at_1(metrics), one.figures.get(protocol)
    lines = [f"{one.name} by {protocol}: {PROTOCOLS[protocol].describe()}"]
    bounds = {
        title.replace("_", " "): (100 * low, 100 * high)
        for title, (low, high) in sorted(ours.intervals.items() if ours else ())
    }
    if ours is None:
        lines.append("ours        not among evaluate.recall_at")
    else:
        words = [f"{low:.2f} to {high:.2f} ({title})" for title, (low, high) in bounds.items()]
        lines.append(f"ours        {100 * ours.value:.2f} %  {', '.join(words)}")
    if figure is None:
        lines.append("published   none that we know of")
    else:
        lines.append(f"published   {figure[0]:.2f} %  ({figure[1]})")
    if ours is not None and figure is not None:
        outside = [title for title, (low, high) in bounds.items() if not low <= figure[0] <= high]
        place = (
            f"outside the interval ({' and '.join(outside)})" if outside else "within the interval"
        )
        lines.append(f"difference  {100 * ours.value - figure[0]:+.2f} points, {place}")
    precision = "precision: ours float32"
    size = "size: ours as the authors'" if one.native else "size: ours as the images are"
    images = PROTOCOLS[protocol].images
    lines.append(f"differs     {precision}; {size}" + (f"; protocol: {images}" if images else ""))
    return "\n".join([*lines, *(f"            {text}" for text in list_differences(one, protocol))])


def _free_name(name: str) -> str:
    """Find a name that no experiment has: an earlier one is kept."""
    taken = set(list_experiments())
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(free for free in names if free not in taken)
