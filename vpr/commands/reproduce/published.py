"""Published recall of methods by protocol, as the encoders state it; source of docs/methods.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import vpr
from vpr.commands.berlin.challenge import NUM_QUERY, PROTOCOL, PUBLISHED_CORRECT
from vpr.datasets.protocols import PROTOCOLS
from vpr.features.published import Method
from vpr.runtime.parameters import suggest

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


class Figure(NamedTuple):
    """A published recall@1.

    Args:
        percent: The value.
        source: Where it was published.
    """

    percent: float
    source: str


@dataclass(frozen=True)
class Published:
    """A model of a method, and what is published of it.

    Args:
        method: The value of `trunk.encoder`, or the baseline's name.
        model: The value of `trunk.model`.
        figures: By the name of the protocol.
        native: The encoder's own description; None for the baseline.
    """

    method: str
    model: str | None
    figures: dict[str, Figure]
    native: Method | None = None

    @property
    def name(self) -> str:
        """Method and model as a person types them."""
        return f"{self.method}:{self.model}" if self.model else self.method


def list_published() -> list[Published]:
    """List every model that an encoder publishes figures or weights of, and the baseline."""
    share = round(100 * PUBLISHED_CORRECT / NUM_QUERY, 2)
    figure = Figure(share, f"challenge, {PUBLISHED_CORRECT} of {NUM_QUERY} queries")
    found = [Published(BASELINE, None, {PROTOCOL: figure})]
    for file in sorted((Path(vpr.__file__).parent / "encoders").glob("[!_]*.py")):
        methods = getattr(import_module(f"vpr.encoders.{file.stem}"), "METHODS", {})
        for model, method in methods.items():
            figures = {name: Figure(*of) for name, of in method.published.items()}
            found.append(Published(file.stem, model, figures, method))
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
        cells = [f"{one.figures[name].percent:g}" if name in one.figures else "" for name in names]
        sources = sorted({figure.source for figure in one.figures.values()})
        longest = [a for a, b in zip(sources, [*sources[1:], ""], strict=True)
                   if not b.startswith(a)]  # fmt: skip
        lines.append(f"|`{one.name}`|{'|'.join(cells)}|{'; '.join(longest)}|")
    return lines
