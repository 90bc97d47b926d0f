"""Parameters are strict, typed, and read by YAML 1.2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from vpr.runtime.parameters import check_params, load_param, load_params


@dataclass(frozen=True)
class DemoParams:
    """A section."""

    count: Annotated[int, Field(ge=1)]
    rate: float
    side: int | None
    depths: tuple[int, ...]


@dataclass(frozen=True)
class OtherParams:
    """Another section."""

    margin: float


GOOD = "demo:\n  count: 2\n  rate: 1e-05\n  side: null\n  depths:\n    - 1\n    - 5\n"


def read(tmp_path: Path, text: str) -> DemoParams:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    return load_params("demo", DemoParams, path=file)


def test_exponent_without_a_point_is_a_number(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == DemoParams(2, 1e-5, None, (1, 5))


def test_an_integer_is_taken_for_a_float(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD.replace("1e-05", "1")).rate == 1.0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("count: 2", "count: 0", "demo.count = 0"),
        ("count: 2", "count: 2.0", "demo.count = 2.0"),
        ("count: 2", "count: '2'", "demo.count = '2'"),
        ("count: 2", "count: true", "demo.count = True"),
        ("  count: 2\n", "", "demo.count: Field required"),
        ("side: null", "side: none", "demo.side = 'none'"),
        ("rate: 1e-05", "rate: fast", "demo.rate = 'fast'"),
        ("rate: 1e-05", "rate: 1e-05\n  speed: 3", "demo.speed = 3: unknown key"),
        ("demo:", "other:", "expected a section 'demo'"),
        ("count: 2", "count: [", "not readable as YAML"),
    ],
)
def test_what_does_not_fit_is_refused_with_key_and_value(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(ValueError, match=r"params\.yaml") as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert words in str(caught.value)


def test_one_message_lists_every_problem(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"params\.yaml") as caught:
        read(tmp_path, "demo:\n  count: 0\n  rate: x\n  more: 1\n")
    for key in ("demo.count", "demo.rate", "demo.more", "demo.side", "demo.depths"):
        assert key in str(caught.value)


def test_a_single_value_of_another_section_is_typed_too(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(GOOD)
    assert load_param("demo.count", int, path=file) == 2
    with pytest.raises(ValueError, match=r"demo\.rate = 1e-05"):
        load_param("demo.rate", int, path=file)
    with pytest.raises(ValueError, match=r"demo\.nothing: this key is missing"):
        load_param("demo.nothing", int, path=file)


def test_an_unknown_key_or_section_lists_the_near_one_first(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(GOOD.replace("  side: null\n", "  sides: null\n"))
    with pytest.raises(ValueError, match=r"demo\.sides = None: unknown key; known are side, count"):
        load_params("demo", DemoParams, path=file)
    file.write_text(GOOD.replace("demo:", "demo2:") + GOOD)
    (section, other) = check_params({"other": OtherParams, "demo": DemoParams}, path=file)
    assert section.endswith("demo2: unknown section; known are demo, other")
    assert "expected a section 'other'" in other
