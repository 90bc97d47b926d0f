"""The exported network makes the pipeline's descriptors, whatever a photo's shape."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.pictures import texture
from vpr.features.model import Model
from vpr.network.describing import describe_photos
from vpr.pocket.exporting import write_model
from vpr.pocket.graph import INPUT, OUTPUT, describe_by_graph, open_session, write_graph
from vpr.pocket.source import Source, load_source
from vpr.retrieval.whitening import whiten_rows
from vpr.run_files import MODEL

SHAPES = ((48, 64), (61, 45), (33, 90))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ten photos of each of three shapes."""
    folder = tmp_path_factory.mktemp("photos")
    files = []
    for number in range(30):
        height, width = SHAPES[number % 3]
        files.append(folder / f"{number:06d}.png")
        Image.fromarray(texture(number)[:height, :width]).save(files[-1])
    return files


def export(out: Path, run: Path, **options: object) -> tuple[str, dict[str, object]]:
    settings = {"precision": "float32", "dim": None, "size": None} | options
    lines: Iterator[str] = write_model(out, run, **settings)  # type: ignore[arg-type]
    told = "\n".join(lines)
    return told, json.loads(out.with_suffix(".json").read_text())


def pipeline_rows(source: Source, photos: list[Path]) -> np.ndarray:
    rows = np.concatenate([one.descriptors for one in describe_photos(source.network(), photos)])
    return rows if source.whitening is None else np.concatenate(
        list(whiten_rows(rows, source.whitening))
    )  # fmt: skip


def test_descriptors_are_the_pipelines_in_three_shapes_and_after_whitening(
    finished_pipeline: Path, photos: list[Path], tmp_path: Path
) -> None:
    for dim in (None, 6):
        out = tmp_path / "street.onnx"
        told, card = export(out, finished_pipeline, dim=dim)
        source = load_source(finished_pipeline, dim=dim)
        found, expected = describe_by_graph(out, photos, source), pipeline_rows(source, photos)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert len({tuple(row.round(3)) for row in found}) == len(photos)  # they differ at all
        assert (card["run"], card["dim"]) == (source.run, found.shape[1])
        assert "first match the same for 8 of 8" in told
    meta = open_session(out).get_modelmeta().custom_metadata_map
    assert meta["run"] == source.run != load_source(finished_pipeline, dim=None).run
    assert json.loads(meta["input"])["max_side_px"] is None
    same = np.stack([np.asarray(Image.open(photo)) for photo in photos[::3]])
    (batch,) = open_session(out).run([OUTPUT], {INPUT: same})
    np.testing.assert_allclose(batch, found[::3], atol=1e-4)


def test_smaller_graphs_keep_the_ranking_and_their_metadata(
    finished_pipeline: Path, photos: list[Path], tmp_path: Path
) -> None:
    whole, source = tmp_path / "whole.onnx", load_source(finished_pipeline, dim=None)
    export(whole, finished_pipeline)
    exact = describe_by_graph(whole, photos[:6], source)
    for precision, share, apart in (("float16", 0.51, 1e-2), ("int8", 0.27, 0.2)):
        out = tmp_path / f"{precision}.onnx"
        told, card = export(out, finished_pipeline, precision=precision)
        assert out.stat().st_size < share * whole.stat().st_size
        distances = np.linalg.norm(describe_by_graph(out, photos[:6], source) - exact, axis=1)
        assert 0 < distances.max() < apart
        assert card["precision"] == precision
        assert open_session(out).get_modelmeta().custom_metadata_map["run"] == source.run
        assert "recall@1" in told and ", p = " in told


def test_a_fixed_size_is_written_down(finished_pipeline: Path, tmp_path: Path) -> None:
    out = tmp_path / "street.onnx"
    _, card = export(out, finished_pipeline, size=(40, 56))
    assert card["input"]["graph_size"] == [40, 56]  # type: ignore[index]
    assert open_session(out).get_inputs()[0].shape == ["n", 40, 56, 3]


def test_an_encoder_that_cannot_be_exported_is_named_and_leaves_no_file(
    finished_pipeline: Path, photos: list[Path], tmp_path: Path
) -> None:
    source = load_source(finished_pipeline, dim=None)
    from vpr.encoders.dense_rootsift import DIM, make_encoder

    state, _ = make_encoder().initial_state("random", 0)
    pool = {"pool.conv.weight": torch.randn(4, DIM, 1, 1), "pool.centroids": torch.randn(4, DIM)}
    model = Model("dense_rootsift", None, "pool", {**state, **pool})
    other = Source(source.folder, model, source.trunk, None, "0" * 16)
    with pytest.raises(ValueError, match=r"dense_rootsift: cannot be exported.*efficientnet_lite"):
        write_graph(tmp_path / "g.onnx", other, photos[:1], size=None)
    assert not list(tmp_path.iterdir())


def test_a_run_without_its_model_is_refused_before_anything_is_written(
    finished_pipeline: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(finished_pipeline, tmp_path / "repo", symlinks=True))
    (broken / MODEL).unlink()
    with pytest.raises(ValueError, match=r"model\.pt is missing: run `dvc repro`"):
        export(tmp_path / "street.onnx", broken)
    assert not (tmp_path / "street.onnx").exists()
