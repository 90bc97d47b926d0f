"""`python -m vpr summary`: the recall of this run beside the last commit's, and where files are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from vpr.repository.git import differs_from_commit, read_committed
from vpr.run_files import LOCK, PREDICTIONS, QUERIES, RECALL, REPORT, SUBMISSION

NAME = re.compile(r"(?:sequence_)?recall@\d+")
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
    """Print recall with its intervals, beside the last commit's where it differs."""
    print(as_table(_parse(RECALL.read_text(encoding="utf-8")), _committed()))
    print()
    for name, path in FILES.items():
        print(f"{name + ':':<12} {path}")
    if differs_from_commit(str(LOCK)):
        print(f"\n{CHANGED}")


def as_table(run: Mapping[str, Any], committed: Mapping[str, Any]) -> str:
    """Write recall at each depth as a table of at most 80 columns.

    Args:
        run: Content of metrics/recall.json.
        committed: The same of the last commit; empty if it has none.
    """
    names = [name for name in run if NAME.fullmatch(name)]
    rows = {name: (_cell(run, name), _cell(committed, name)) for name in names}
    differ = any(ours != theirs for ours, theirs in rows.values() if theirs)
    width = max(len("recall@N"), *map(len, names))
    lines = [f"{'recall@N':<{width}}  {'this run':<21}" + ("  last commit" if differ else "")]
    for name, (ours, theirs) in rows.items():
        lines.append(f"{name:<{width}}  {ours:<21}" + (f"  {theirs}" if differ else ""))
    lines.append(f"{run['num_queries']} queries; intervals by block bootstrap along the route")
    return "\n".join(line.rstrip() for line in lines)


def _cell(metrics: Mapping[str, Any], name: str) -> str:
    if name not in metrics:
        return ""
    low, high = metrics[f"{name}_block_bootstrap"]
    return f"{metrics[name]:.3f} ({low:.3f}-{high:.3f})"


def _committed() -> Mapping[str, Any]:
    try:
        return _parse(read_committed(RECALL.as_posix()))
    except (OSError, ValueError):  # no commit yet, or one without such a file
        return {}


def _parse(text: str) -> Mapping[str, Any]:
    try:
        metrics = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{RECALL}: not readable as JSON: {error}: run `dvc repro`") from None
    if not isinstance(metrics, dict) or "num_queries" not in metrics:
        raise ValueError(f"{RECALL}: expected metrics of a run, found {text[:80]!r}")
    return metrics
