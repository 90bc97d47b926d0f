"""Interface of matchers: do two photos show the same place? Each is a file of `vpr/matchers/`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vpr.runtime.store import content_key

DRAWER = Path(__file__).parents[1]
ANY_NUMBER = 2**31
Geometry = Literal["fundamental", "homography"]


@dataclass(frozen=True)
class LocalPoints:
    """Points of one image that can be found again in another.

    Args:
        points: x and y in pixels of the image as it was read, shape (num_points, 2).
        descriptors: Descriptor of each point, shape (num_points, dim), of any type; an image
            without points has the same type and dim as others.
        size: Height and width of the image as it was read, in pixels.
        read: Reads the image, RGB of shape (H, W, 3), for a matcher that sees it; None for others.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[Any]
    size: tuple[int, int]
    read: Callable[[], NDArray[np.uint8]] | None = None

    @property
    def most_matches(self) -> int:
        """Most matches that the image can have: one for each point, unless the pair finds them."""
        return len(self.points) if self.read is None else ANY_NUMBER

    @cached_property
    def key(self) -> str:
        """Hash of the content."""
        arrays = (self.points, self.descriptors, *([] if self.read is None else [self.read()]))
        forms = repr((self.size, *((array.shape, array.dtype.str) for array in arrays)))
        return content_key(forms.encode(), *(array.tobytes() for array in arrays))


class Folders(NamedTuple):
    """Where that is which `rerank.model` names.

    Args:
        weights: Folder of the library's models; None: there is none.
        foreign: Folder of foreign code; None: it is not run, which is enough to detect points.
    """

    weights: Path | None = None
    foreign: Path | None = None


NOWHERE = Folders()


class Rules(NamedTuple):
    """Which points match, and which matches count.

    Args:
        ratio: Threshold of Lowe's ratio test, see `vpr.matchers.base.matching`; None for the
            matcher's own.
        geometry: Model that the matches of one scene obey.
        tolerance_px: Largest error of an inlier, in pixels.
    """

    ratio: float | None
    geometry: Geometry
    tolerance_px: float


class Verified(NamedTuple):
    """What verification leaves of the matches of two images.

    Args:
        inliers: Rows of the query's and of the database image's points, shape (num_inliers, 2);
            a point of either occurs once at most.
        num_matches: Matches before geometry.
    """

    inliers: NDArray[np.int64]
    num_matches: int


class Matcher(Protocol):
    """Two photos -> evidence that they show the same place.

    A matcher with a network on a GPU has an attribute `uses_gpu`, which is True.
    """

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find and describe the strongest points of an image, the strongest first.

        Callers use `vpr.matchers.base.detection`, which leaves blank images without points.

        The pixels are RGB of shape (H, W, 3).
        """

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> Verified:
        """Find the matches that one geometry explains."""


def uses_gpu(matcher: Matcher) -> bool:
    """Return whether a matcher needs a GPU on every machine; False if it does not say."""
    return bool(getattr(matcher, "uses_gpu", False))


def load_matcher(
    method: str, model: str | None = None, folders: Folders = NOWHERE
) -> Matcher | None:
    """Import a matcher from the drawer.

    Args:
        method: The file's name, the value of `rerank.method`.
        model: The value of `rerank.model`; None for matchers that need none.
        folders: Where the model is looked up.

    Returns:
        The matcher; None for `none`, which keeps the retrieval as it is.

    Raises:
        ValueError: If there is no such file, or it needs a model, or it takes none.
    """
    methods = sorted(file.stem for file in DRAWER.glob("[!_]*.py"))
    if method not in methods:
        raise ValueError(
            f"rerank.method = {method}: there is no file vpr/matchers/{method}.py; there are "
            f"{', '.join(methods)}"
        )
    # By name: networks are slow to import, and most methods need few of them.
    drawer = import_module(f"vpr.matchers.{method}")
    takes_model = hasattr(drawer, "make_matcher_of")
    if takes_model and model is None:
        raise ValueError(
            f"rerank.model = null: rerank.method = {method} needs {drawer.EXAMPLE}; see "
            "docs/reranking.md"
        )
    if model is not None and not takes_model:
        raise ValueError(
            f"rerank.model = {model}: rerank.method = {method} takes no model: set rerank.model to "
            "null"
        )
    matcher: Matcher | None = (
        drawer.make_matcher_of(model, folders) if takes_model else drawer.make_matcher()
    )
    return matcher
