"""Recorded runs ranked by recall, each with its difference from a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from vpr.commands.compare.command import pair_recalls
from vpr.commands.compare.runs import ComparedRun
from vpr.evaluation.comparison import PairedRecall, adjust_by_holm
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.uncertainty import block_bootstrap_interval, wilson_interval
from vpr.repository.protocol import LOCKED, list_code_changes

# Parameters that say what is measured and how it is shown, not how places are recognised.
NOT_OF_METHODS = ("dataset", "prepare", "thumbnails", "sample", "evaluate", "report")
QUERY_DESCRIPTORS = "data/whitened/query.npy"
NPY_HEADER = 128  # bytes before the values of a .npy file
Interval = tuple[float, float]


@dataclass(frozen=True)
class Entry:
    """A run on one data set.

    Args:
        recalls: Recall and its interval at each depth N.
        paired: Comparison with the baseline at the smallest depth; None for the baseline itself
            and where there is none on this set.
        p_value: The comparison's p-value, adjusted for the number of comparisons.
    """

    run: ComparedRun
    recalls: Mapping[int, tuple[float, Interval]]
    paired: PairedRecall | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Row:
    """A configuration, with its run on each data set.

    Args:
        name: Names of its runs.
        entries: Its runs by the name of their data set.
        descriptor_bytes: Bytes of a descriptor in float32; None where it is not recorded.
        changes: Parameters and code that differ from the baseline's.
    """

    name: str
    entries: Mapping[str, Entry]
    descriptor_bytes: int | None
    changes: Sequence[str]


@dataclass(frozen=True)
class Leaderboard:
    """The table.

    Args:
        sets: Names of the data sets; a protocol's where one is named.
        rows: The best recall on the first set first.
        depth: The N at which runs are compared.
        baseline: Name of the row that the others are compared with.
        num_comparisons: Comparisons that p-values are adjusted for.
        confidence: Confidence of the intervals.
        left_out: Runs that are not shown, each with the reason.
    """

    sets: Sequence[str]
    rows: Sequence[Row]
    depth: int
    baseline: str
    num_comparisons: int
    confidence: float
    left_out: Sequence[str] = field(default_factory=list)


def rank_runs(runs: Sequence[ComparedRun], params: EvaluateParams, *, baseline: str) -> Leaderboard:
    """Rank runs by recall, those of one configuration on several data sets in one row.

    The comparisons with the baseline, on all data sets, are one family for the adjustment.

    Args:
        runs: The runs.
        params: How intervals are computed, alike for all of them.
        baseline: Name of the run whose configuration the others are compared with.

    Raises:
        ValueError: If no run has that name.
    """
    if baseline not in (names := [run.name for run in runs]):
        raise ValueError(f"--baseline {baseline}: expected one of {', '.join(names)}")
    sets = _name_sets(runs)
    groups = _group(runs, sets)
    base = next(group for group in groups if baseline in [run.name for run in group.values()])
    rows = [_row(group, base, params) for group in groups]
    compared = [
        (number, name, entry.paired)
        for number, row in enumerate(rows)
        for name, entry in row.entries.items()
        if entry.paired is not None
    ]
    adjusted = adjust_by_holm([paired.p_value for _, _, paired in compared])
    for (number, name, _), p_value in zip(compared, adjusted, strict=True):
        entry = replace(rows[number].entries[name], p_value=p_value)
        rows[number] = replace(rows[number], entries={**rows[number].entries, name: entry})
    order = list(dict.fromkeys(sets.values()))
    rows.sort(key=lambda row: [_sort_key(row.entries.get(name)) for name in order], reverse=True)
    return Leaderboard(order, rows, _depths(runs)[0], baseline, len(compared), params.confidence)


def _sort_key(entry: Entry | None) -> list[float]:
    return [] if entry is None else [recall for recall, _ in entry.recalls.values()]


def _depths(runs: Sequence[ComparedRun]) -> list[int]:
    return sorted(set.intersection(*(set(run.depths) for run in runs))) or [1]


def _measured(run: ComparedRun) -> tuple[str, ...]:
    """What a run was measured on, by content hash."""
    return tuple(run.protocol.hashes.get(thing, "") for thing in LOCKED.values())


def _name_sets(runs: Sequence[ComparedRun]) -> dict[tuple[str, ...], str]:
    """Name each data set: by protocol or folder, with the index or a number where needed."""
    first: dict[tuple[str, ...], ComparedRun] = {}
    for run in runs:
        first.setdefault(_measured(run), run)
    plain, full = {}, {}
    for key, run in first.items():
        dataset = _params(run).get("dataset", {})
        folder = PurePosixPath(str(dataset.get("dir", "set"))).name
        plain[key] = run.protocol.name or folder
        full[key] = f"{folder}/{PurePosixPath(str(dataset.get('index'))).stem}"
    for names in (plain, full):
        if len(set(names.values())) == len(names):
            return names
    return {key: f"{name} ({number})" for number, (key, name) in enumerate(plain.items(), start=1)}


def _group(
    runs: Sequence[ComparedRun], sets: Mapping[tuple[str, ...], str]
) -> list[dict[str, ComparedRun]]:
    """Put runs of one configuration on different data sets together."""
    groups: list[tuple[object, dict[str, ComparedRun]]] = []
    for run in runs:
        key, name = (_method(run), dict(run.code)), sets[_measured(run)]
        fitting = [group for other, group in groups if other == key and name not in group]
        if fitting:
            fitting[0][name] = run
        else:
            groups.append((key, {name: run}))
    return [group for _, group in groups]


def _row(
    group: Mapping[str, ComparedRun], base: Mapping[str, ComparedRun], params: EvaluateParams
) -> Row:
    entries = {}
    for name, run in group.items():
        entry = Entry(run, {n: _recall(run, n, params) for n in run.depths})
        if group is not base and name in base:
            entry = replace(entry, paired=pair_recalls(base[name], run, params)[0])
        entries[name] = entry
    first, basis = next(iter(group.values())), next(iter(base.values()))
    code = list_code_changes(basis.code, first.code)
    changes = [*_changed(_method(basis), _method(first)), *(f"code: {path}" for path in code)]
    names = ", ".join(run.name for run in group.values())
    return Row(names, entries, _descriptor_bytes(first), changes)


def _recall(run: ComparedRun, n: int, params: EvaluateParams) -> tuple[float, Interval]:
    """Recall with its interval along the route; of all or none Wilson's, which has a width."""
    hits = run.ranks <= n
    if hits.all() or not hits.any():
        return float(hits.mean()), wilson_interval(hits, confidence=params.confidence)
    return float(hits.mean()), block_bootstrap_interval(
        hits, block_length=params.block_length, num_samples=params.num_samples,
        confidence=params.confidence, seed=params.seed,
    )  # fmt: skip


def _params(run: ComparedRun) -> dict[str, dict[str, Any]]:
    """Collect the recorded parameters of a run by section and name."""
    found: dict[str, dict[str, Any]] = {}
    for stage in run.stages.values():
        for key, value in stage.get("params", {}).get("params.yaml", {}).items():
            section, _, name = key.partition(".")
            found.setdefault(section, {}).update({name: value} if name else value)
    return found


def _method(run: ComparedRun) -> dict[str, Any]:
    """List the parameters that say how places are recognised, by section and name."""
    return {
        f"{section}.{name}": value
        for section, values in _params(run).items()
        if section not in NOT_OF_METHODS
        for name, value in values.items()
    }


def _changed(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    for key, value in b.items():
        if key in a and a[key] != value:
            yield f"{key}={'null' if value is None else value}"


def _descriptor_bytes(run: ComparedRun) -> int | None:
    outs = (out for stage in run.stages.values() for out in stage.get("outs", []))
    sizes = [out["size"] for out in outs if out["path"] == QUERY_DESCRIPTORS and "size" in out]
    return None if not sizes else int(np.rint((sizes[0] - NPY_HEADER) / len(run.ranks)))
