"""Parameters as `dvc exp run -S` takes them, read back by Hydra's own parser."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from vpr.repository.dvc import as_override


@pytest.mark.parametrize(
    "value",
    ["data/street", "EPSG:32633", "data/my street, 2", "it's", "a\\b", "a\\'b", "end\\", "null",
     "True", "12", "1e5", "길/하나", "$HOME ${x}", "[a]", "", None, 25, 2.5, False],
)  # fmt: skip
def test_a_parameter_is_read_back_as_it_was(value: object) -> None:
    text = as_override("dataset.dir", value)
    read = OverridesParser.create().parse_override(text)
    assert read.key_or_group == "dataset.dir"
    assert (read.value(), type(read.value())) == (value, type(value))


def test_a_plain_name_is_written_as_a_person_types_it() -> None:
    assert as_override("dataset.dir", "data/street") == "dataset.dir=data/street"
    assert as_override("dataset.crs", "EPSG:32633") == "dataset.crs=EPSG:32633"
