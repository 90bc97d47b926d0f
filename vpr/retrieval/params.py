"""The parameters of retrieval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from vpr.retrieval.index_kinds import EXACT, GRAMMAR, Effort, is_form


@dataclass(frozen=True)
class SearchParams:
    """Parameters of the stages index and search."""

    top_k: Annotated[int, Field(ge=1)]
    index: str
    nprobe: Annotated[int, Field(ge=1)]
    ef_search: Annotated[int, Field(ge=1)]
    candidates: Annotated[int, Field(ge=1)]

    def __post_init__(self) -> None:
        """Refuse an invalid index string, and fewer candidates than are kept."""
        if self.index != EXACT and not is_form(self.index):
            raise ValueError(f"index = {self.index}: expected exact or {GRAMMAR}")
        if self.index != EXACT and self.candidates < self.top_k:
            raise ValueError(
                f"candidates = {self.candidates} is less than top_k = {self.top_k}: set it to "
                f"{self.top_k} or more"
            )

    @property
    def effort(self) -> Effort:
        """How much of an index is searched."""
        return Effort(self.nprobe, self.ef_search, self.candidates)


@dataclass(frozen=True)
class SequenceParams:
    """Parameters of ranking along the route, in the stage order."""

    method: Literal["lines", "filter", "smoother"]
    length: Annotated[int, Field(ge=1)]
    velocities: Annotated[tuple[Annotated[float, Field(ge=-100, le=100)], ...], Field(min_length=1)]
    contrast_reach: Annotated[int, Field(ge=1, le=10**6)] | None
    step_m: Annotated[float, Field(gt=0, le=10**6)] | None


@dataclass(frozen=True)
class WhitenParams:
    """Parameters of the stage whiten."""

    dim: Annotated[int, Field(ge=0)]
    directions: Literal["keep", "refit"]

    def __post_init__(self) -> None:
        """Refuse one dimension, in which every unit vector is 1 or -1."""
        if self.dim == 1:
            raise ValueError(
                "dim = 1: every unit descriptor would be 1 or -1: set it to 0 (off), or "
                "to 2 or more"
            )
