"""Photos ranked together where that gives each the bits that it gets alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vpr.commands.serve.refusals import Refusal
from vpr.commands.serve.run import Run
from vpr.images.pixels import scaled_size
from vpr.locating.ranking import Ranked

MOST_KINDS = 1000  # batches whose outcome is remembered


@dataclass(frozen=True, eq=False)
class Task:
    """Photos of one request.

    Args:
        run: That they are ranked by.
        photos: Their files.
        names: That a refusal says.
        size_px: Height and width of a single photo; None for several.
        top: Matches of each.
        length: Photos on a line; 1: each alone.
    """

    run: Run
    photos: Sequence[Path]
    names: Sequence[str]
    size_px: tuple[int, int] | None
    top: int
    length: int

    @property
    def scaled_px(self) -> tuple[int, int] | None:
        """Height and width at which the network sees a single photo."""
        if self.size_px is None:
            return None
        height, width = self.size_px
        return scaled_size((width, height), 1, self.run.ranker.network.scale_to)

    @property
    def kind(self) -> object:
        """What tasks have in common that can be ranked together; several photos stay alone."""
        return self if self.size_px is None else (self.run, self.scaled_px, self.top)


class Together:
    """Ranks tasks of one kind.

    The last bits of a convolution may differ between batches of one and of several images, by the
    size of both (see `vpr.features.batches`). So the first batch of a size is computed both ways,
    and where bits differ, photos of that size are computed one by one for as long as the run lasts.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.run: Run | None = None
        self.alike: dict[object, bool] = {}  # by size, number and matches of a batch, of that run

    def rank(self, tasks: Sequence[Task]) -> list[list[Ranked] | Exception]:
        """Rank the photos of each task, or give why it was not."""
        if tasks[0].run is not self.run:  # what is remembered would keep the old run in memory
            self.run, self.alike = tasks[0].run, {}
        # Not the log's concern: how large the features are, how far a batch of 20 ms has come.
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
            if len(tasks) == 1:
                return [_alone(tasks[0])]
            kind = (tasks[0].scaled_px, tasks[0].top, len(tasks))
            at_once = _at_once(tasks) if self.alike.get(kind) else None
            if at_once is not None:
                return at_once
            alone = [_alone(task) for task in tasks]
            if kind not in self.alike and not any(isinstance(one, Exception) for one in alone):
                at_once = _at_once(tasks)
                if at_once is not None:
                    self._remember(kind, _are_same(alone, at_once))
            return alone

    def _remember(self, kind: object, same: bool) -> None:
        if len(self.alike) >= MOST_KINDS:
            self.alike.clear()
        self.alike[kind] = same


def _at_once(tasks: Sequence[Task]) -> list[list[Ranked] | Exception] | None:
    """Rank the photos of all tasks as one batch; None if one of them makes that fail."""
    photos = [photo for task in tasks for photo in task.photos]
    try:
        return [[one] for one in tasks[0].run.rank(photos, tasks[0].top)]
    except ValueError:  # alone each gets its own answer
        return None


def _alone(task: Task) -> list[Ranked] | Exception:
    try:
        return task.run.rank_in_order(task.photos, task.top, task.length)
    except ValueError as error:  # too small for the network, or beyond the range of its type
        words = " ".join(str(error).split())
        for photo, name in zip(task.photos, task.names, strict=True):
            words = words.replace(str(photo), name)
        return Refusal(422, f"{words}.")


def _are_same(
    alone: Sequence[list[Ranked] | Exception], at_once: Sequence[list[Ranked] | Exception]
) -> bool:
    pairs = zip(alone, at_once, strict=True)
    return all(
        isinstance(a, list) and isinstance(b, list)
        and np.array_equal(a[0].indices, b[0].indices)
        and np.array_equal(a[0].distances, b[0].distances)
        for a, b in pairs
    )  # fmt: skip
