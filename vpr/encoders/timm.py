"""Any model of timm that has a feature map: convolutional networks and vision transformers."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from vpr.features.encoder import PREFIX
from vpr.features.timm_encoder import NetworkOfTimm, state_names
from vpr.features.timm_networks import TOKEN, Network, Source, create, meta_network


class TimmEncoder(NetworkOfTimm):
    """A model of timm up to a layer, with timm's own weights."""

    weights = ("pretrained", "random")

    def __init__(self, source: Source) -> None:
        """Say what is known of licences."""
        words = f"{source.name} of timm (Apache-2.0)" + (
            f" up to {source.layer}" if source.layer else ""
        )
        super().__init__(
            source, f"{words}; its weights have a licence of their own, see the model's card"
        )

    def initial_state(self, weights: str, seed: int) -> tuple[dict[str, Tensor], str]:
        """Weights by name: `pretrained` (by timm's loader) or `random` (drawn from the seed)."""
        if weights == "random":
            return super().initial_state(weights, seed)
        state = _load_pretrained(self.source).state_dict()
        named = {PREFIX + name: state[name] for name in state_names(self.source)}
        return named, f"{self.source.name}, weights by timm"

    def match_file(self, name: str) -> tuple[str, str]:
        """Find the model that a file's weights are of: they decide how pixels are normalised.

        Weights of one architecture were trained with different means and deviations, by their tag.

        Args:
            name: The file's, such as `vit_small_patch16_224.dino.safetensors`, which timm's hub has
                under that name.

        Returns:
            The value of `trunk.model` with the tag as far as it is known, and in words what is
            uncertain.
        """
        plain, layer, keeps_token, _ = self.source
        architecture, _, tag = plain.partition(".")
        mine, named = _normalisation(plain), _find_named(name)
        rest = (TOKEN if keeps_token else "") + (f":{layer}" if layer else "")
        if named and not tag and named.startswith(f"{architecture}."):
            return named + rest, f"pixels are normalised as for {named}, by the file's name"
        words = ""
        if named and _normalisation(named) != mine:
            words = (
                f"the file has the name of {named}, which takes {_normalisation(named)}, and "
                f"trunk.model = {plain} takes {mine}: name the one that the weights are of"
            )
        elif not tag and len(kinds := _tags(architecture)) > 1:
            listed = "; ".join(f"{', '.join(tags)}: {kind}" for kind, tags in kinds.items())
            words = (
                f"pixels are normalised by {mine}, and weights of {architecture} differ in this "
                f"({listed}): name yours in trunk.model, as {architecture}.TAG"
            )
        return plain + rest, words


def make_encoder(variant: str | None) -> TimmEncoder:
    """Make the encoder of a model, as `resnet18`, `resnet18:layer3` or `NAME+token`.

    With `+token`, a vision transformer's class token stays in a row above the map, for aggregators
    that take it, and positions are resampled as in DINOv2's own code.

    Raises:
        ValueError: If no model is named.
    """
    form = re.fullmatch(r"(?P<name>\w+(\.\w+)?)(?P<token>\+token)?(:(?P<layer>.+))?", variant or "")
    if form is None:
        raise ValueError(
            f"trunk.model = {'null' if variant is None else variant}: trunk.encoder = timm needs "
            "the name of one of timm's models, such as resnet18 or vit_small_patch14_dinov2, and "
            "if need be its last layer in use, as resnet18:layer3; see docs/encoders.md"
        )
    token = form["token"] is not None
    return TimmEncoder(Source(form["name"], form["layer"], keeps_token=token, as_dinov2=token))


def _load_pretrained(source: Source) -> Network:
    name, own = source.name, meta_network(source).pretrained_cfg
    if own.get("hf_hub_id"):
        file = own.get("hf_hub_filename") or "model.safetensors"
        url = f"https://huggingface.co/{own['hf_hub_id']}/resolve/main/{file}"
    elif own.get("url"):
        url = own["url"]
    else:
        raise ValueError(
            f"pretrained.weights = pretrained: timm has no weights of {name}: set "
            "pretrained.weights to random or to a file of models/pretrained"
        )
    own_name = f"{own['architecture']}.{own['tag']}" if own.get("tag") else own["architecture"]
    local = own_name + Path(url).suffix
    try:
        with torch.random.fork_rng(devices=[]):
            return create(source, pretrained=True)
    except OSError as error:
        raise OSError(
            f"pretrained.weights = pretrained: {url} could not be downloaded "
            f"({str(error).splitlines()[0]}). On a machine with access download it, put it here "
            f"as models/pretrained/{local}, and set pretrained.weights to {local}"
        ) from None


def _normalisation(name: str) -> str:
    """Mean and deviation of a model's pixels, in words."""
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(name)
    return "the default" if config is None else f"mean {config.mean}, deviation {config.std}"


def _tags(architecture: str) -> dict[str, list[str]]:
    """Tags of an architecture's weights by how their pixels are normalised."""
    from timm.models import get_arch_pretrained_cfgs

    kinds: dict[str, list[str]] = {}
    for name in get_arch_pretrained_cfgs(architecture):
        kinds.setdefault(_normalisation(name), []).append(name.partition(".")[2])
    return kinds


def _find_named(file: str) -> str | None:
    """The model of timm, with its tag, that a file is named after."""
    from timm.models import get_arch_pretrained_cfgs

    words = re.split(r"\W+", file)
    names = (f"{one}.{tag}" for one, tag in pairwise(words))
    return next((n for n in names if n in get_arch_pretrained_cfgs(n)), None)
