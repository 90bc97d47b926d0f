"""The chart of validation against queries shows what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.quality.recipes import STREETS
from bench.quality.validation_chart import correlate, draw_validation, tabulate_validation
from tests.support.repositories import ROOT

# Ranks of street 0: 1 2 3 4 against 1 3 2 4, so Spearman is 1 - 6 * 2 / (4 * 15) = 0.8;
# of street 1 reversed, so -1.
MEASURED = [
    {"street": street, "recipe": f"recipe {number}", "validation": seen, "recall@1": asked}
    for street, pairs in enumerate((
        [(0.5, 0.1), (0.6, 0.3), (0.7, 0.2), (0.8, 0.4)],
        [(0.5, 0.4), (0.6, 0.3), (0.7, 0.2), (0.8, 0.1)],
    ))
    for number, (seen, asked) in enumerate(pairs)
]  # fmt: skip


def test_each_training_is_a_point_and_each_street_has_its_correlation(tmp_path: Path) -> None:
    assert correlate(MEASURED, street=0) == pytest.approx(0.8)
    draw_validation(MEASURED, tmp_path / "a.svg")
    chart = (tmp_path / "a.svg").read_text()
    assert "0 (Spearman 0.80)" in chart
    assert "1 (Spearman -1.00)" in chart
    points = re.findall(r'aria-label="recall@5 of held-out images: ([\d.]+); '
                        r'recall@1 of queries: ([\d.]+); street: (\d)', chart)  # fmt: skip
    drawn = {(float(seen), float(asked), int(street)) for seen, asked, street in points}
    assert drawn == {(one["validation"], one["recall@1"], one["street"]) for one in MEASURED}


def test_the_table_has_a_row_for_each_training() -> None:
    table = tabulate_validation(MEASURED).split("\n")
    assert table[2] == "| 0 | recipe 0 | 0.500 | 0.100 |"
    assert len(table) == 2 + len(MEASURED)


def test_the_chart_in_the_docs_is_of_the_figures_that_are_kept(tmp_path: Path) -> None:
    kept = json.loads((ROOT / "bench/results/validation.json").read_text())["trained"]
    draw_validation(kept, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == (ROOT / "bench/results/validation.svg").read_text()
    page = (ROOT / "docs/training.md").read_text()
    told = [f"{correlate(kept, street=street):.2f}" for street in STREETS]
    assert f"was {told[0]}, {told[1]} and {told[2]}" in " ".join(page.split())
