"""Real runs of the pipeline with changed parameters, in a temporary clone that shares the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vpr.repository.dvc import set_params

# The challenge's network, with random weights for lack of a checkpoint, and its epochs.
CHALLENGE: dict[str, object] = {
    "pretrained.weights": "random", "trunk.encoder": "vgg16", "trunk.model": None,
    "trunk.trainable_from": "conv5_1", "trunk.max_side_px": None, "finetune.num_clusters": 16,
    "finetune.epochs": 5,
}  # fmt: skip
# The settings for it with batches of places, from docs/training.md.
CHALLENGE_PLACES: dict[str, object] = {
    "finetune.batch": "places", "finetune.loss": "triplet", "finetune.mining": "hard",
    "finetune.images_per_place": 2, "finetune.lr": 3e-3,
}  # fmt: skip
# Benches measure the retrieval; those of verification turn it on.
RETRIEVAL: dict[str, object] = {"rerank.method": "none", "evaluate.accept_by": "distance"}
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def temporary_clone(*, cold: bool = False) -> Iterator[Path]:
    """A clone of the last commit whose DVC cache is this repository's, removed afterwards.

    A trial's results stay in the cache, so repeating it costs nothing.

    Args:
        cold: Whether the clone starts with an empty cache of its own instead.

    Yields:
        The clone's folder.
    """
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        if not cold:
            call(clone, "dvc", "cache", "dir", "--local", str(ROOT / ".dvc" / "cache"))
        yield clone


def run_trial(clone: Path, parameters: Mapping[str, object], *, target: str) -> dict[str, Any]:
    """Run the pipeline up to one stage with some committed parameters changed.

    Returns:
        The content of metrics/recall.json.
    """
    run_stages(clone, parameters, target)
    metrics: dict[str, Any] = json.loads((clone / "metrics" / "recall.json").read_text())
    return metrics


def run_stages(clone: Path, parameters: Mapping[str, object], *targets: str) -> None:
    """Run the pipeline up to some stages, with some committed parameters changed."""
    set_parameters(clone, parameters)
    call(clone, "dvc", "repro", *targets)


def set_parameters(clone: Path, parameters: Mapping[str, object]) -> None:
    """Change some of the committed parameters of a clone, and turn verification off otherwise.

    New values are by key, such as {"finetune.epochs": 0}.
    """
    call(clone, "git", "checkout", "-q", "params.yaml")
    set_params({**RETRIEVAL, **parameters}, path=clone / "params.yaml")


def call(clone: Path, *command: str) -> None:
    """Run a command in the clone with this Python's programs; print its output if it fails."""
    done = subprocess.run(
        command, cwd=clone, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def environment(**settings: str) -> dict[str, str]:
    """Environment with this Python's programs and some settings."""
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, **settings}
