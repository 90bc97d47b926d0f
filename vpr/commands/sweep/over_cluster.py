"""Experiments over a Ray cluster: each in a clone on one node, its results pushed and fetched."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vpr.repository.dvc import DVC, ask_dvc, tell_dvc
from vpr.repository.git import current_commit, find_url
from vpr.runtime.ordered_map import ADDRESS, is_over_cluster, ordered_map

REMOTE = "origin"  # of git
OF_RAY = ("PYTHONPATH", ADDRESS)  # what an experiment must not see


class Experiment(NamedTuple):
    """An experiment to run.

    Args:
        name: That it gets.
        changes: Of parameters, each as `finetune.lr=1e-05`.
    """

    name: str
    changes: tuple[str, ...]


def run_over_cluster(experiments: Sequence[Experiment]) -> None:
    """Run experiments on the nodes of a cluster, and fetch each, though not its data.

    Args:
        experiments: Of the last commit, which git's remote has, as DVC's remote has its data.

    Raises:
        ValueError: If the cluster, a remote or the commit is missing there.
        OSError: If an experiment fails; the message has its last words.
    """
    if not is_over_cluster():
        raise ValueError(
            f"RAY=1: set {ADDRESS} to host:port of the cluster's head, see docs/ray.md"
        )
    url, commit = find_url(REMOTE), current_commit()
    if not ask_dvc("remote", "list").strip():
        raise ValueError(
            "RAY=1: nodes get data from DVC's remote, and there is none: docs/sharing.md"
        )
    done = ordered_map(make_runner, (url, commit), experiments, threads=os.cpu_count())
    for name in done:
        if not tell_dvc("exp", "pull", "--no-cache", REMOTE, name):
            sys.exit(1)


def make_runner(url: str, commit: str) -> Callable[[Iterable[Experiment]], Iterator[str]]:
    """Make what runs experiment after experiment and pushes it; it gives their names."""

    def run_all(experiments: Iterable[Experiment]) -> Iterator[str]:
        for one in experiments:
            with tempfile.TemporaryDirectory(prefix="vpr-sweep-") as folder:
                _run(Path(folder), url, commit, one)
            yield one.name

    return run_all


def _run(folder: Path, url: str, commit: str, experiment: Experiment) -> None:
    changes = [word for change in experiment.changes for word in ("-S", change)]
    _call(folder, "git", "clone", "-q", url, ".")
    _call(folder, "git", "checkout", "-q", commit)
    run = ("exp", "run", "--pull", "--allow-missing", "--name", experiment.name, *changes)
    _call(folder, *DVC, *run)
    _call(folder, *DVC, "exp", "push", "--force", REMOTE, experiment.name)


def _call(folder: Path, *words: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in OF_RAY}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    done = subprocess.run(
        words, cwd=folder, env={**kept, "PATH": path}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        said = "\n".join(done.stdout.strip().split("\n")[-15:])
        raise OSError(f"{' '.join(words)}: ended with {done.returncode} on a node: {said}")
