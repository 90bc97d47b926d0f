"""Whether metrics are good enough to go on: DVC shows a drop, but never fails for one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Diff = Mapping[str, Mapping[str, Mapping[str, Any]]]  # file, metric, then old and new


@dataclass(frozen=True)
class Limit:
    """A bound on a metric.

    Args:
        metric: Its name, `recall@1`, or with the file before it: `metrics/recall.json:recall@1`.
        value: The bound.
    """

    metric: str
    value: float


def parse_limit(text: str) -> Limit:
    """Parse a bound as a person types it: `recall@1=0.5`.

    Raises:
        ValueError: If it is not a name and a finite number.
    """
    metric, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not metric or not math.isfinite(value):
        raise ValueError(f"{text!r}: expected METRIC=NUMBER, such as recall@1=0.5")
    return Limit(metric, value)


def parse_diff(text: str) -> Diff:
    """Parse what `dvc metrics diff --all --json` printed.

    Raises:
        ValueError: If it holds no metric: then DVC found no metrics file, which it says by an empty
            object and exit code 0.
    """
    try:
        diff = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"dvc metrics diff: expected JSON, found {text[:200]!r}: {error}"
        ) from None
    if not isinstance(diff, dict) or not any(diff.values()):
        raise ValueError(
            "dvc metrics diff: expected metrics, found none on either side: run `dvc repro`, or "
            "restore the files with `git checkout metrics` and `dvc pull`"
        )
    return diff


def judge(diff: Diff, *, minima: Sequence[Limit], drops: Sequence[Limit]) -> list[tuple[bool, str]]:
    """Hold metrics against their limits.

    Args:
        diff: Of the metrics.
        minima: The least that a new value may be.
        drops: How much smaller than the old value a new one may be.

    Returns:
        For each limit whether it is kept, and why or why not. A value that is missing or is no
        finite number keeps no limit.
    """
    verdicts = []
    for limit in minima:
        values, new = _values(diff, limit.metric, "new")
        kept = values is not None and float(values[0]) >= limit.value
        verdicts.append((kept, f"{limit.metric}: {new}; at least {limit.value:g} is asked for"))
    for limit in drops:
        values, words = _values(diff, limit.metric, "old", "new")
        # A drop of 0.02 is no more than 0.02, though 0.52 - 0.50 is, in binary.
        kept = values is not None and values[0] - values[1] <= limit.value + 1e-9
        verdicts.append(
            (kept, f"{limit.metric}: {words}; a drop of at most {limit.value:g} is allowed")
        )
    return verdicts


def _values(diff: Diff, metric: str, *sides: str) -> tuple[list[float] | None, str]:
    """Find the values of a metric, and put them in words; None if one is no finite number."""
    entries = {
        f"{file}:{name}": values
        for file, metrics in diff.items()
        for name, values in metrics.items()
        if metric in (name, f"{file}:{name}")
    }
    if not entries:
        return None, f"no such metric; available: {', '.join(_names(diff))}"
    if len(entries) > 1:
        return None, f"ambiguous; name one of {', '.join(entries)}"
    (values,) = entries.values()
    found = [values.get(side) for side in sides]
    words = " -> ".join(map(_words, found))
    numbers = [value for value in found if isinstance(value, (int, float))]
    usable = len(numbers) == len(sides) and all(math.isfinite(number) for number in numbers)
    return (numbers if usable else None), words


def _words(value: object) -> str:
    if value is None:
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _names(diff: Diff) -> list[str]:
    return sorted({name for metrics in diff.values() for name in metrics})
