"""A model: tensors by name, with the encoder that they belong to, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from vpr.features.encoder import Encoder, load_encoder, tensor_shapes
from vpr.runtime.tensors import check_tensors, load_content, plain_tensors, save_content

KEYS = ("encoder", "model", "trainable_from", "aggregator", "state_dict")


@dataclass(frozen=True, eq=False)
class Model:
    """Tensors of a network, or of a part of it.

    Args:
        encoder: Name of the encoder, the value of `trunk.encoder`.
        variant: Name of one of its models, the value of `trunk.model`; None for its first.
        split: The first layer that trains, see `vpr.features.encoder`.
        tensors: By the reference's names: `encoder.*`, `pool.*` and `WPCA.*`.
        aggregator: Aggregator, the value of `finetune.aggregator`; published weights with one have
            NetVLAD.
    """

    encoder: str
    variant: str | None
    split: str
    tensors: dict[str, Tensor]
    aggregator: str = "netvlad"

    def make_encoder(self) -> Encoder:
        """Make the encoder, without its weights."""
        return load_encoder(self.encoder, self.variant)

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> Model:
        """Copy the model with tensors added or replaced."""
        return replace(self, tensors={**self.tensors, **tensors})

    def parts(self) -> tuple[Model, Model]:
        """Split the model into its frozen tensors and all others, keeping their order."""
        names = tensor_shapes(self.make_encoder(), self.split)
        frozen = {name: tensor for name, tensor in self.tensors.items() if name in names}
        rest = {name: tensor for name, tensor in self.tensors.items() if name not in names}
        return replace(self, tensors=frozen), replace(self, tensors=rest)


def save_model(path: Path, model: Model) -> None:
    """Write a model under the keys of `KEYS`."""
    names = (model.encoder, model.variant, model.split, model.aggregator)
    save_content(path, dict(zip(KEYS, (*names, plain_tensors(model.tensors)), strict=True)))


def load_model(path: Path) -> Model:
    """Read what `save_model` wrote.

    Raises:
        ValueError: If the file is damaged, is not a model of this pipeline, or has a tensor that is
            not finite.
    """
    content = load_content(path)
    if tuple(content) != KEYS or not isinstance(content["state_dict"], dict):
        raise ValueError(
            f"{path}: expected a model of this pipeline ({', '.join(KEYS)}), found "
            f"{', '.join(map(str, list(content)[:5])) or 'nothing'}: make it by `dvc repro`"
        )
    tensors = check_tensors(content["state_dict"], path)
    encoder, variant, split, aggregator = (content[key] for key in KEYS[:-1])
    return Model(encoder, variant, split, tensors, aggregator)
