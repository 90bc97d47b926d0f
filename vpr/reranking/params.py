"""The parameters of re-ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from vpr.matchers.base.matcher import Geometry, Rules


@dataclass(frozen=True)
class InliersParams:
    """Parameters of the stage inliers."""

    top: Annotated[int, Field(ge=1)]
    ratio: Annotated[float, Field(gt=0, le=1)] | None
    geometry: Geometry
    tolerance_px: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    stop: Annotated[int, Field(ge=1)] | None

    @property
    def rules(self) -> Rules:
        """Rules of a match."""
        return Rules(self.ratio, self.geometry, self.tolerance_px)


@dataclass(frozen=True)
class RerankParams:
    """Parameters of re-ranking, in the stage order."""

    method: str
    model: str | None
    top: Annotated[int, Field(ge=1)]
    half_inliers: Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class UtilityParams:
    """Parameters of the stage utility."""

    keep: Literal["all", "environment", "place", "both"]
    mode: Literal["paper", "released"]
    top: Annotated[int, Field(ge=1)]
