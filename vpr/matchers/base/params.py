"""The parameters of keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class KeypointsParams:
    """Parameters of the stage keypoints."""

    max_side_px: Annotated[int, Field(ge=32)] | None
    max_keypoints: Annotated[int, Field(ge=1, le=100_000)]
