"""The parameters of local features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

if TYPE_CHECKING:  # slow to import, and read by stages that see no pixels
    from vpr.images.image_files import Photo
    from vpr.images.pixels import ScaleTo

Side = Annotated[int, Field(ge=32)]


@dataclass(frozen=True)
class TrunkParams:
    """Parameters of the stage trunk."""

    encoder: str
    model: str | None
    trainable_from: str
    precision: Literal["float32", "bfloat16", "float16"]
    max_side_px: Side | None
    image_size: tuple[Side, Side] | None
    store: Literal["all"] | Annotated[int, Field(ge=0)]

    def __post_init__(self) -> None:
        """Refuse two sizes at once."""
        if self.max_side_px is not None and self.image_size is not None:
            raise ValueError(
                f"trunk.max_side_px = {self.max_side_px} and trunk.image_size = "
                f"{list(self.image_size)}: set one of them to null"
            )

    @property
    def scale_to(self) -> ScaleTo:
        """Size that images are scaled to before the network sees them."""
        return self.image_size or self.max_side_px

    def stored(self, images: Sequence[Photo]) -> Sequence[Photo]:
        """Select the images whose features are stored."""
        return images if self.store == "all" else images[: self.store]
