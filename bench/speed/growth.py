"""Ten photos added to a large set: seconds, processor time and bytes, against computing all.

Run from the repository's root: `make bench-scale` (`python -m bench.speed.growth`); `--quick` uses
few photos. `dvc repro` runs the committed pipeline and parameters in a temporary clone, whose outs
are links to DVC's cache (`cache.type` is `hardlink,copy`), on a set of its own: photos of 256x192,
each a drawn one turned about the vertical axis. Then a running service takes the larger map over,
and answers one of the new photos.
"""

from __future__ import annotations

import argparse
import resource
import signal
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from PIL import Image

from bench.shared import markdown
from bench.shared.measuring import machine
from bench.shared.trials import call, set_parameters, temporary_clone
from bench.speed.whole_job import repro
from tests.support.services import serving
from vpr.datasets.tables import TABLES, save_table
from vpr.demo.drawing import draw_set
from vpr.images.shards import write_shards
from vpr.places.index import ImageIndex
from vpr.runtime.store import USUAL_GB

NUM_PHOTOS, QUICK_PHOTOS, NUM_NEW, NUM_QUERIES = 10_000, 100, 10, 50
NUM_DRAWN, SIZE_PX, SPACING_M = 50, (256, 192), 5.0
SETTINGS: dict[str, object] = {
    "dataset.dir": "data/grown", "dataset.index": TABLES[0], "prepare.radius_m": 25,
    "rerank.method": "xfeat", "evaluate.accept_by": "inliers",
}  # fmt: skip
NETWORKS: dict[str, dict[str, object]] = {
    "committed": {},
    "vgg16": {
        "pretrained.weights": "random", "trunk.encoder": "vgg16", "trunk.model": None,
        "trunk.trainable_from": "pool",
    },
    "vgg16-gem": {
        "pretrained.weights": "random", "trunk.encoder": "vgg16", "trunk.model": None,
        "trunk.trainable_from": "pool", "finetune.aggregator": "gem",
    },
}  # fmt: skip


class Costs(NamedTuple):
    """What a `dvc repro` cost, its stages included.

    Args:
        written: Bytes that went to the disk.
        read: Bytes that were read, also from memory that holds a file.
        stages: Seconds of each stage's processes; extract is that of both sides.
    """

    seconds: float
    cpu_s: float
    written: int
    read: int
    stages: dict[str, float]


def draw_photos(folder: Path, num_photos: int) -> list[Path]:
    """Draw photos that differ: each drawn one, turned by a few pixels more each time."""
    with tempfile.TemporaryDirectory() as drawn:
        draw_set(
            Path(drawn), num_database=NUM_DRAWN, num_query=2, num_off_map=0,
            length_m=SPACING_M * NUM_DRAWN, size_px=SIZE_PX, difficulty=0.2, seed=0,
        )  # fmt: skip
        views = [np.asarray(Image.open(file)) for file in sorted(Path(drawn, "database").iterdir())]
    folder.mkdir(parents=True)
    photos = [folder / f"{number:06d}.jpg" for number in range(num_photos)]
    for number, photo in enumerate(photos):
        turns, view = divmod(number, NUM_DRAWN)
        pixels = np.roll(views[view], turns, axis=1)
        Image.fromarray(pixels).save(photo, quality=88)
    return photos


def write_tables(folder: Path, photos: list[Path]) -> None:
    """List photos as the database, along a straight road, and some of them as queries."""
    step = max(1, len(photos) // NUM_QUERIES)
    for table, chosen in zip(
        TABLES, (slice(None), slice(0, step * NUM_QUERIES, step)), strict=True
    ):
        places = np.arange(len(photos), dtype=np.float64)[chosen, None] * (SPACING_M, 0.0)
        names = [str(photo.relative_to(folder)) for photo in photos[chosen]]
        save_table(folder / table, ImageIndex(names, places))


def measure(clone: Path) -> Costs:
    """Measure a `dvc repro`: Linux adds what a process read and wrote to its parent's counts."""
    before, busy = psutil.Process().io_counters(), _children_s()
    seconds, _, stages = repro(clone, store_gb=float(USUAL_GB))
    after = psutil.Process().io_counters()
    return Costs(
        seconds, _children_s() - busy, after.write_bytes - before.write_bytes,
        after.read_chars - before.read_chars, stages,
    )  # fmt: skip


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pack(photos: list[Path]) -> None:
    """Replace photos by tar shards of them."""
    write_shards(photos[0].parent, ((photo.name, photo.read_bytes()) for photo in photos))
    for photo in photos:
        photo.unlink()


def grow(
    clone: Path, num_photos: int, *, network: str, shards: bool
) -> tuple[dict[str, Costs], float]:
    """Run the pipeline on photos, once more, and on ten more, which a running service then finds.

    `network` is a key of `NETWORKS`. With `shards` the photos are in tar shards, the ten more in
    one of their own.

    Returns:
        The costs, and the seconds from the signal to the service until it has answered a new photo.
    """
    folder = clone / str(SETTINGS["dataset.dir"])
    photos = draw_photos(folder / "photos", num_photos + NUM_NEW)
    old, new = photos[:num_photos], photos[num_photos:]
    aside = [photo.rename(clone.parent / photo.name) for photo in new]
    last = aside[-1].read_bytes()
    if shards:
        pack(old)
    write_tables(folder, old)
    call(clone, "dvc", "config", "cache.type", "hardlink,copy")
    set_parameters(clone, SETTINGS | NETWORKS[network])
    costs = {"all": measure(clone), "nothing changed": measure(clone)}
    with serving(clone, clone.parent / "log") as service:
        for photo, place in zip(aside, new, strict=True):
            photo.rename(place)
        if shards:
            pack(new)
        write_tables(folder, photos)
        costs[f"{NUM_NEW} more"] = measure(clone)
        start = time.perf_counter()
        service.signal(signal.SIGHUP)
        service.wait_for("Answering from the run that was loaded now")
        reply = service.post("/v1/locate?top=20", last)
        answered = time.perf_counter() - start
    found = [match["image"] for match in reply.content["located"][0]["matches"]]
    assert num_photos + NUM_NEW - 1 in found, found
    return costs, answered


def main() -> None:
    """Print a table of the runs, one of their stages, and the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--photos", type=int, default=NUM_PHOTOS)
    parser.add_argument("--network", choices=NETWORKS, default="committed")
    parser.add_argument("--shards", action="store_true", help="photos in tar shards, not in files")
    asked = parser.parse_args()
    num_photos = QUICK_PHOTOS if asked.quick else asked.photos
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    with temporary_clone(cold=True) as clone:
        costs, answered = grow(clone, num_photos, network=asked.network, shards=asked.shards)
    rows = [
        (name, run.seconds, run.cpu_s, run.written / 1e9, run.read / 1e9)
        for name, run in costs.items()
    ]
    names = ["`dvc repro`", "seconds", "CPU s", "GB written", "GB read"]
    print(f"{num_photos:,} photos, network {asked.network}\n{markdown.table(names, rows)}\n")
    stages = [
        [name, *(run.stages.get(name) for run in costs.values())] for name in costs["all"].stages
    ]
    own = [run.seconds - sum(run.stages.values()) for run in costs.values()]
    print(markdown.table(["stage, seconds", *costs], [*stages, ["DVC's own", *own]]))
    first, last = costs["all"], costs[f"{NUM_NEW} more"]
    print(
        f"\n{NUM_NEW} more: {last.seconds / first.seconds:.1%} of the seconds of all, "
        f"{last.cpu_s / first.cpu_s:.1%} of the processor time, {last.written / first.written:.1%} "
        f"of the bytes written; answered {answered:.1f} s after the signal"
    )


if __name__ == "__main__":
    main()
