"""`python -m vpr summary`: this run's recall next to the last commit's, and where its files are."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from vpr.evaluation.details import ANSWERABLE, NUM_WITHOUT, RecordedRecall, list_recalls
from vpr.repository.recorded_metrics import Protocol, check_same_protocol, read_lock, read_protocol
from vpr.repository.revisions import WORKSPACE, current_commit, differs_from_commit, find_revision
from vpr.run_files import DETAILS, LOCK, PREDICTIONS, QUERIES, RECALL, REPORT, SUBMISSION

FILES = {
    "Report": REPORT,
    "Submission": SUBMISSION,
    "Predictions": f"{PREDICTIONS}; per query: {QUERIES}",
}
CHANGED = """dvc.lock is not as committed. If you changed a parameter, code or data, this is
your result. If you changed nothing, this is another type of CPU or another
number of threads: hashes then differ in rounding. Either way keep the new
dvc.lock (git add dvc.lock metrics): without it the next run would compute
everything again."""


def summary() -> None:
    """Print recall with its intervals, next to the last commit's where it differs."""
    here = find_revision(WORKSPACE)
    protocol = read_protocol(read_lock(here))
    run, details = (json.loads(here.read_text(path)) for path in (RECALL, DETAILS))
    committed: Mapping[str, Any] = {}
    note = ""
    if current_commit() is not None:
        try:
            committed = _load_committed(protocol)
        except ValueError as error:
            note = textwrap.fill(f"The last commit is not shown: {error}", width=80)
    print(as_table(run, committed))
    if protocol.name:
        print(f"protocol {protocol.name}")
    if details.get(NUM_WITHOUT):
        print(describe_without_positives(run["num_queries"], details))
    if note:
        print(f"\n{note}")
    print()
    for name, path in FILES.items():
        print(f"{name + ':':<12} {path}")
    if differs_from_commit(LOCK):
        print(f"\n{CHANGED}")


def _load_committed(protocol: Protocol) -> Mapping[str, Any]:
    """Load the metrics of the last commit, if they are up to date and of the same protocol."""
    last = find_revision("HEAD")
    if not last.has(RECALL):
        return {}
    before = read_protocol(read_lock(last))
    if not before.hashes.items() & protocol.hashes.items():
        raise ValueError("it ran on another data set")
    check_same_protocol(before, protocol, names=("the last commit", "this run"))
    return dict(json.loads(last.read_text(RECALL)))


def as_table(run: Mapping[str, Any], committed: Mapping[str, Any]) -> str:
    """Write recall at each depth as a table of at most 80 columns.

    Args:
        run: Content of metrics/recall.json.
        committed: The same of the last commit; empty if there is none to compare with.
    """
    theirs = {one.name: _format(one) for one in list_recalls(committed)}
    ours = {one.name: _format(one) for one in list_recalls(run)}
    if not ours:
        return f"{run['num_queries']} queries; recall is left out: positions are unknown"
    differ = any(cell != ours[name] for name, cell in theirs.items() if name in ours)
    width = max(map(len, ["recall@N", *ours]))
    lines = [f"{'recall@N':<{width}}  {'this run':<21}" + ("  last commit" if differ else "")]
    for name, cell in ours.items():
        lines.append(
            f"{name:<{width}}  {cell:<21}" + (f"  {theirs.get(name, '')}" if differ else "")
        )
    lines.append(f"{run['num_queries']} queries; intervals by block bootstrap along the route")
    return "\n".join(line.rstrip() for line in lines)


def describe_without_positives(num_queries: int, details: Mapping[str, Any]) -> str:
    """Say how many queries have no positive, and what recall is over the others.

    `details` is the content of metrics/details.json.
    """
    without = details[NUM_WITHOUT]
    recalls = ", ".join(
        f"{name.removesuffix(ANSWERABLE)} {value:.3f}"
        for name, value in details.items()
        if name.startswith("recall@") and name.endswith(ANSWERABLE)
    )
    have, count = ("query has", "counts") if without == 1 else ("queries have", "count")
    words = (
        f"{without} {have} no positive (no database photo within the radius) and {count} as "
        f"failures; over the other {num_queries - without}: {recalls or 'none'}"
    )
    return textwrap.fill(words, width=80, break_on_hyphens=False)


def _format(one: RecordedRecall) -> str:
    low, high = one.intervals["block_bootstrap"]
    return f"{one.value:.3f} ({low:.3f}-{high:.3f})"
