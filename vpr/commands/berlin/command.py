"""`python -m vpr berlin DATA CHECKPOINT`, as `make berlin` calls it: the challenge's baseline."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.berlin.challenge import baseline_params, compare_with_published
from vpr.commands.berlin.challenge_files import copy_checkpoint, place_checkpoint, unpack_set
from vpr.repository.dvc import tell_dvc
from vpr.repository.parameter_edits import set_params
from vpr.run_files import RECALL, WEIGHTS
from vpr.weights.checkpoints import describe_checkpoint, parse_checkpoint

SET = Path("data/berlin")

NEXT = """To keep this as the baseline:
  git add params.yaml dvc.lock metrics {tracked} && git commit -m "Berlin baseline"
To train as the challenge does, and compare:
  dvc exp run -n finetuned -S finetune.epochs=5 -S finetune.lr=1e-5
  python -m vpr compare HEAD finetuned"""


def berlin(
    data: Annotated[Path, typer.Argument(help="Folder or zip with berlin.mat and its images.")],
    checkpoint: Annotated[Path, typer.Argument(help="pittsburgh_checkpoint.pth.tar.")],
) -> None:
    """Run the challenge's baseline on its data set, and print recall beside the published one."""
    data, checkpoint = data.expanduser(), checkpoint.expanduser()
    weights = place_checkpoint(checkpoint, WEIGHTS)
    found = parse_checkpoint(checkpoint, encoder="vgg16")
    print(f"{checkpoint}: {describe_checkpoint(found)}")
    params = baseline_params(SET, weights, found)
    try:
        written = {SET: unpack_set(data, SET), weights: copy_checkpoint(checkpoint, weights)}
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(f"{Path.cwd()}: the disk is full; unfinished files were removed") from None
    for path, is_new in written.items():
        print(f"{path}: {'written' if is_new else 'exists already, with the same bytes'}")
    _run("add", "--quiet", str(SET), str(weights))
    for change in set_params(params):
        print(f"params.yaml: {change}")
    _run("repro")
    print(compare_with_published(json.loads(RECALL.read_text())))
    print(NEXT.format(tracked=f"{SET}.dvc {weights}.dvc"))


def _run(*words: str) -> None:
    if not tell_dvc(*words):
        sys.exit(1)
