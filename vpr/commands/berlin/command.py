"""`python -m vpr berlin DATA CHECKPOINT`, as `make berlin` calls it: the challenge's baseline."""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vpr.commands.berlin.challenge import (
    GROUND_TRUTH,
    NUM_QUERY,
    PROTOCOL,
    PUBLISHED_CORRECT,
    unpack_set,
)
from vpr.evaluation.details import RecordedRecall, list_recalls
from vpr.repository.dvc import run_dvc, set_params
from vpr.run_files import RECALL, WEIGHTS
from vpr.runtime.artefacts import built_aside, require_space
from vpr.weights.checkpoints import Checkpoint, describe_checkpoint, parse_checkpoint

SET = Path("data/berlin")
WHERE = "https://github.com/Nik-V9/HEAPUtil"  # links the checkpoint

# A published model as its authors measure it: whole images, no training, nothing after search.
PLAIN: dict[str, object] = {
    "pretrained.sha256": None, "trunk.precision": "float32", "trunk.max_side_px": None,
    "trunk.image_size": None, "trunk.store": "all", "finetune.descriptor_dim": None,
    "finetune.epochs": 0, "whiten.dim": 0, "search.top_k": 20, "search.index": "exact",
    "rerank.method": "none", "rerank.model": None, "sequence.length": 1,
    "evaluate.accept_by": "distance",
}  # fmt: skip

NEXT = """To keep this as the baseline:
  git add params.yaml dvc.lock metrics {tracked} && git commit -m "Berlin baseline"
To train as the challenge does, and compare:
  dvc exp run -n finetuned -S finetune.epochs=5 -S finetune.lr=1e-5
  python -m vpr compare HEAD finetuned"""


def berlin(
    data: Annotated[Path, typer.Argument(help="Folder or zip with berlin.mat and its images.")],
    checkpoint: Annotated[Path, typer.Argument(help="Path of pittsburgh_checkpoint.pth.tar.")],
) -> None:
    """Run the challenge's baseline on its data set, and print recall next to the published one."""
    data, checkpoint = data.expanduser(), checkpoint.expanduser()
    weights = place_checkpoint(checkpoint, WEIGHTS)
    found = parse_checkpoint(checkpoint, encoder="vgg16")
    print(f"{checkpoint}: {describe_checkpoint(found)}")
    params = baseline_params(SET, weights, found)
    written = {SET: unpack_set(data, SET), weights: copy_checkpoint(checkpoint, weights)}
    for path, is_new in written.items():
        print(f"{path}: {'written' if is_new else 'exists already, with the same bytes'}")
    _run("add", "--quiet", str(SET), str(weights))
    for change in set_params(params):
        print(f"params.yaml: {change}")
    _run("repro")
    print(compare_with_published(json.loads(RECALL.read_text())))
    print(NEXT.format(tracked=f"{SET}.dvc {weights}.dvc"))


def _run(*words: str) -> None:
    if not run_dvc(*words):
        sys.exit(1)


def baseline_params(folder: Path, weights: Path, checkpoint: Checkpoint) -> dict[str, object]:
    """Choose the parameters of the challenge's baseline, which does not train.

    Args:
        folder: The data set's folder.
        weights: The checkpoint's file in models/pretrained.
        checkpoint: Facts about the checkpoint.

    Raises:
        ValueError: If the checkpoint has no pool.
    """
    if checkpoint.num_clusters is None:
        raise ValueError(
            f"{weights.name}: VGG16 without NetVLAD's clusters, so it is not the baseline's: "
            f"expected pittsburgh_checkpoint.pth.tar, which {WHERE} links"
        )
    return PLAIN | {
        "dataset.dir": folder.as_posix(), "dataset.index": GROUND_TRUTH,
        "dataset.crs": "EPSG:32633", "dataset.protocol": PROTOCOL, "prepare.radius_m": None,
        "prepare.max_heading_deg": None,
        "pretrained.weights": weights.name, "trunk.encoder": "vgg16", "trunk.model": None,
        "trunk.trainable_from": "conv5_1", "finetune.aggregator": "netvlad",
        "finetune.num_clusters": checkpoint.num_clusters,
        "finetune.vlad_version": checkpoint.vlad_version,
    }  # fmt: skip


def find_recall_at_1(metrics: Mapping[str, Any]) -> RecordedRecall | None:
    """Find recall@1 of single queries in the content of metrics/recall.json."""
    found = (one for one in list_recalls(metrics) if one.n == 1 and not one.is_of_sequences)
    return next(found, None)


def compare_with_published(metrics: Mapping[str, Any]) -> str:
    """Describe recall@1 of a run and the published one.

    Args:
        metrics: Content of metrics/recall.json.
    """
    found, count = find_recall_at_1(metrics), metrics["num_queries"]
    ours = "not among evaluate.recall_at"
    if found is not None:
        ours = f"{found.value:.2%} ({round(found.value * count)} of {count})"
    published = f"{PUBLISHED_CORRECT / NUM_QUERY:.2%} ({PUBLISHED_CORRECT} of {NUM_QUERY})"
    return f"recall@1    {ours}\npublished   {published}"


def place_checkpoint(source: Path, folder: Path) -> Path:
    """Choose where a checkpoint goes: its own name, in letters that need no quoting."""
    return folder / re.sub(r"[^\w.-]+", "_", source.name)


def copy_checkpoint(source: Path, target: Path) -> bool:
    """Copy a checkpoint.

    Args:
        source: The file.
        target: Path of the copy; an existing file must have the same bytes.

    Returns:
        Whether anything was written.

    Raises:
        ValueError: If another file is there.
        OSError: If the disk is too small.
    """
    if target.exists():
        if not filecmp.cmp(source, target, shallow=False):
            raise ValueError(
                f"{target} exists already, with other bytes than {source}: rename one of them"
            )
        return False
    require_space(Path(), source.stat().st_size)
    with built_aside(target) as (aside,):
        shutil.copyfile(source, aside)
    return True
