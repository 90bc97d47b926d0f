"""The parameters of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class ReportParams:
    """Parameters of the stage report."""

    depth: Annotated[int, Field(ge=1, le=20)]
    num_worst: Annotated[int, Field(ge=0)]
    num_utility: Annotated[int, Field(ge=0)]
