"""The sections dataset and prepare of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from vpr.datasets.protocols import check_name


@dataclass(frozen=True)
class DatasetParams:
    """Which data set is used."""

    dir: str
    index: str | None
    crs: str | None
    protocol: Annotated[str, AfterValidator(check_name)] | None


@dataclass(frozen=True)
class PrepareParams:
    """Parameters of the stage prepare."""

    radius_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    max_heading_deg: Annotated[float, Field(gt=0, le=180)] | None
