"""Extraction of 1, 2 and 4 times the images: time grows linearly, memory stays flat.

Run from the repository's root: `make bench-scale` (`python -m bench.speed.extraction_scale`);
`--quick` uses few images. Drawn photos of 640x480, the default encoder (with random weights, on
which the time does not depend) and NetVLAD. "Stored" is what the stage trunk computes and writes,
"streamed" what the stage extract does without stored features. Every way and number runs in a
process of its own, whose first batches are not timed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from bench.shared import markdown
from bench.shared.alone import measure_alone
from bench.shared.measuring import machine
from bench.shared.photos import draw_photos
from vpr.features.encoder import POOL, count_channels, load_encoder
from vpr.features.extraction import store_features
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.images.image_files import read_image, read_size
from vpr.network.describing import describe_photos, load_network
from vpr.retrieval.descriptors import save_descriptors
from vpr.runtime.device import find_device

FACTORS = (1, 2, 4)
NUM_PHOTOS, QUICK_PHOTOS, WARM_PHOTOS = 250, 4, 4
ENCODER, VARIANT, NUM_CLUSTERS, MAX_SIDE_PX = "efficientnet_lite", "lite0", 64, 320
NAMES = [
    "images", "way", "seconds", "CPU s", "ms per image", "CPU ms per image", "peak memory, MB",
]  # fmt: skip
DEVICE = find_device()
READ = partial(read_image, scale_to=MAX_SIDE_PX)
SIZE = partial(read_size, scale_to=MAX_SIDE_PX)


def make_model() -> Model:
    """Make a whole model of the default encoder, with random weights."""
    encoder = load_encoder(ENCODER, VARIANT)
    state, _ = encoder.initial_state("random", 0)
    chance = torch.Generator().manual_seed(0)
    centroids = torch.randn(NUM_CLUSTERS, count_channels(encoder), generator=chance)
    pool = {"pool.conv.weight": centroids[..., None, None], "pool.centroids": centroids}
    return Model(ENCODER, VARIANT, POOL, state | pool)


def store(model: Model, photos: list[Path], folder: Path) -> None:
    """Store the local features of photos, like the stage trunk."""
    trunk = load_trunk(model, torch.bfloat16)
    store_features(folder / "trunk", trunk, photos, READ, size=SIZE, device=DEVICE)


def stream(model: Model, photos: list[Path], folder: Path) -> None:
    """Write the descriptors of photos, like the stage extract without stored features."""
    network = load_network(model, precision=torch.bfloat16, scale_to=MAX_SIDE_PX, device=DEVICE)
    rows = (batch.descriptors for batch in describe_photos(network, photos))
    save_descriptors(
        folder / "descriptors.npy", rows, num_images=len(photos), count=folder / "done"
    )


WAYS: dict[str, Callable[[Model, list[Path], Path], None]] = {
    "stored (`trunk.store: all`)": store, "streamed (`trunk.store: 0`)": stream,
}  # fmt: skip


def measure_once(way: str, num_photos: int, folder: Path) -> dict[str, float]:
    """Extract the first photos of a folder in one way, in this process."""
    model, photos = make_model(), sorted(folder.iterdir())[:num_photos]
    for count in (WARM_PHOTOS, num_photos):
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            start, since = time.process_time(), time.perf_counter()
            WAYS[way](model, photos[:count], Path(made))
            used, taken = time.process_time() - start, time.perf_counter() - since
    return {"seconds": taken, "cpu_s": used}


def tabulate(way: str, counts: list[int], folder: Path) -> str:
    """Measure one way over the number of photos, print a row for each, and summarise."""
    found = []
    for count in counts:
        options = ("--once", way, "--photos", str(count), "--folder", str(folder))
        run = measure_alone("bench.speed.extraction_scale", *options)
        row = [
            f"{count:,}", way, run["seconds"], run["cpu_s"], f"{1000 * run['seconds'] / count:.1f}",
            f"{1000 * run['cpu_s'] / count:.1f}", f"{run['peak_mb']:.0f}",
        ]  # fmt: skip
        print(markdown.row(row), flush=True)
        found.append(run)
    longer, busier, larger = (
        found[-1][key] / found[0][key] for key in ("seconds", "cpu_s", "peak_mb")
    )
    return (
        f"{way}: {counts[-1] // counts[0]} times the images take {longer:.2f} times the seconds "
        f"({busier:.2f} of CPU) and {larger:.2f} times the memory"
    )


def main() -> None:
    """Print the table, or measure one way if asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--once", help="a way, measured in this process", choices=WAYS)
    parser.add_argument("--photos", type=int)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.once:
        print(json.dumps(measure_once(asked.once, asked.photos, asked.folder)))
        return
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    counts = [factor * (QUICK_PHOTOS if asked.quick else NUM_PHOTOS) for factor in FACTORS]
    with tempfile.TemporaryDirectory() as folder:
        photos = draw_photos(Path(folder) / "set", num_photos=counts[-1])[0].parent
        print(markdown.head(NAMES), flush=True)
        lines = [tabulate(way, counts, photos) for way in WAYS]
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
