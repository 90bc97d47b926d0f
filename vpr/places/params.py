"""The parameters of the prepared set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class PrepareParams:
    """Parameters of the stage prepare."""

    radius_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    max_heading_deg: Annotated[float, Field(gt=0, le=180)] | None
