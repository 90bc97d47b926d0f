"""The parameters of evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

By = Literal["distance", "inliers"]


@dataclass(frozen=True)
class EvaluateParams:
    """Parameters of the stage evaluate."""

    recall_at: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    radii_m: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
    block_length: Annotated[int, Field(ge=1)]
    num_samples: Annotated[int, Field(ge=100, le=10**6)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]
    accept_by: By
    accept_false_rate: Annotated[float, Field(gt=0, lt=1)]
    foreign: str
