"""The parameters of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True)
class FinetuneParams:
    """Parameters of the stage finetune."""

    aggregator: Literal["netvlad", "gem", "none", "convap", "mixvpr", "boq", "salad"]
    num_clusters: Annotated[int, Field(ge=1)]
    clusters: Literal["keep", "refit"]
    vlad_version: Literal[1, 2]
    descriptor_dim: Annotated[int, Field(ge=2)] | None  # of one, unit vectors are 1 or -1
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    epochs: Annotated[int, Field(ge=0)]
    lr: Annotated[float, Field(gt=0, le=1e6)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    optimizer: Literal["sgd", "adamw"]
    schedule: Literal["constant", "cosine"]
    warmup: Annotated[int, Field(ge=0)]
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    batch: Literal["triplets", "places"]
    loss: Literal["triplet", "multi_similarity", "contrastive"]
    margin: Annotated[float, Field(gt=0, le=2)]
    batch_triplets: Annotated[int, Field(ge=1)]
    places_per_batch: Annotated[int, Field(ge=2)]
    images_per_place: Annotated[int, Field(ge=2)]
    mining: Literal["hard", "random"]
    positive: Literal["nearest", "random"]
    negative_radius_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    refresh_epochs: Annotated[int, Field(ge=1)]
    validation_fraction: Annotated[float, Field(ge=0, le=0.5)]
    validation_gap: Annotated[int, Field(ge=0)]
    patience: Annotated[int, Field(ge=1)] | None
    select: Literal["last", "best"]

    def __post_init__(self) -> None:
        """Refuse combinations that contradict each other."""
        if self.select == "best" and self.validation_fraction == 0:
            raise ValueError("select = best needs a validation_fraction above 0")
        if self.patience is not None and self.validation_fraction == 0:
            raise ValueError(
                f"patience = {self.patience} needs a validation_fraction above 0: set one, or "
                "set patience to null"
            )
        if self.batch == "triplets" and self.loss != "triplet":
            raise ValueError(
                f"loss = {self.loss} compares all images of a batch: set batch to places, or loss "
                "to triplet"
            )
        if self.warmup and self.warmup >= max(self.epochs, 1):
            raise ValueError(
                f"warmup = {self.warmup} of {self.epochs} epochs leave none at the "
                "full rate: set it below epochs"
            )
        if self.clusters == "refit" and self.aggregator != "netvlad":
            raise ValueError(
                f"clusters = refit: aggregator = {self.aggregator} has no clusters: set clusters "
                "to keep"
            )
        if self.descriptor_dim is not None and self.aggregator in ("netvlad", "none"):
            raise ValueError(
                f"descriptor_dim = {self.descriptor_dim}: aggregator = {self.aggregator} leaves no "
                "choice of it: set it to null"
            )
