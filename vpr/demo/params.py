"""The parameters of the drawn street."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class SampleParams:
    """Parameters of the stage sample."""

    num_database: Annotated[int, Field(ge=2)]
    num_query: Annotated[int, Field(ge=2)]
    off_map: Annotated[int, Field(ge=0)]
    spacing_m: Annotated[float, Field(gt=0, le=100)]
    radius_m: Annotated[float, Field(gt=0)]
    width_px: Annotated[int, Field(ge=32, le=4096)]
    height_px: Annotated[int, Field(ge=32, le=4096)]
    difficulty: Annotated[float, Field(ge=0, le=1)]
    seed: Annotated[int, Field(ge=0)]

    def __post_init__(self) -> None:
        """Refuse a drive that is not on the map."""
        if self.num_query - self.off_map < 2:
            raise ValueError(
                f"sample.off_map = {self.off_map}: at least 2 of sample.num_query = "
                f"{self.num_query} queries have to be on the map"
            )
