"""The parameters of thumbnails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class ThumbnailsParams:
    """Parameters of thumbnails, which the stage prepare draws."""

    max_side_px: Annotated[int, Field(ge=16, le=4096)]
    quality: Annotated[int, Field(ge=1, le=95)]
