"""Ways to describe and verify lines, measured with settings other than the product's.

Run from the repository's root: `python -m bench.quality.lines`. It runs the pipeline up to the
search in a temporary clone that shares this repository's cache, on the demo at `difficulty: 0.9`
and, where the environment variable VPR_REAL_DATA names the folder it lies in, on the webcams by
night; finds and verifies lines without DVC; and prints both tables of
docs/experiments/reranking.md: recall@1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.quality.choices import HARD, sets_for_choosing
from bench.quality.matchers import rerank_by
from bench.shared import markdown
from bench.shared.trials import run_stages, set_parameters, temporary_clone
from vpr.matchers import lines
from vpr.matchers.base.matcher import LocalPoints, Matcher, Rules, Verified, load_matcher
from vpr.matchers.base.matching import find_inliers
from vpr.matchers.lines import Lines

Ends = NDArray[np.float32]  # of matched lines in one image, x and y in pixels, (num_lines, 2, 2)
Flags = NDArray[np.bool_]  # whether each line counts, (num_lines,)
Counter = Callable[[Ends, Ends, Rules], Flags]


def _every_line(query: Ends, database: Ends, rules: Rules) -> Flags:
    return np.ones(len(query), np.bool_)


def _by_midpoints(query: Ends, database: Ends, rules: Rules) -> Flags:
    return find_inliers(query.mean(axis=1), database.mean(axis=1), rules)


def _by_samples(query: Ends, database: Ends, rules: Rules) -> Flags:
    share = np.linspace(0, 1, lines.SAMPLES, dtype=np.float32)[:, None]
    first, second = (
        (ends[:, None, 0] * (1 - share) + ends[:, None, 1] * share).reshape(-1, 2)
        for ends in (query, database)
    )
    inliers = find_inliers(first, second, rules).reshape(-1, lines.SAMPLES)
    counted: Flags = np.count_nonzero(inliers, axis=1) * 2 >= lines.SAMPLES
    return counted


def _by_both_ends(query: Ends, database: Ends, rules: Rules) -> Flags:
    inliers = find_inliers(query.reshape(-1, 2), database.reshape(-1, 2), rules)
    counted: Flags = np.count_nonzero(inliers.reshape(-1, 2), axis=1) == 2
    return counted


class _WholeLines(Lines):
    """Counts whole lines, where the product counts their ends.

    Args:
        counter: Decides which lines count.
    """

    def __init__(self, counter: Counter) -> None:
        super().__init__("bench")
        self._counter = counter

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> Verified:
        ends = lines.match_lines(query, database, ratio=1.0).reshape(-1, 2, 2)  # line, end, image
        counted = self._counter(query.points[ends[..., 0]], database.points[ends[..., 1]], rules)
        return Verified(ends[counted, 0], len(ends))


WAYS: dict[str, Counter] = {
    "nothing: matched lines counted": _every_line,
    "F of midpoints": _by_midpoints,
    "F of all samples, lines with half of them inliers": _by_samples,
    "F of both ends, lines with both inliers": _by_both_ends,
}


class Setting(NamedTuple):
    """A row of the second table.

    Args:
        method: Value of `rerank.method`.
        samples: Samples of a line.
        shortest_px: Length of the shortest line, in pixels.
        most: Value of `keypoints.max_keypoints`.
    """

    method: str
    samples: int
    shortest_px: float
    most: int


SETTINGS = (
    Setting("lines", 5, 8.0, 1024),
    Setting("lines", 3, 8.0, 1024),
    Setting("lines", 9, 8.0, 1024),
    Setting("lines", 5, 10.0, 1024),
    Setting("lines", 5, 16.0, 1024),
    Setting("points_and_lines", 5, 8.0, 1024),
    Setting("points_and_lines", 5, 8.0, 2048),
)


def _recall(title: object, matcher: Matcher) -> str:
    ranks, *_ = rerank_by(matcher)
    share = f"{(ranks <= 1).mean():.3f}"
    print(f"{title}: {share}", flush=True)
    return share


def measure_ways() -> list[str]:
    """Measure the first table's column in the clone that is the current folder."""
    return [_recall(name, _WholeLines(counter)) for name, counter in WAYS.items()]


def measure_settings(clone: Path, chosen: dict[str, object]) -> list[str]:
    """Measure the second table's column in the clone that is the current folder."""
    shares = []
    for setting in SETTINGS:
        lines.SAMPLES, lines.SHORTEST_PX = setting.samples, setting.shortest_px
        set_parameters(clone, chosen | {"keypoints.max_keypoints": setting.most})
        matcher = load_matcher(setting.method)
        assert matcher is not None
        shares.append(_recall(setting, matcher))
    lines.SAMPLES, lines.SHORTEST_PX = SETTINGS[0].samples, SETTINGS[0].shortest_px
    return shares


def main() -> None:
    """Print each figure as it is measured, then both tables."""
    own = (lines.SAMPLES, lines.SHORTEST_PX)
    assert own == SETTINGS[0][1:3], f"the first setting is not the product's {own}"
    sets = HARD | {name: values for name, values in sets_for_choosing().items() if "night" in name}
    ways: list[list[str]] = []
    settings: list[list[str]] = []
    with temporary_clone() as clone:
        for chosen in sets.values():
            run_stages(clone, chosen, "search", "prepare")
            with contextlib.chdir(clone):
                ways.append(measure_ways())
                settings.append(measure_settings(clone, chosen))
    titles = [*WAYS, "**F of both ends, each inlier counted**"]
    columns = [[*of_ways, own[0]] for of_ways, own in zip(ways, settings, strict=True)]
    print(markdown.table(["lines verified by", *sets], [*zip(titles, *columns, strict=True)]))
    names = ["`rerank.method`", "samples", "shortest", "`max_keypoints`"]
    shown = [
        (f"`{row.method}`", row.samples, f"{row.shortest_px:g} px", f"{row.most:,}", *cells)
        for row, *cells in zip(SETTINGS, *settings, strict=True)
    ]
    print(markdown.table([*names, *sets], shown))


if __name__ == "__main__":
    main()
