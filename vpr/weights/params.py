"""The parameters of the starting weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class PretrainedParams:
    """Parameters of the stage pretrained."""

    weights: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None
