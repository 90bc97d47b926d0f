"""The parameters of the report, and which of a run's parameters differ from the defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

DEFAULTS = Path(__file__).with_name("defaults.json")  # values of the project's params.yaml
Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ReportParams:
    """Parameters of the stage report."""

    depth: Annotated[int, Field(ge=1, le=20)]
    num_worst: Annotated[int, Field(ge=0)]
    num_utility: Annotated[int, Field(ge=0)]


def load_defaults() -> Sections:
    """Load the values that the project comes with, by section and name."""
    defaults: Sections = json.loads(DEFAULTS.read_bytes())
    return defaults


def list_changes(a: Sections, b: Sections) -> list[tuple[str, Any, Any]]:
    """List parameters that differ: `section.name` and both values.

    What only one of them has, such as a parameter that is newer than a run, is left out.
    """
    return [
        (f"{section}.{name}", values[name], value)
        for section, values in a.items()
        for name, value in b.get(section, {}).items()
        if name in values and values[name] != value
    ]
