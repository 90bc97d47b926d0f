"""Recorded runs ranked by recall, each with its difference from a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from vpr.commands.compare.runs import ComparedRun, pair_recalls, recorded_params
from vpr.evaluation.comparison import PairedRecall, adjust_by_holm
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.uncertainty import block_bootstrap_interval, wilson_interval
from vpr.report.params import list_changes
from vpr.repository.recorded_metrics import list_code_changes

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


@dataclass
class Row:
    """A configuration, with its run on each data set.

    Args:
        entries: Its runs by the name of their data set.
        descriptor_bytes: Bytes of a descriptor in float32; None where it is not recorded.
        changes: Parameters and code that differ from the baseline's.
        seconds: Mean seconds from a photo to its answer, of its first run; None: not measured.
    """

    entries: Mapping[str, Entry]
    descriptor_bytes: int | None
    changes: Sequence[str]
    seconds: float | None = None

    @property
    def name(self) -> str:
        """Names of its runs."""
        return ", ".join(entry.run.name for entry in self.entries.values())


@dataclass
class Leaderboard:
    """The table.

    Args:
        sets: Names of the data sets; a protocol's where one is named.
        rows: By recall on the first set, best first.
        depth: The N at which runs are compared.
        baseline: Name of the row that the others are compared with.
        num_comparisons: Comparisons that p-values are adjusted for.
        confidence: Confidence of the intervals.
        num_timed: Number of queries that were timed; 0: not measured.
        notes: Runs that are not shown or could not be timed, each with the reason.
    """

    sets: Sequence[str]
    rows: Sequence[Row]
    depth: int
    baseline: str
    num_comparisons: int
    confidence: float
    num_timed: int = 0
    notes: list[str] = field(default_factory=list)


def rank_runs(runs: Sequence[ComparedRun], params: EvaluateParams, *, baseline: str) -> Leaderboard:
    """Rank runs by recall, those of one configuration on several data sets in one row.

    The comparisons with the baseline, on all data sets, are one family for the adjustment.

    Args:
        runs: The runs.
        params: How intervals are computed, alike for all of them.
        baseline: Name of the run whose configuration the others are compared with.

    Raises:
        ValueError: If no run has that name, or the runs report no depth N in common.
    """
    if baseline not in (names := [run.name for run in runs]):
        raise ValueError(f"--baseline {baseline}: expected one of {', '.join(names)}")
    sets = _name_sets(runs)
    groups = _group(runs, sets)
    base = next(group for group in groups if baseline in [run.name for run in group.values()])
    depth = _common_depth(runs)
    paired = {
        run.name: pair
        for group in groups if group is not base
        for name, run in group.items() if name in base
        for pair in pair_recalls(base[name], run, params) if pair.n == depth
    }  # fmt: skip
    adjusted = adjust_by_holm([pair.p_value for pair in paired.values()])
    p_values = dict(zip(paired, adjusted, strict=True))
    rows = []
    for group in groups:
        entries = {
            name: Entry(
                run, {n: _recall(run, n, params) for n in run.depths}, paired.get(run.name),
                p_values.get(run.name),
            )
            for name, run in group.items()
        }  # fmt: skip
        first = next(iter(group.values()))
        changes = _list_changes(next(iter(base.values())), first)
        rows.append(Row(entries, _descriptor_bytes(first), changes))
    order = list(dict.fromkeys(sets.values()))
    rows.sort(key=lambda row: [_sort_key(row.entries.get(name)) for name in order], reverse=True)
    return Leaderboard(order, rows, depth, baseline, len(paired), params.confidence)


def _sort_key(entry: Entry | None) -> list[float]:
    return [] if entry is None else [recall for recall, _ in entry.recalls.values()]


def _common_depth(runs: Sequence[ComparedRun]) -> int:
    common = set.intersection(*(set(run.depths) for run in runs))
    if not common:
        reported = "; ".join(f"{run.name} reports {run.depths}" for run in runs)
        raise ValueError(f"no depth N in common: {reported}")
    return min(common)


def _name_sets(runs: Sequence[ComparedRun]) -> dict[str, str]:
    """Name each run's data set: by protocol or folder, with index or number where needed."""
    first: list[ComparedRun] = []
    place = {}
    for run in runs:
        same = [n for n, other in enumerate(first) if _measured_alike(run, other)]
        place[run.name] = same[0] if same else len(first)
        first += [] if same else [run]
    datasets = [recorded_params(run).get("dataset", {}) for run in first]
    folders = [PurePosixPath(str(dataset.get("dir", "set"))).name for dataset in datasets]
    plain = [run.protocol.name or folder for run, folder in zip(first, folders, strict=True)]
    full = [
        f"{folder}/{PurePosixPath(str(dataset.get('index'))).stem}"
        for folder, dataset in zip(folders, datasets, strict=True)
    ]
    numbered = [f"{name} ({number})" for number, name in enumerate(plain, start=1)]
    names = next(names for names in (plain, full, numbered) if len(set(names)) == len(names))
    return {run: names[number] for run, number in place.items()}


def _measured_alike(a: ComparedRun, b: ComparedRun) -> bool:
    """Return whether two runs agree in all that both know of what they were measured on."""
    both = a.protocol.hashes.keys() & b.protocol.hashes.keys()
    return bool(both) and all(a.protocol.hashes[one] == b.protocol.hashes[one] for one in both)


def _group(runs: Sequence[ComparedRun], sets: Mapping[str, str]) -> list[dict[str, ComparedRun]]:
    """Put runs of one configuration on different data sets together."""
    groups: list[tuple[object, dict[str, ComparedRun]]] = []
    for run in runs:
        key = (_method(run), dict(run.code)) if run.stages else run.name
        name = sets[run.name]
        fitting = [group for other, group in groups if other == key and name not in group]
        if fitting:
            fitting[0][name] = run
        else:
            groups.append((key, {name: run}))
    return [group for _, group in groups]


def _recall(run: ComparedRun, n: int, params: EvaluateParams) -> tuple[float, Interval]:
    """Recall with its interval along the route; of all or none Wilson's, which has a width."""
    hits = run.ranks <= n
    if hits.all() or not hits.any():
        return float(hits.mean()), wilson_interval(hits, confidence=params.confidence)
    return float(hits.mean()), block_bootstrap_interval(
        hits, block_length=params.block_length, num_samples=params.num_samples,
        confidence=params.confidence, seed=params.seed,
    )  # fmt: skip


def _method(run: ComparedRun) -> dict[str, dict[str, Any]]:
    """Select the parameters that say how places are recognised, by section and name."""
    params = recorded_params(run)
    return {section: params[section] for section in params if section not in NOT_OF_METHODS}


def _list_changes(base: ComparedRun, run: ComparedRun) -> list[str]:
    """List the parameters and the code of a run that differ from the baseline's."""
    changes = [
        f"{key}={'null' if value is None else value}"
        for key, _, value in list_changes(_method(base), _method(run))
    ]
    return [*changes, *(f"code: {path}" for path in list_code_changes(base.code, run.code))]


def _descriptor_bytes(run: ComparedRun) -> int | None:
    outs = [out for stage in run.stages.values() for out in stage.outs]
    sizes = [out.size for out in outs if out.path == QUERY_DESCRIPTORS and out.size is not None]
    return round((sizes[0] - NPY_HEADER) / len(run.ranks)) if sizes else None
