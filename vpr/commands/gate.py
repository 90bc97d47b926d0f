"""`python -m vpr gate`: fail if recall is too low, or has dropped too far."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from vpr.repository.dvc import ask_dvc
from vpr.repository.recorded_metrics import check_same_protocol, read_lock, read_protocol
from vpr.repository.revisions import WORKSPACE, find_revision

Diff = Mapping[str, Mapping[str, Mapping[str, Any]]]  # file, metric, then old and new
Limit = tuple[str, float]  # metric, as `recall@1` or `metrics/recall.json:recall@1`, and bound


def gate(
    old: Annotated[str, typer.Argument(help="Revision or experiment to compare with.")] = "HEAD",
    new: Annotated[str, typer.Argument(help="Revision or experiment to judge.")] = WORKSPACE,
    min: Annotated[
        list[str] | None, typer.Option(help="Minimum allowed value, as METRIC=NUMBER.")
    ] = None,
    max_drop: Annotated[
        list[str] | None, typer.Option(help="Maximum allowed drop from OLD, as METRIC=NUMBER.")
    ] = None,
) -> None:
    """Exit with 1 unless every metric is within its limits; `dvc metrics diff` never fails."""
    minima, drops = ([parse_limit(text) for text in texts or []] for texts in (min, max_drop))
    if not minima and not drops:
        raise ValueError("expected a limit, found none: give --min or --max-drop")
    _check_runs(old, new, comparing=bool(drops))
    revisions = [old] if new == WORKSPACE else [old, new]
    diff = json.loads(ask_dvc("metrics", "diff", "--all", "--json", *revisions))
    if not any(diff.values()):  # DVC reports missing files by an empty object and exit code 0
        raise ValueError(
            "dvc metrics diff: expected metrics, found none on either side: run `dvc repro`, or "
            "restore the files with `git checkout metrics` and `dvc pull`"
        )
    verdicts = judge(diff, minima=minima, drops=drops)
    for passed, text in verdicts:
        print(f"{'ok  ' if passed else 'FAIL'}  {text}")
    if not all(passed for passed, _ in verdicts):
        sys.exit(1)


def _check_runs(old: str, new: str, *, comparing: bool) -> None:
    """Check that the metrics are up to date and, to compare them, of one protocol."""
    after = read_lock(find_revision(new))
    if comparing:
        before = read_lock(find_revision(old))
        check_same_protocol(read_protocol(before), read_protocol(after), names=(old, new))


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
    return metric, value


def judge(diff: Diff, *, minima: Sequence[Limit], drops: Sequence[Limit]) -> list[tuple[bool, str]]:
    """Check metrics against their limits.

    Args:
        diff: Old and new value of each metric.
        minima: The least that a new value may be.
        drops: Largest allowed decrease of each metric from its old value.

    Returns:
        For each limit whether it is kept, and why or why not. A value that is missing, NaN or
        infinite keeps no limit.
    """
    verdicts = []
    for metric, least in minima:
        values, found = _values(diff, metric, "new")
        passed = values is not None and values[0] >= least
        verdicts.append((passed, f"{metric}: {found}; the minimum is {least:g}"))
    for metric, most in drops:
        values, found = _values(diff, metric, "old", "new")
        # A drop of 0.02 is not above 0.02, though 0.52 - 0.50 is, in binary.
        passed = values is not None and values[0] - values[1] <= most + 1e-9
        verdicts.append((passed, f"{metric}: {found}; the maximum drop is {most:g}"))
    return verdicts


def _values(diff: Diff, metric: str, *sides: str) -> tuple[list[float] | None, str]:
    """Find the values of a metric, and describe them; None unless all are finite numbers."""
    entries = {
        f"{file}:{name}": values
        for file, metrics in diff.items()
        for name, values in metrics.items()
        if metric in (name, f"{file}:{name}")
    }
    if not entries:
        names = sorted({name for metrics in diff.values() for name in metrics})
        return None, f"no such metric; available: {', '.join(names)}"
    if len(entries) > 1:
        return None, f"ambiguous; name one of {', '.join(entries)}"
    (values,) = entries.values()
    found = [values.get(side) for side in sides]
    numbers = [value for value in found if isinstance(value, (int, float))]
    usable = len(numbers) == len(sides) and all(math.isfinite(number) for number in numbers)
    return (numbers if usable else None), " -> ".join(map(_format, found))


def _format(value: object) -> str:
    if value is None:
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
