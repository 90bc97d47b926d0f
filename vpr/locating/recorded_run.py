"""The files of the recorded run that photos are located with."""

from __future__ import annotations

from json import loads
from pathlib import Path

from vpr.evaluation.details import Threshold, find_threshold

IMAGES = Path("data/images")
PREPARED = Path("data/prepared")
MODEL = Path("models/netvlad/model.pt")
DESCRIPTORS = Path("data/descriptors/database.npy")
WHITENING = Path("models/whitening.npz")
WHITENED = Path("data/whitened/database.npy")
INDEX = Path("data/index")
METRICS = Path("metrics/details.json")
NEEDED = (
    MODEL, DESCRIPTORS, WHITENING, WHITENED, INDEX, METRICS, PREPARED / "database.csv",
    PREPARED / "query.csv", PREPARED / "positives.npz", IMAGES / "query",
)  # fmt: skip


def check_run(*, with_images: bool) -> None:
    """Check that the files of the run are here.

    Args:
        with_images: Whether the database's images are needed too.

    Raises:
        ValueError: If one is not; the message says how to get it.
    """
    for needed in (*NEEDED, *([IMAGES / "database"] if with_images else [])):
        if not needed.exists():
            raise ValueError(f"{needed} is missing: run `dvc repro`, or fetch it with `dvc pull`")


def load_threshold() -> Threshold:
    """Load what the run accepts as a known place.

    Raises:
        ValueError: If its metrics are damaged.
    """
    try:
        return find_threshold(loads(METRICS.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{METRICS}: damaged: {error}: restore it with `git checkout {METRICS}`, or make it "
            "again with `dvc repro`"
        ) from None
