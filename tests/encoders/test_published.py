"""Published methods read their authors' files, and describe photos as a slow reading does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

import vpr.encoders
from tests.support import published_readings as slow
from tests.support.repositories import ROOT
from vpr.features import encoder as seam
from vpr.features.encoder import ALL, POOL, check_aggregator, check_resizing, load_encoder
from vpr.features.published import PublishedEncoder
from vpr.features.trunk import Trunk, load_trunk
from vpr.network.aggregator import pool_shapes, sized_tensors
from vpr.network.head import load_head
from vpr.weights.checkpoints import load_starting_model, parse_checkpoint

Read = Callable[[slow.File, np.ndarray, "Case"], Tensor]
STAGES = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
GEM = {"p": "1.p", "linear.weight": "3.weight", "linear.bias": "3.bias"}
GEM_BACK = {theirs: ours for ours, theirs in GEM.items()}
NAMES = {path.stem for path in Path(ROOT, "vpr/encoders").glob("*.py")
         if "encoder_maker" in path.read_text()}  # fmt: skip


class Case(NamedTuple):
    """A model of a method on a network of few layers.

    Args:
        network: In timm.
        before: What the authors' file puts before timm's names.
        read: The slow reading.
        size: Height and width that photos are resized to; None: as they are.
        layer: The last in use, where the network has fewer than the method's.
        sizes: Of the aggregator, where the method's are large.
        numbered: Whether the file numbers a network's layers.
        more: Tensors of the file that are not used.
    """

    network: str
    before: str
    read: Read
    kernel: str = "bilinear"
    kind: str = "numbers"
    size: tuple[int, int] | None = None
    layer: str | None = None
    sizes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    numbered: bool = False
    more: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def network_of(file: slow.File, case: Case) -> torch.nn.Module:
    """Timm's network with a file's tensors under timm's names."""
    network = timm.create_model(case.network, num_classes=0)
    own = {n: t for n, t in file.below(case.before).items() if n != "mask_token"}
    back = {number: stage for stage, number in STAGES.items()}
    if case.numbered:
        parts = [(name.partition("."), tensor) for name, tensor in own.items()]
        own = {f"{back.get(first, first)}.{rest}": tensor for (first, _, rest), tensor in parts}
    if case.network == "narrow_vgg16":
        own = {f"features.{name}": tensor for name, tensor in own.items()}
    assert not network.load_state_dict(own, strict=False).unexpected_keys
    return network.eval()


def seen(photo: np.ndarray, case: Case) -> Tensor:
    """Image (1, 3, H, W) of a photo, of the method's size; MegaLoc's are multiples of 14."""
    height, width = case.size or photo.shape[:2]
    if case.size is None and case.network == DINO:
        height, width = (14 * round(side / 14) for side in (height, width))
    return slow.photo_input(photo, (height, width), case.kernel, case.kind)[None]


def with_token(file: slow.File, photo: np.ndarray, case: Case) -> Tensor:
    """All tokens after the last norm, then SALAD, and for MegaLoc a linear layer."""
    network = network_of(file, case)
    tokens = network.norm(slow.dinov2_tokens(network, seen(photo, case)))[0]
    if not case.sizes:
        return slow.salad(file, tokens[0], tokens[1:], "aggregator.")
    made = slow.salad(file, tokens[0], tokens[1:], "aggregator.agg.")
    return slow.unit(file.linear("aggregator.linear", made))


def patches_alone(file: slow.File, photo: np.ndarray, case: Case) -> Tensor:
    """The patches' tokens before the last norm, then BoQ."""
    rows = slow.dinov2_tokens(network_of(file, case), seen(photo, case))[0, 1:]
    return slow.boq(file, rows.T.reshape(-1, 23, 23))


def of_maps(layers: str, aggregate: Callable[[slow.File, Tensor], Tensor]) -> Read:
    """The layers of a convolutional network, then an aggregator."""

    def read(file: slow.File, photo: np.ndarray, case: Case) -> Tensor:
        maps, network = seen(photo, case), network_of(file, case)
        for name in layers.split():
            maps = network.get_submodule(name)(maps)
        return aggregate(file, maps[0])

    return read


THIRD = "conv1 bn1 act1 maxpool layer1 layer2 layer3"
VGG = " ".join(f"features.{number}" for number in range(29))
DINO, SMALL = "shallow_dinov2", (("linear.weight", (24, 16640)),)
CASES = {
    ("megaloc", "own_size"): Case(DINO, "backbone.", with_token, sizes=SMALL),
    ("salad", "8448"): Case(
        DINO, "backbone.model.", with_token, kind="bytes", size=(322, 322), more=("mask_token",)
    ),
    ("boq", "dinov2_12288"): Case(
        DINO, "backbone.dino.", patches_alone, kernel="bicubic", size=(322, 322),
        layer="blocks.1", more=("mask_token", "norm.weight", "norm.bias"),
    ),
    ("boq", "resnet50_16384"): Case(
        "shallow_resnet50", "backbone.net.", of_maps(THIRD, slow.boq), kernel="bicubic",
        size=(384, 384), numbered=True,
    ),
    ("cosplace", "resnet18_64"): Case(
        "resnet18", "backbone.", of_maps(f"{THIRD} layer4", slow.gem), numbered=True
    ),
    ("cosplace", "vgg16_64"): Case("narrow_vgg16", "backbone.", of_maps(VGG, slow.gem)),
    ("eigenplaces", "resnet50_128"): Case(
        "shallow_resnet50", "backbone.", of_maps(f"{THIRD} layer4", slow.gem), numbered=True
    ),
    ("mixvpr", "resnet50_128"): Case(
        "shallow_resnet50", "backbone.model.", of_maps(THIRD, slow.mixvpr), kind="bytes",
        size=(320, 320),
    ),
    ("convap", "resnet50_4096"): Case(
        "shallow_resnet50", "backbone.model.", of_maps(f"{THIRD} layer4", slow.convap),
        kernel="bicubic", kind="bytes", size=(320, 320),
    ),
}  # fmt: skip


def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of which no value is one or zero, so that each matters."""
    if len(shape) > 1:
        width = 20 if "pos_embed" in name else np.prod(shape[1:])
        return torch.randn(shape) * (2 / width) ** 0.5
    if name.endswith(("bias", "running_mean")):
        return 0.1 * torch.randn(shape)
    return torch.rand(shape) + (2.5 if name.endswith("p") else 0.5)


class Published(NamedTuple):
    """A method, and a file of its authors' names."""

    case: Case
    maker: PublishedEncoder
    name: tuple[str, str]
    tensors: dict[str, Tensor]
    path: Path


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    (name, variant), case = request.param, CASES[request.param]
    methods = import_module(f"vpr.encoders.{name}").METHODS
    real = methods[variant]
    source = real.source._replace(name=case.network, layer=case.layer or real.source.layer)
    shallow = real._replace(source=source, sizes={**real.sizes, **dict(case.sizes)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(methods, variant, shallow)
        maker = load_encoder(name, variant)
        assert isinstance(maker, PublishedEncoder)
        tensors = write_names(case, maker)
        path = tmp_path_factory.mktemp("published") / "authors.ckpt"
        torch.save({"state_dict": tensors, "epoch": 3, "global_step": 7, "hyper_parameters": {
            "layers": [1, 2]}, "loops": {"fit_loop": {"state_dict": {}}}}, path)  # fmt: skip
        yield Published(case, maker, (name, variant), tensors, path)


def write_names(case: Case, maker: PublishedEncoder) -> dict[str, Tensor]:
    """Random tensors by the names that the authors' file has."""
    torch.manual_seed(0)
    tensors: dict[str, Tensor] = {}
    with torch.device("meta"):
        theirs = timm.create_model(case.network, num_classes=0).state_dict()
    for name, tensor in theirs.items():
        used = maker.canonical(name) != name and maker.canonical(name) is not None
        if not used and name not in case.more and "num_batches" not in name:
            continue
        first, _, rest = name.partition(".")
        if case.numbered:
            name = f"{STAGES[first]}.{rest}" if first in STAGES else name
        name = case.before + name.removeprefix("features.")
        counts = tensor.dtype == torch.int64
        tensors[name] = torch.tensor(0) if counts else drawn(name, tuple(tensor.shape))
    if "mask_token" in case.more:
        tensors[f"{case.before}mask_token"] = torch.zeros(1, 768)
    shapes = pool_shapes(maker.aggregator, sized_tensors(maker), maker.map_shape(POOL, 1, 1)[0])
    for key, shape in shapes.items():
        plain = key.removeprefix("pool.")
        before = "aggregation." if maker.aggregator == "gem" else "aggregator."
        if case.sizes and not plain.startswith("linear"):
            before = "aggregator.agg."
        plain = GEM.get(plain, plain) if before == "aggregation." else plain
        tensors[before + plain] = drawn(plain, shape)
    return tensors


def photos(*sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    made = []
    for height, width in sizes:
        coarse = rng.integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
        made.append(np.kron(coarse, np.ones((6, 6, 1), np.uint8))[:height, :width])
    return made


def test_descriptors_of_photos_of_three_shapes_equal_a_slow_reading(published: Published) -> None:
    name, variant = published.name
    model, words = load_starting_model(
        published.path, encoder=name, variant=variant, split=POOL, seed=0
    )
    assert model.aggregator == published.maker.aggregator and "tensors under state_dict" in words
    trunk, head = load_trunk(model, torch.float32), load_head(model)
    file = slow.File(published.tensors)
    last = (400, 350) if published.case.size else (126, 161)  # once shrunk, where a size is fixed
    rows = []
    with torch.inference_mode():
        for photo in photos((133, 147), (119, 154), last):
            pixels = torch.from_numpy(photo[None])
            levels = (published.maker.rule.images(pixels) - seen(photo, published.case)) * 255
            assert (levels * slow.STD).abs().max() < 0.01  # of 255
            maps = trunk(pixels)
            assert tuple(maps.shape[1:]) == trunk.map_shape(*photo.shape[:2])
            expected = published.case.read(file, photo, published.case)
            rows.append((head(maps)[0], expected))
        both = torch.from_numpy(np.stack([photo, photo[::-1]]))
        of_both = head(trunk(both))
    apart = (of_both[0] - of_both[1]).norm()
    most = apart * 1e-4
    assert all((found - expected).norm() < most for found, expected in rows)
    torch.testing.assert_close(of_both[0], rows[-1][0], atol=1e-5, rtol=1e-4)
    assert not file.left


def test_a_file_with_a_tensor_missing_more_or_of_another_shape_is_refused(
    published: Published, tmp_path: Path
) -> None:
    name, variant = published.name
    backbone = [n for n, t in published.tensors.items() if n.startswith("backbone") and t.dim() > 1
                and "mask" not in n]  # fmt: skip
    pool = [n for n in published.tensors if n.startswith("aggreg")]
    wrong = {n: t for n, t in published.tensors.items() if n not in (backbone[1], pool[0])}
    wrong[backbone[0]] = wrong[backbone[0]][1:]
    wrong[pool[-1]] = torch.zeros(3, 2)
    wrong["aggregator.more"] = torch.zeros(1)
    file = tmp_path / "wrong.safetensors"
    save_file({n: t.contiguous() for n, t in wrong.items()}, file)
    with pytest.raises(ValueError, match=f"not a checkpoint of {name}:") as refused:
        parse_checkpoint(file, encoder=name, variant=variant)
    lines = [line.split(": ") for line in str(refused.value).split("\n  ")[1:]]
    inner = GEM_BACK.get(pool[0].partition(".")[2], pool[0].split("agg.")[-1].split("gator.")[-1])
    assert sorted(line[:2] for line in lines if not line[1].startswith("expected")) == sorted(
        [
            [published.maker.canonical(backbone[1]), "missing"], [f"pool.{inner}", "missing"],
            ["aggregator.more", "not part of the network"],
        ]
    )  # fmt: skip
    assert {line[0] for line in lines if line[1].startswith("expected shape")} == {
        backbone[0], pool[-1]
    }  # fmt: skip
    assert len(lines) == 5


# Tensors that facts about the authors' files count, without num_batches_tracked of a ResNet-50.
COUNTS = {
    ("megaloc", None): 189, ("salad", None): 187, ("boq", "resnet50_16384"): 314 - 43,
    ("boq", "dinov2_12288"): 228, ("cosplace", "resnet50_512"): 321 - 53,
    ("mixvpr", None): 286 - 43, ("convap", None): 320 - 53,
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS, ids=lambda name: f"{name[0]}-{name[1]}")
def test_a_whole_model_has_as_many_tensors_as_its_file(name: tuple[str, str | None]) -> None:
    maker = load_encoder(*name)
    assert isinstance(maker, PublishedEncoder)
    backbone = seam.tensor_shapes(maker)
    channels = maker.map_shape(POOL, 1, 1)[0]
    pool = pool_shapes(maker.aggregator, sized_tensors(maker), channels)
    assert len(backbone) + len(pool) == COUNTS[name]
    with torch.device("meta"):
        timms = timm.create_model(maker.source.name).state_dict()
    assert all(
        timms[key.removeprefix("encoder.")].shape == shape for key, shape in backbone.items()
    )


def test_each_model_is_of_timm_and_says_its_licence_and_figures() -> None:
    assert {name for name, _ in CASES} == NAMES
    for name in NAMES:
        assert len(Path(ROOT, f"vpr/encoders/{name}.py").read_text().split("\n")) <= 120
        for variant in import_module(f"vpr.encoders.{name}").METHODS:
            maker = load_encoder(name, variant)
            assert isinstance(maker, PublishedEncoder) and timm.is_model(maker.source.name)
            licence = {"salad": "GPL-3.0", "mixvpr": "none stated", "convap": "none stated"}
            assert f"the authors' weights ({licence.get(name, 'MIT')})" in maker.origin
            assert all(0 < figure < 100 and source for figure, source in maker.published.values())
    with pytest.raises(ValueError, match=r"boq has resnet50_16384, .*did you mean dinov2_12288"):
        load_encoder("boq", "dinov2_1228")


def test_settings_that_contradict_a_method_are_refused() -> None:
    maker = load_encoder("salad", None)
    check_aggregator(maker, "salad")
    with pytest.raises(ValueError, match=r"finetune\.aggregator = netvlad, but .*set it to salad"):
        check_aggregator(maker, "netvlad")
    check_resizing(maker, (480, 640), (480, 640))
    for scaled in ((240, 320), (322, 322)):  # the latter by another kernel
        with pytest.raises(ValueError, match=r"trunk\.image_size scales .*this one to 322x322"):
            check_resizing(maker, (480, 640), scaled)
    check_resizing(load_encoder("cosplace", None), (480, 640), (240, 320))  # has no size


def test_small_photos_count_in_a_batch_as_what_they_are_enlarged_to() -> None:
    source = load_encoder("mixvpr", None)
    with torch.device("meta"):
        trunk = Trunk(source, POOL, torch.float32)
    sizes = [(32, 40)] * 13
    runs = list(trunk.batches(sizes, torch.device("cpu")))
    assert [len(run) for run in runs] == [6, 6, 1]  # 640 * 480 * 2 // 320**2


TINY = '''
"""A method of a test's."""

from vpr.features.input_rules import InputRule
from vpr.features.published import Method, encoder_maker
from vpr.features.timm_networks import Source

SIZES = {"channel_pool.weight": (2, 128, 1, 1)}
METHODS = {"8": Method(Source("resnet18", "layer2"), "convap", 8, SIZES, InputRule((64, 64)), {})}
make_encoder = encoder_maker("tiny", METHODS, licence="none")
'''


def test_a_method_is_one_file_and_its_layers_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    # Stages hash the modules that are imported, and this one's file goes.
    request.addfinalizer(lambda: sys.modules.pop("vpr.encoders.tiny", None))
    (tmp_path / "tiny.py").write_text(TINY)
    monkeypatch.setattr(seam, "DRAWER", tmp_path)
    monkeypatch.setattr(vpr.encoders, "__path__", [str(tmp_path)])
    pixels = torch.from_numpy(np.stack(photos((50, 70)) * 2))
    given = {"encoder": "tiny", "variant": None, "seed": 1}
    found = []
    for split in (POOL, "layer2.1", ALL):
        model, words = load_starting_model(Path("random"), split=split, **given)
        assert "random weights, seed 1" in words
        head = load_head(model)
        stored = load_trunk(model.parts()[0], torch.float32)(pixels)
        descriptors = head(stored.detach())
        found.append(descriptors.detach())
        descriptors[:, :3].sum().backward()
        assert all(tensor.grad is not None for tensor in head.parameters())
        assert (split == POOL) == (not list(head.encoder.parameters()))
    assert found[0].shape == (2, 8)
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[2], found[0], atol=1e-5, rtol=1e-4)
