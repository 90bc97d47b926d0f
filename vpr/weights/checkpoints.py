"""Checkpoints of other people: every public form of an encoder's weights with NetVLAD, in one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from vpr.features.encoder import PREFIX, NamesWeights, load_encoder
from vpr.network.aggregator import recognise_aggregator
from vpr.weights.checkpoint_files import StoredArray, read_checkpoint
from vpr.weights.checkpoint_tensors import (
    choose_set,
    expected_shapes,
    find_problems,
    has_tensors,
    rename_tensors,
)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Starting weights, whatever form they came in.

    Args:
        encoder: The encoder's name.
        variant: Which of its models; None for its first.
        state: `encoder.N.weight`, `encoder.N.bias`, and as far as the file has them
            `pool.conv.weight` (K, C, 1, 1), `pool.conv.bias` (K,), `pool.centroids` (K, C),
            `WPCA.0.weight` (D, K * C, 1, 1), `WPCA.0.bias` (D,); float32.
        form: Where the weights come from, in words.
        notes: `epoch`, `recalls` (by N, or a list in the file's order), `best_score`, as far as
            the file has them; recalls in the unit of the file.
        remark: Uncertainty about the model they belong to; "" if there is none.
    """

    encoder: str
    variant: str | None
    state: dict[str, Tensor]
    form: str
    notes: dict[str, Any]
    remark: str = ""

    @property
    def aggregator(self) -> str | None:
        """The value of `finetune.aggregator` that the weights bring, or None without a pool."""
        return recognise_aggregator(self.state)

    @property
    def num_clusters(self) -> int | None:
        """K of NetVLAD, or None without a pool."""
        return len(self.state["pool.centroids"]) if "pool.centroids" in self.state else None

    @property
    def vlad_version(self) -> int | None:
        """2 if the assignment has a bias, 1 if not, None without a pool."""
        return None if self.num_clusters is None else 1 + ("pool.conv.bias" in self.state)

    @property
    def whitening_dim(self) -> int | None:
        """D of the whitening that comes with the weights, or None."""
        return len(self.state["WPCA.0.bias"]) if "WPCA.0.bias" in self.state else None


def parse_checkpoint(
    path: Path, *, encoder: str | None = None, variant: str | None = None, key: str | None = None
) -> Checkpoint:
    """Read a checkpoint of an encoder with or without an aggregator, recognised from its tensors.

    It may be in pytorch-NetVlad's form (also the challenge's and Patch-NetVLAD's), in that of the
    deep-visual-geo-localization benchmark, of CosPlace, EigenPlaces, Conv-AP, MixVPR, SALAD,
    MegaLoc or BoQ (with a ResNet), or a bare state_dict; wrapped by DataParallel as a whole or in
    parts, compiled, averaged or inside a Lightning module; or VGG16 alone, as torchvision
    distributes it (without its classifier).

    Args:
        path: A file of torch.save, or safetensors. No code in it is run.
        encoder: Name of the encoder that it must fit; None for the one that the file names, and
            vgg16 where it names none.
        variant: Which of its models.
        key: Which set of tensors, if the file holds several, such as `state_dict_ema`.

    Returns:
        Its tensors under the reference's names, and what else it tells.

    Raises:
        ValueError: If the file is damaged, would run code, holds several sets of tensors and none
            is chosen, or lacks tensors, has unknown ones, or ones of another shape or with values
            that are not finite; one message lists them all.
    """
    container, content = read_checkpoint(path)
    named = content.get("encoder")  # models of this pipeline name theirs
    if isinstance(named, str) and encoder not in (named, None):
        raise ValueError(f"{path}: is a model of trunk.encoder = {named}, not {encoder}")
    if encoder is None and isinstance(named, str):
        encoder, variant = named, content.get("model")
    encoder = encoder or "vgg16"
    maker = load_encoder(encoder, variant)
    note, source = "", content.get("model") if isinstance(named, str) else path.name
    if isinstance(maker, NamesWeights) and isinstance(source, str) and source != variant:
        variant, note = maker.match_file(source)
    try:
        place, inner = choose_set(content, maker, key)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    found, sources, problems = rename_tensors(inner, maker)
    problems += find_problems(found, sources, maker=maker)
    if problems:
        words = "\n  ".join(problems)
        raise ValueError(f"{path}: not a checkpoint of {encoder}:\n  {words}")
    names = list(expected_shapes(found, maker=maker))
    state = {name: found[name].detach().float().contiguous() for name in names}
    prefix = sources[names[0]].removesuffix(names[0].removeprefix(PREFIX))
    form = f"{container}, {f'tensors under {place}' if place else 'bare tensors'}, named {prefix}*"
    if not place:
        return Checkpoint(encoder, variant, state, form, {}, note)
    unread = [
        str(other)
        for other, value in content.items()
        if str(other) != place.partition(".")[0] and has_tensors(value)
    ]
    form += f" (not read: {', '.join(unread)})" if unread else ""
    return Checkpoint(encoder, variant, state, form, _notes(content), note)


def add_whitening(
    checkpoint: Checkpoint, whitening: Mapping[str, Tensor], *, source: Path
) -> Checkpoint:
    """Add a whitening beside the network, as Patch-NetVLAD stores it.

    Args:
        checkpoint: The network.
        whitening: `WPCA.0.weight` (D, K * C, 1, 1) and `WPCA.0.bias` (D,).
        source: Where the whitening comes from, for the message.

    Raises:
        ValueError: If the whitening is empty, or does not fit the network.
    """
    state = {**checkpoint.state, **whitening}
    maker = load_encoder(checkpoint.encoder, checkpoint.variant)
    problems = find_problems(state, {name: name for name in state}, maker=maker)
    if problems or "WPCA.0.weight" not in state:
        words = problems or ["it is empty: the stage whiten was off (whiten.dim = 0)"]
        raise ValueError(f"{source}: not a whitening for this network:\n  " + "\n  ".join(words))
    return replace(checkpoint, state=state)


def describe_checkpoint(checkpoint: Checkpoint) -> str:
    """Put in words what a checkpoint holds."""
    if checkpoint.aggregator not in ("netvlad", None):
        parts = [f"{checkpoint.encoder} with {checkpoint.aggregator}"]
    elif checkpoint.num_clusters is None:
        words = "without a pool: NetVLAD's clusters will come from the database"
        parts = [f"{checkpoint.encoder} {words}"]
    else:
        whitening = checkpoint.whitening_dim
        dim = checkpoint.state["pool.centroids"].shape[1]
        parts = [
            f"{checkpoint.encoder} with NetVLAD of {checkpoint.num_clusters} clusters x "
            f"{dim} dimensions (vladv{checkpoint.vlad_version})",
            f"whitening to {whitening} dimensions" if whitening else "no whitening",
        ]
    parts += [f"{key} {value}" for key, value in checkpoint.notes.items()]
    remark = f"\nnote: {checkpoint.remark}" if checkpoint.remark else ""
    return f"{checkpoint.form}: " + ", ".join(parts) + remark


def _notes(content: Mapping[object, Any]) -> dict[str, Any]:
    """Read notes that stand beside the tensors, as far as their form is known."""
    notes: dict[str, Any] = {}
    epoch = content.get("epoch", content.get("epoch_num"))
    if isinstance(epoch, int):
        notes["epoch"] = epoch
    recalls = _plain(content.get("recalls"))
    if isinstance(recalls, Mapping):
        recalls = {str(n): _plain(value) for n, value in recalls.items()}  # JSON has text as keys
        if _are_numbers(recalls.values()) and all(n.isdecimal() for n in recalls):
            notes["recalls"] = {int(n): value for n, value in recalls.items()}
    elif isinstance(recalls, list) and _are_numbers(recalls):
        notes["recalls"] = recalls
    score = _plain(content.get("best_score", content.get("best_r5")))
    if isinstance(score, int | float):
        notes["best_score"] = score
    return notes


def _plain(value: object) -> object:
    """A number or array of numpy's in Python's types."""
    if isinstance(value, StoredArray):
        return value.values
    return value.item() if isinstance(value, np.number | np.bool_) else value


def _are_numbers(values: Collection[object]) -> bool:
    return len(values) <= 100 and all(isinstance(value, int | float) for value in values)
