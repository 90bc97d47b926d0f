"""Published figures: one table for the command and the page, and a result put beside its figure."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from typer.testing import CliRunner

from tests.support.repositories import ROOT
from vpr.__main__ import app
from vpr.commands.reproduce import (
    DIFFERENCES,
    as_table,
    choose_params,
    describe_result,
    find_published,
    list_published,
)
from vpr.datasets.protocols import PROTOCOLS


def test_the_page_has_the_commands_table() -> None:
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    table = as_table(list_published())
    assert "\n".join(table) in page
    assert {line.count("|") for line in table} == {table[0].count("|")}


def test_every_figure_has_a_protocol_a_source_and_a_sensible_value() -> None:
    figures = [(name, of) for one in list_published() for name, of in one.figures.items()]
    assert len(figures) >= 17
    for name, (percent, source) in figures:
        assert name in PROTOCOLS
        assert source
        assert 30 < percent < 100  # in percent, not a fraction
    methods = {one.method for one in list_published()}
    assert {key[0] for key in DIFFERENCES} <= methods


def test_a_method_alone_is_its_model_with_a_figure_by_that_protocol() -> None:
    assert find_published("boq", "msls-val").model == "resnet50_16384"
    assert find_published("cosplace", "tokyo247").model == "resnet101_2048"
    assert find_published("cosplace:vgg16_512", "tokyo247").figures == {}
    with pytest.raises(ValueError, match="bok: no method of this name; did you mean boq"):
        find_published("bok", "msls-val")


def metrics(recall: float, low: float, high: float) -> dict[str, object]:
    return {
        "recall@1": recall, "recall@1_block_bootstrap": [low, high],
        "recall@1_wilson_if_independent": [recall - 0.001, recall + 0.001], "num_queries": 740,
    }  # fmt: skip


def test_ours_stands_beside_the_published_figure_with_what_differs() -> None:
    one = find_published("salad", "msls-val")
    lines = describe_result(one, "msls-val", metrics(0.915, 0.90, 0.93)).split("\n")
    assert lines[1].startswith(
        "ours        91.50 %  90.00 to 93.00 (block bootstrap), 91.40 to 91.60"
    )
    assert lines[2] == "published   92.20 %  (README at e593005)"
    assert lines[3] == "difference  -0.70 points, outside the interval (wilson if independent)"
    assert lines[4].startswith("differs     precision: ours float32; size: ours as the authors'")
    assert lines[5].split() == ["precision:", "the", "authors'", "float16", "autocast"]
    inside = describe_result(one, "msls-val", metrics(0.9215, 0.90, 0.93))
    assert "difference  -0.05 points, within the interval" in inside


def test_without_a_figure_or_depth_one_that_is_said() -> None:
    one = find_published("mixvpr", "tokyo247")
    assert "published   none that we know of" in describe_result(one, "tokyo247", metrics(1, 1, 1))
    assert "ours        not among evaluate.recall_at" in describe_result(
        one, "tokyo247", {"recall@5": 0.9}
    )


def test_a_methods_parameters_are_its_own_and_nothing_comes_after_search(tmp_path: Path) -> None:
    network = timm.create_model("resnet18", num_classes=0).state_dict()
    parts = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    named = {key: key.partition(".")[::2] for key in network}
    state = {f"backbone.{parts[part]}.{rest}": network[key] for key, (part, rest) in named.items()}
    state |= {
        "aggregation.1.p": torch.tensor([3.0]), "aggregation.3.weight": torch.rand(32, 512),
        "aggregation.3.bias": torch.zeros(32),
    }  # fmt: skip
    file = tmp_path / "ResNet18_32_cosplace.pth"
    torch.save(state, file)
    params = choose_params(find_published("cosplace:resnet18_32", "tokyo247"), file, file)
    assert params.items() >= {
        "trunk.encoder": "cosplace", "trunk.model": "resnet18_32", "finetune.aggregator": "gem",
        "trunk.precision": "float32", "trunk.max_side_px": None, "whiten.dim": 0,
        "rerank.method": "none", "pretrained.weights": file.name,
    }.items()  # fmt: skip
    with pytest.raises(ValueError, match=r"aggregation\.3|linear\.weight"):
        choose_params(find_published("cosplace:resnet18_64", "tokyo247"), file, file)


def test_the_command_lists_what_it_knows_and_refuses_half_a_request(tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["reproduce"]).output
    assert "|`netvlad`|" in listed
    assert "nordland-1: 27,592 database and 2,760 query images" in listed
    half = CliRunner().invoke(app, ["reproduce", "boq", "msls-val", "--data", str(tmp_path)])
    assert "expected METHOD PROTOCOL --data FOLDER --weights FILE" in str(half.exception)
