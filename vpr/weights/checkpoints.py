"""Starting weights: by a name that the encoder knows, or a checkpoint of any public form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from vpr.features.encoder import PREFIX, BringsAggregator, NamesWeights, load_encoder
from vpr.features.model import Model
from vpr.network.aggregator import draw_published, recognise_aggregator
from vpr.weights.checkpoint_files import read_checkpoint
from vpr.weights.checkpoint_tensors import choose_set, fit_tensors, has_tensors

# Text files in models/pretrained that stand for weights; an encoder knows some of them.
NAMES = ("random", "imagenet", "pretrained")
# What stands beside the tensors, by its names in pytorch-NetVlad's files and the benchmark's.
NOTES = {
    "epoch": ("epoch", "epoch_num"),
    "recalls": ("recalls",),
    "best_score": ("best_score", "best_r5"),
}


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


def load_starting_model(
    path: Path, *, encoder: str, variant: str | None, split: str, seed: int
) -> tuple[Model, str]:
    """Find the tensors that a model starts with, and in words where they come from.

    Args:
        path: A file in models/pretrained: one of `NAMES`, whose weights the encoder draws or
            finds, or a checkpoint.
        encoder: The encoder's name.
        variant: Which of its models.
        split: The first layer that trains.
        seed: Seed of random weights.

    Raises:
        ValueError: If a checkpoint is refused, or the encoder knows no such weights, or those on
            this machine are damaged.
        OSError: If named weights are not on this machine and cannot be downloaded.
    """
    if path.name in NAMES:
        maker = load_encoder(encoder, variant)
        if path.name not in maker.weights:
            raise ValueError(
                f"pretrained.weights = {path.name}: trunk.encoder = {encoder} knows "
                f"{' and '.join(maker.weights)}; set it to one of them, or to a file of "
                "models/pretrained if the encoder takes one"
            )
        state, words = maker.initial_state(path.name, seed)
        aggregator = None
        if isinstance(maker, BringsAggregator):
            aggregator = maker.aggregator
            state |= draw_published(maker, seed)
    else:
        found = parse_checkpoint(path, encoder=encoder, variant=variant)
        variant, state, words = found.variant, found.state, describe_checkpoint(found)
        aggregator = found.aggregator
    model = Model(encoder, variant, split, state, aggregator or "netvlad")
    return model, f"{path.name}: {words}"


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
    try:
        state, first = fit_tensors(inner, maker)
    except ValueError as error:
        raise ValueError(f"{path}: not a checkpoint of {encoder}:\n  {error}") from None
    prefix = first.removesuffix(next(iter(state)).removeprefix(PREFIX))
    form = f"{container}, {f'tensors under {place}' if place else 'bare tensors'}, named {prefix}*"
    others = {str(key): value for key, value in content.items()} if place else {}
    others.pop(place.partition(".")[0], None)
    unread = [name for name, value in others.items() if has_tensors(value)]
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
    if not whitening:
        raise ValueError(f"{source}: is empty: the stage whiten was off (whiten.dim = 0)")
    maker = load_encoder(checkpoint.encoder, checkpoint.variant)
    try:
        state, _ = fit_tensors({**checkpoint.state, **whitening}, maker)
    except ValueError as error:
        raise ValueError(f"{source}: not a whitening for this network:\n  {error}") from None
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
    """Read the notes beside the tensors that are numbers."""
    notes = {}
    for name, keys in NOTES.items():
        value = next((content[key] for key in keys if key in content), None)
        if isinstance(value, Mapping):  # JSON has text as keys
            value = {int(n): number for n, number in value.items() if str(n).isdecimal()}
        numbers = list(value.values()) if isinstance(value, dict) else value
        if _is_number(numbers) or (isinstance(numbers, list) and all(map(_is_number, numbers))):
            notes[name] = value
    return notes


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
