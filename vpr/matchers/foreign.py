"""A matcher by the user's own code: correspondences of points, or of lines by their ends.

The code is external, see `vpr.runtime.external_code`; docs/reranking.md shows what it looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import Folders
from vpr.matchers.base.photos import PhotoMatcher, Pixels
from vpr.runtime.device import find_device
from vpr.runtime.external_code import external_code, parse_entry, run_entry

EXAMPLE = (
    "the name of a folder of models/foreign and a function of its hubconf.py, as "
    "folder:entry(key=value), or owner/name@<40 digits of a commit>:entry(key=value)"
)
OUTSIDE_PX = 0.5  # the corner of the first pixel, for those who count from its centre


class Foreign(PhotoMatcher):
    """What an entry returned: an object with a method `match(photo_a, photo_b)`.

    Args:
        model: The value of `rerank.model`.
        foreign: Folder of the code; None: it is not run, and no pair is matched.
    """

    def __init__(self, model: str, foreign: Path | None) -> None:
        """Run the entry."""
        self.name = f"rerank.model = {model}"
        self._origin = model, foreign
        self._matcher = None if foreign is None else _make(model, foreign, self.name)
        # Its calls do not overlap, unless it says that they may.
        self._turn: Any = nullcontext() if getattr(self._matcher, "thread_safe", False) else Lock()
        self.uses_gpu = find_device().type == "cuda"

    def __reduce__(self) -> tuple[Callable[..., Foreign], tuple[str, Path | None]]:
        """Pickle as the call that makes it; the other machine needs the folder too."""
        return Foreign, self._origin

    def match(
        self, query: Pixels, database: Pixels
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Find corresponding points, of a line both ends.

        Raises:
            ValueError: If the code raises anything, or its result is not what it should be.
        """
        with self._turn, external_code(self.name):
            found = self._matcher.match(query.copy(), database.copy())  # type: ignore[union-attr]
            if not isinstance(found, tuple | list) or len(found) != 3:
                raise ValueError(f"match: expected points, points and scores, found {found!r:.80}")
            first, second = (np.asarray(points, np.float32) for points in found[:2])
            if not first.size and not second.size:  # in whatever shape
                first = second = np.empty((0, 2), np.float32)
            forms = (2,), (2, 2)  # a point, and a line's two ends
            if first.shape != second.shape or first.shape[1:] not in forms:
                raise ValueError(
                    "match: expected points (n, 2) or lines' ends (n, 2, 2) of both photos, found "
                    f"{first.shape} and {second.shape}"
                )
            return _points_of(first, query), _points_of(second, database)


def _points_of(points: NDArray[np.float32], photo: Pixels) -> NDArray[np.float32]:
    """Check that points lie in a photo, and list them, (num_points, 2)."""
    listed = points.reshape(-1, 2)
    height, width, _ = photo.shape
    inside = (listed >= -OUTSIDE_PX) & (listed <= [width, height])  # False for NaN
    if not inside.all():
        x, y = listed[~inside.all(axis=1)][0].tolist()
        raise ValueError(
            f"match: expected x and y in pixels inside a photo of {width}x{height}, found ({x:g}, "
            f"{y:g})"
        )
    return listed


def _make(model: str, foreign: Path, setting: str) -> Any:  # noqa: ANN401
    entry = parse_entry(model, setting=setting, example=EXAMPLE, home=foreign)
    if entry.commit is None and Path(entry.place).parent != foreign:
        raise ValueError(f"{setting}: expected {EXAMPLE}: DVC sees the edits of that folder alone")
    made = run_entry(entry, setting=setting)
    if not callable(getattr(made, "match", None)):
        raise ValueError(
            f"{setting}: expected an object with a method match, found {type(made).__name__}"
        )
    return made


def make_matcher_of(model: str, folders: Folders) -> Foreign:
    """Make the matcher of an entry."""
    return Foreign(model, folders.foreign)
