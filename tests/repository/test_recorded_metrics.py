"""Metrics of a commit belong to what lies beside them, or the difference is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
import yaml

from vpr.repository.recorded_metrics import read_lock
from vpr.repository.revisions import Revision

Files = dict[str, bytes]


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def entry(path: str, digest: str) -> dict[str, str]:
    return {"path": path, "hash": "md5", "md5": digest}


def commit() -> Files:
    """A commit in which `prepare`, `evaluate` and, after it, `report` ran, by hand."""
    files = {
        "params.yaml": b"prepare: {radius_m: 25, side: [1, 2], lr: 1e-5}\nreport: {depth: 5}",
        "env.yaml": b"numpy: 2.4.6\n",
        "vpr/places/a.py": b"A = 1\n",
        "vpr/places/b/c.py": b"C = 1\n",
        "metrics/recall.json": b'{"recall@1": 0.5}',
        "data/mine.dvc": yaml.safe_dump({"outs": [{"path": "mine", "md5": "d" * 32}]}).encode(),
        "data/prepared/log.txt": b"a file of an out, as experiments track some",
    }
    listing = [
        {"md5": md5(files[f"vpr/places/{name}"]), "relpath": name} for name in ("a.py", "b/c.py")
    ]
    code = entry("vpr/places", md5(json.dumps(listing).encode()) + ".dir")
    prepared = entry("data/prepared", "e" * 32 + ".dir")
    params = {"radius_m": 25, "side": [1, 2], "lr": 1e-5}
    stages = {
        "prepare": {
            "deps": [code, entry("data/mine", "d" * 32)],
            "params": {"params.yaml": {"prepare": params}},
            "outs": [prepared],
        },
        "evaluate": {
            "deps": [dict(prepared)],
            "params": {"env.yaml": {"numpy": "2.4.6"}},
            "outs": [entry("metrics/recall.json", md5(files["metrics/recall.json"]))],
        },
        "report": {"deps": [dict(prepared)], "params": {"params.yaml": {"report": {"depth": 5}}}},
    }
    return {**files, "dvc.lock": yaml.safe_dump({"stages": stages}).encode()}


def replaced(path: str, old: str, new: str, count: int = -1) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        assert old in files[path].decode()
        files[path] = files[path].decode().replace(old, new, count).encode()

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda files: None,
        replaced("params.yaml", "depth: 5", "depth: 6"),  # of a stage after the metrics
        replaced("params.yaml", "1e-5", "0.00001"),
        replaced("data/prepared/log.txt", "a", "b"),
        lambda files: files.pop("data/mine.dvc"),  # data outside the repository
    ],
)
def test_metrics_that_are_up_to_date_give_the_record(change: Callable[[Files], None]) -> None:
    files = commit()
    change(files)
    assert set(read_lock(Revision("main", files))) == {"prepare", "evaluate", "report"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (replaced("params.yaml", "25", "50"), "prepare.radius_m in params.yaml (25 -> 50)"),
        (replaced("params.yaml", "25", "null"), "prepare.radius_m in params.yaml (25 -> null)"),
        (
            replaced("params.yaml", "side: [1", "side: [2"),
            "prepare.side in params.yaml ([1, 2] -> [",
        ),
        (
            replaced("params.yaml", "lr: 1e-5", "lr: 1e-4"),
            "prepare.lr in params.yaml (1e-05 -> 0.0001)",
        ),
        (replaced("env.yaml", "2.4.6", "2.5.0"), 'numpy in env.yaml ("2.4.6" -> "2.5.0")'),
        (replaced("vpr/places/b/c.py", "1", "2"), "vpr/places"),
        (lambda files: files.update({"vpr/places/new.py": b""}), "vpr/places"),
        (replaced("metrics/recall.json", "0.5", "0.9"), "metrics/recall.json"),
        (replaced("data/mine.dvc", "d" * 32, "f" * 32), "data/mine"),
        (replaced("dvc.lock", "e" * 32, "f" * 32, 1), "data/prepared"),  # one stage ran, one not
    ],
)
def test_what_changed_since_the_metrics_were_computed_is_named(
    change: Callable[[Files], None], named: str
) -> None:
    files = commit()
    change(files)
    with pytest.raises(ValueError, match="main: metrics are out of date") as caught:
        read_lock(Revision("main", files))
    assert f"computed: {named}" in str(caught.value)


def test_a_commit_without_results_is_refused() -> None:
    with pytest.raises(ValueError, match=r"main: dvc\.lock has no stage evaluate: run `dvc repro`"):
        read_lock(Revision("main", {"params.yaml": b"a: 1"}))
