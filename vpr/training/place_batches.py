"""Training on places: every image once an epoch, no two places of a batch near each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from vpr.places.positives import positives_of
from vpr.places.radius import find_training_positives
from vpr.training.data import TrainingData
from vpr.training.epochs import Batch
from vpr.training.losses import BatchLoss, Measured, measure_places
from vpr.training.state import TrainingState

Place = NDArray[np.int64]  # its images


@dataclass(frozen=True)
class PlacesRecipe:
    """P places of up to K images in each step; every image is described once an epoch.

    Args:
        seen: The database without its held-out images.
        places_per_batch: Maximum places of a batch, P.
        images_per_place: Maximum images of a place, K.
        negative_radius_m: Images within it are never in two places of one batch, as positives never
            are; None: only positives.
    """

    seen: TrainingData
    loss: BatchLoss
    places_per_batch: int
    images_per_place: int
    negative_radius_m: float | None

    @cached_property
    def near(self) -> list[NDArray[np.int64]]:
        """For each image those that are too near to be its negatives."""
        return find_near(self.seen, radius_m=self.negative_radius_m)

    def draw(
        self, state: TrainingState, device: torch.device
    ) -> tuple[list[Batch], dict[str, int]]:
        """Cut the route into new places, and distribute them over batches."""
        places = draw_places(
            self.seen.positives, images_per_place=self.images_per_place, rng=state.rng
        )
        groups = group_places(
            places, self.near, places_per_batch=self.places_per_batch, rng=state.rng
        )
        counts = {
            "num_batches": len(groups), "num_places": len(places),
            "num_images": sum(map(len, places)),
        }  # fmt: skip
        return [label_places(group) for group in groups], counts

    def measure(self, descriptors: Tensor, places: Tensor) -> Measured:
        """Measure the loss of a batch."""
        return measure_places(descriptors, places, loss=self.loss)


def find_near(seen: TrainingData, *, radius_m: float | None) -> list[NDArray[np.int64]]:
    """List for each image those that are too near to be its negatives.

    Images within `radius_m` are too near, as positives are; None: only positives are.

    Returns:
        Indices, ascending, without the image itself.
    """
    count = len(seen.coordinates)
    near = [positives_of(seen.positives, image).astype(np.int64) for image in range(count)]
    if radius_m is None:
        return near
    wide = find_training_positives(seen.coordinates, radius_m=radius_m)
    return [np.union1d(near[image], positives_of(wide, image)) for image in range(count)]


def draw_places(
    positives: csr_array, *, images_per_place: int, rng: np.random.Generator
) -> list[Place]:
    """Cut the route into places of up to K images that are all positives of each other.

    The images are taken in the order of the route. A place has the first image that is not in one
    yet, and the nearest of its positives that are not either. The first place has a random size of
    1 to K images, so that each epoch cuts elsewhere.

    Args:
        positives: Database x database, self excluded; the stored values are distances.
        images_per_place: Maximum images of a place, K.
        rng: Source of randomness.

    Returns:
        The places; every image is in exactly one. An image without a free positive is the only one
        of its place and serves as a negative.
    """
    is_free = np.ones(positives.shape[0], dtype=bool)
    places = []
    size = int(rng.integers(1, images_per_place + 1))
    for first in range(positives.shape[0]):
        if is_free[first]:
            place = _grow_place(positives, first, is_free, size)
            is_free[place] = False
            places.append(place)
            size = images_per_place
    return places


def _grow_place(
    positives: csr_array, first: int, is_free: NDArray[np.bool_], size: int
) -> NDArray[np.int64]:
    start, end = positives.indptr[first : first + 2]
    by_distance = np.argsort(positives.data[start:end], kind="stable")
    place = [first]
    for image in positives.indices[start:end][by_distance]:
        if len(place) == size:
            break
        if is_free[image] and np.isin(place, positives_of(positives, int(image))).all():
            place.append(int(image))
    return np.array(place, dtype=np.int64)


def group_places(
    places: list[Place],
    near: list[NDArray[np.int64]],
    *,
    places_per_batch: int,
    rng: np.random.Generator,
) -> list[list[Place]]:
    """Distribute places over batches of about equal size, near ones never in one batch.

    Args:
        places: Image indices of each place.
        near: Images, per image, that must not be in another place of its batch.
        places_per_batch: Maximum places of a batch, P.
        rng: Source of randomness.

    Returns:
        As few batches as the sizes allow, and more where nearness forces them.

    Raises:
        ValueError: If no batch holds two places, so that there is no negative, or no place holds
            two images, so that there is no positive.
    """
    batches: list[list[Place]] = [[] for _ in range(-(-len(places) // places_per_batch))]
    forbidden: list[set[int]] = [set() for _ in batches]
    for number in rng.permutation(len(places)):
        place = places[number]
        free = [
            index
            for index, batch in enumerate(batches)
            if len(batch) < places_per_batch and forbidden[index].isdisjoint(place.tolist())
        ]
        if not free:
            batches.append([])
            forbidden.append(set())
        chosen = min(free, key=lambda index: len(batches[index]), default=len(batches) - 1)
        batches[chosen].append(place)
        forbidden[chosen].update(*(near[image].tolist() for image in place))
    _require_pairs(places, batches)
    return [batch for batch in batches if batch]


def label_places(places: list[Place]) -> Batch:
    """List the images of a batch, with the numbers of their places."""
    return np.concatenate(places), torch.repeat_interleave(torch.tensor(list(map(len, places))))


def _require_pairs(places: list[Place], batches: list[list[Place]]) -> None:
    if max(map(len, places)) < 2:
        raise ValueError(
            f"none of the {len(places)} database images has another one within the radius, so no "
            "place has two images and there are no positives: set finetune.epochs to 0, or "
            "increase prepare.radius_m beyond the distance between neighbouring images"
        )
    if max(map(len, batches)) < 2:
        raise ValueError(
            f"the database is {len(places)} place(s), no two of them farther apart than the "
            "radius (and finetune.negative_radius_m, if it is set), so no batch has negatives: "
            "set finetune.epochs to 0, or decrease the radius"
        )
