"""A network of timm reads published models' files, with their aggregator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from vpr.features.encoder import POOL
from vpr.features.local_features import features_of, position_rows
from vpr.features.model import load_model, save_model
from vpr.features.trunk import load_trunk
from vpr.network.aggregator import draw_pool
from vpr.network.head import load_head
from vpr.network.initial_model import start_model
from vpr.weights.checkpoints import load_starting_model, parse_checkpoint

NUMBERS = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
SIZES = {"convap": 64, "mixvpr": 128, "boq": 2048, "gem": 32}


def write_published(file: Path, kind: str) -> dict[str, torch.Tensor]:
    """Write a model in the names that its authors' file has, and give timm's ResNet-18."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = timm.create_model("resnet18").state_dict()
    kept = {n: t for n, t in own.items() if not n.startswith("fc.")}
    if kind != "gem":
        kept = {n: t for n, t in kept.items() if not n.startswith("layer4")}
    content: dict[str, Any] = {}
    for name, tensor in kept.items():
        first, _, rest = name.partition(".")
        numbered = f"{NUMBERS[first]}.{rest}"
        content[{"gem": f"backbone.{numbered}", "boq": f"backbone.net.{numbered}"}.get(
            kind, f"backbone.model.{name}")] = tensor  # fmt: skip
    pool = draw_pool(kind, 512 if kind == "gem" else 256, out_dim=SIZES[kind], seed=1)
    for name, tensor in pool.items():
        plain = name.removeprefix("pool.")
        theirs = {"p": "1.p", "linear.weight": "3.weight", "linear.bias": "3.bias"}.get(plain)
        content[f"aggregation.{theirs}" if kind == "gem" else f"aggregator.{plain}"] = tensor
    torch.save(content, file)
    return {f"encoder.{n}": t for n, t in kept.items() if "num_batches" not in n} | pool


def variant(kind: str) -> str:
    return "resnet18" if kind == "gem" else "resnet18:layer3"


@pytest.mark.parametrize("kind", ["gem", "mixvpr"])
def test_a_published_file_brings_each_tensor_and_its_aggregator(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "published.pth"
    expected = write_published(file, kind)
    model, words = load_starting_model(
        file, encoder="timm", variant=variant(kind), split=POOL, seed=0
    )
    assert f"timm with {kind}" in words
    assert model.aggregator == kind
    assert model.tensors.keys() == expected.keys()
    assert all(torch.equal(model.tensors[name], tensor) for name, tensor in expected.items())

    pixels = torch.randint(0, 256, (1, 320, 320, 3), dtype=torch.uint8)
    with torch.inference_mode():
        maps = load_trunk(model, torch.float32)(pixels)
    stored = features_of(position_rows(maps), np.array([maps.shape[2:]]))
    given = {"num_clusters": 4, "vlad_version": 1, "seed": 0, "device": torch.device("cpu")}
    whole, origin = start_model(model, stored, aggregator=kind, descriptor_dim=None, **given)
    assert origin == f"{kind} from the weights" and whole.tensors.keys() == expected.keys()
    save_model(tmp_path / "model.pt", whole)
    with torch.inference_mode():
        descriptor = load_head(load_model(tmp_path / "model.pt"))(maps)
    assert descriptor.shape == (1, SIZES[kind])
    with pytest.raises(ValueError, match=rf"aggregator = netvlad, but the weights bring {kind}: "):
        start_model(model, stored, aggregator="netvlad", descriptor_dim=None, **given)
    with pytest.raises(ValueError, match=rf"descriptor_dim = 64, but the weights bring {kind}"):
        start_model(model, stored, aggregator=kind, descriptor_dim=64, **given)


def test_one_that_does_not_fit_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "published.pth"
    write_published(file, "convap")
    with pytest.raises(ValueError, match=r"convap of 256 channels, the encoder's maps have 128"):
        parse_checkpoint(file, encoder="timm", variant="resnet18:layer2")
    content = torch.load(file, weights_only=True)
    torch.save(content | {"aggregator.more": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match=r"aggregator\.more: not part of the network"):
        parse_checkpoint(file, encoder="timm", variant="resnet18:layer3")
    write_published(file, "boq")
    content = torch.load(file, weights_only=True)
    for name, problem in (
        ("aggregator.boqs.0.queries", "pool.boqs.0.queries: missing"),
        ("aggregator.boqs.1.norm_q.bias", "pool.boqs.1.norm_q.bias: missing"),
    ):
        torch.save({n: t for n, t in content.items() if n != name}, file)
        with pytest.raises(ValueError, match=problem):
            parse_checkpoint(file, encoder="timm", variant="resnet18:layer3")
    for name, tensor in (
        ("aggregator.boqs.0.queries", torch.zeros(3)),
        ("aggregator.proj_c.weight", torch.zeros(200, 256, 3, 3)),  # no whole heads
        ("aggregator.proj_c.weight", torch.zeros(40, 256, 3, 3)),  # no head at all
    ):
        torch.save(content | {name: tensor}, file)
        with pytest.raises(ValueError, match=r"not a checkpoint of timm:\n  pool: not boq's: "):
            parse_checkpoint(file, encoder="timm", variant="resnet18:layer3")
