"""The exported network makes the pipeline's descriptors, whatever a photo's shape."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from tests.support.pictures import texture
from vpr.commands.pocket import export_model
from vpr.features.encoder import POOL, BringsAggregator, count_channels, load_encoder
from vpr.features.model import Model
from vpr.features.params import TrunkParams
from vpr.matchers.base.matcher import load_matcher
from vpr.network.aggregator import draw_published
from vpr.network.describing import describe_photos
from vpr.pocket.graph import (
    INPUT,
    OUTPUT,
    describe_by_graph,
    open_session,
    write_card,
    write_graph,
)
from vpr.pocket.model_file import quantise, store_in_float16, write_model
from vpr.pocket.source import Source, load_source
from vpr.retrieval.whitening import whiten_rows
from vpr.run_files import MODEL

SHAPES = ((48, 64), (61, 45), (33, 90))
ENCODERS: list[tuple[str, str | None, tuple[int, int] | None]] = [
    ("efficientnet_lite", "lite0", None), ("efficientnet_lite", "lite2", None),
    ("vgg16", None, None), ("cosplace", "resnet18_512", None), ("cosplace", "vgg16_512", None),
    ("eigenplaces", "resnet18_512", None), ("timm", "resnet18", None),
    ("timm", "mobilenetv3_small_100", None), ("xfeat", None, (64, 96)),
    ("mixvpr", "resnet50_128", (320, 320)), ("timm", "vit_tiny_patch16_224", (224, 224)),
]  # fmt: skip
REFUSED = [
    ("dense_rootsift", None, (64, 96)), ("convap", None, (320, 320)), ("boq", None, (384, 384)),
    ("salad", None, (322, 322)), ("megaloc", None, (322, 322)), ("xfeat", None, None),
]  # fmt: skip


def draw_photos(folder: Path, count: int) -> list[Path]:
    """As many photos of each of three shapes, in turn."""
    files = []
    for number in range(count):
        height, width = SHAPES[number % 3]
        files.append(folder / f"{number:06d}.png")
        Image.fromarray(texture(number)[:height, :width]).save(files[-1])
    return files


def draw_source(encoder: str, variant: str | None) -> Source:
    """A run's network of random weights, with its own aggregator, or with NetVLAD."""
    maker = load_encoder(encoder, variant)
    state, _ = maker.initial_state("random", 0)
    if isinstance(maker, BringsAggregator):
        aggregator, pool = maker.aggregator, draw_published(maker, 0)
    else:
        generator, shape = torch.Generator().manual_seed(0), (4, count_channels(maker))
        weights = torch.randn(2, *shape, generator=generator)
        aggregator = "netvlad"
        pool = {"pool.conv.weight": weights[0][:, :, None, None], "pool.centroids": weights[1]}
    trunk = TrunkParams(encoder, variant, POOL, "float32", None, None, "all")
    model = Model(encoder, variant, POOL, state | pool, aggregator)
    return Source(Path(), model, trunk, None, "0" * 16)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photos of three shapes."""
    return draw_photos(tmp_path_factory.mktemp("photos"), 15)


@pytest.fixture(scope="module")
def source(finished_pipeline: Path) -> Source:
    """The pipeline's network, with a whitening fitted for the export."""
    return load_source(finished_pipeline, dim=6)


@pytest.fixture(scope="module")
def whole(source: Source, photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its graph in float32."""
    path = tmp_path_factory.mktemp("graph") / "whole.onnx"
    assert write_graph(path, source, photos[:1], size=None) < 1e-4
    return path


def test_descriptors_are_the_pipelines_in_three_shapes(
    source: Source, whole: Path, photos: list[Path]
) -> None:
    assert source.whitening is not None
    plain = np.concatenate([b.descriptors for b in describe_photos(source.network(), photos)])
    expected = np.concatenate(list(whiten_rows(plain, source.whitening)))
    found = describe_by_graph(whole, photos, source)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert len({tuple(row.round(3)) for row in found}) == len(photos)  # they differ at all
    same = np.stack([np.asarray(Image.open(photo)) for photo in photos[::3]])
    (batch,) = open_session(whole).run([OUTPUT], {INPUT: same})
    np.testing.assert_allclose(batch, found[::3], atol=1e-4)


def test_smaller_graphs_describe_alike_and_keep_their_metadata(
    source: Source, whole: Path, photos: list[Path], tmp_path: Path
) -> None:
    exact = describe_by_graph(whole, photos[:6], source)
    for precision, share, apart in (("float16", 0.51, 1e-2), ("int8", 0.27, 0.2)):
        out = Path(shutil.copyfile(whole, tmp_path / f"{precision}.onnx"))
        if precision == "float16":
            store_in_float16(out)
        else:
            quantise(out, photos[:6], None)
        assert out.stat().st_size < share * whole.stat().st_size
        distances = np.linalg.norm(describe_by_graph(out, photos[:6], source) - exact, axis=1)
        assert 0 < distances.max() < apart
        meta = open_session(out).get_modelmeta().custom_metadata_map
        assert meta["run"] == source.run
        assert json.loads(meta["input"])["max_side_px"] is None


def test_weights_beyond_16_bits_keep_32(tmp_path: Path) -> None:
    path, value = tmp_path / "large.onnx", onnx.helper.make_tensor_value_info
    weights = np.linspace(0, 1e6, 300, dtype=np.float32)
    node = onnx.helper.make_node("Add", ["x", "weights"], ["y"])
    ends = [[value(name, onnx.TensorProto.FLOAT, [300])] for name in "xy"]
    graph = onnx.helper.make_graph(
        [node], "large", *ends, [onnx.numpy_helper.from_array(weights, "weights")]
    )
    onnx.save(onnx.helper.make_model(graph), path)
    store_in_float16(path)
    (kept,) = onnx.load(path).graph.initializer
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(kept), weights)


def test_an_export_states_its_loss_and_leaves_a_card_of_its_size_and_run(
    finished_pipeline: Path, tmp_path: Path
) -> None:
    out = tmp_path / "street.onnx"
    source = load_source(finished_pipeline, dim=None)
    told = "\n".join(write_model(out, source, precision="float16", size=None))
    assert "recall@1" in told and ", p = " in told
    assert "first match the same for 8 of 8" in told
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["run"] == source.run
    assert card["sha256"] == sha256(out.read_bytes()).hexdigest()
    assert card["precision"] == "float16"


def test_a_fixed_size_is_written_down(source: Source, photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "street.onnx"
    write_graph(out, source, photos[:1], size=(40, 56))
    assert open_session(out).get_inputs()[0].shape == ["n", 40, 56, 3]
    assert json.loads(write_card(out, precision="float32").read_text())["input"]["graph_size"] == [
        40, 56
    ]  # fmt: skip


def test_an_encoder_that_cannot_be_exported_is_named_and_leaves_no_file(
    photos: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"dense_rootsift: cannot be exported.*docs/pocket\.md"):
        write_graph(tmp_path / "g.onnx", draw_source("dense_rootsift", None), photos[:1], size=None)
    assert not list(tmp_path.iterdir())


@pytest.mark.soak
@pytest.mark.parametrize(("encoder", "variant", "size"), ENCODERS)
def test_a_hundred_photos_of_three_shapes_have_the_pipelines_descriptors(
    encoder: str, variant: str | None, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    photos = draw_photos(tmp_path, 100)
    worst = write_graph(tmp_path / "g.onnx", draw_source(encoder, variant), photos, size=size)
    print(f"{encoder} {variant} {size}: {worst:.2g}")
    assert worst < 1e-4


@pytest.mark.soak
@pytest.mark.parametrize(("encoder", "variant", "size"), REFUSED)
def test_encoders_that_cannot_be_exported_are_refused(
    encoder: str, variant: str | None, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    photos = draw_photos(tmp_path, 1)
    with pytest.raises(ValueError, match=f"{encoder}: cannot be exported") as error:
        write_graph(tmp_path / "g.onnx", draw_source(encoder, variant), photos, size=size)
    assert "use --size" not in str(error.value)  # this is its size


def test_the_detector_finds_the_pipelines_keypoints(
    finished_pipeline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "detector.onnx"
    export_model(out, run=finished_pipeline, size="224x320", detector=True)
    assert "keypoints, the pipeline's on 3 photos" in capsys.readouterr().out
    pixels = texture(3)[:224]
    places, rows = open_session(out).run(None, {INPUT: pixels[None]})
    matcher = load_matcher("xfeat")
    assert matcher is not None
    known = matcher.detect(pixels, max_keypoints=1024)
    found, expected = np.lexsort(places.T), np.lexsort(known.points.T)
    assert len(places) > 100
    np.testing.assert_array_equal(places[found], known.points[expected])
    np.testing.assert_allclose(rows[found], known.descriptors[expected], atol=1e-3)
    with pytest.raises(ValueError, match="100x320: the detector takes multiples of 32 pixels"):
        export_model(tmp_path / "b.onnx", run=finished_pipeline, size="100x320", detector=True)
    with pytest.raises(ValueError, match="--detector needs --size"):
        export_model(tmp_path / "b.onnx", run=finished_pipeline, detector=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["detector.onnx"]


def test_a_run_without_its_model_is_refused_before_anything_is_written(
    finished_pipeline: Path, tmp_path: Path
) -> None:
    caches = shutil.ignore_patterns(".git", "cache")
    broken = Path(
        shutil.copytree(finished_pipeline, tmp_path / "repo", symlinks=True, ignore=caches)
    )
    (broken / MODEL).unlink()
    with pytest.raises(ValueError, match=r"model\.pt is missing: run `dvc repro`"):
        export_model(tmp_path / "g.onnx", run=broken, precision="int8")
    assert not (tmp_path / "g.onnx").exists()
