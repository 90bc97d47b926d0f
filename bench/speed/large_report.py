"""The report of 5,000 queries and as many database images: seconds, memory, time to display.

Run from the repository's root: `python -m bench.speed.large_report`. It needs chromium and
chromedriver.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.browsing import chromium
from tests.support.synthetic_run import make_report, write_run

NUM_QUERIES = 5000


def draw_all(folder: Path) -> None:
    """Draw the thumbnails of both sides from one photo of 640 x 480 pixels under all names."""
    from vpr.images.image_files import list_images
    from vpr.images.thumbnails import draw_thumbnails

    photo = np.random.default_rng(0).integers(256, size=(60, 80, 3), dtype=np.uint8)
    photos = folder / "photos"
    photos.mkdir()
    first = photos / "000000.jpg"
    Image.fromarray(photo).resize((640, 480)).save(first)
    for number in range(1, 2 * NUM_QUERIES):
        (photos / f"{number:06d}.jpg").hardlink_to(first)
    start = time.perf_counter()
    draw_thumbnails(list_images(photos), folder / "small", max_side_px=320, quality=80)
    print(f"thumbnails of {2 * NUM_QUERIES} photos: {time.perf_counter() - start:.1f} s")


def main() -> None:
    """Build the thumbnails and the report in a temporary folder, and open its pages."""
    with tempfile.TemporaryDirectory() as folder:
        draw_all(Path(folder))
        run = Path(folder) / "run"
        names = [f"drive/{number:05d}.jpg" for number in range(NUM_QUERIES)]
        write_run(run, num_database=NUM_QUERIES, names=names, size_px=320)
        os.chdir(run)
        start = time.perf_counter()
        report = make_report()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"report of {NUM_QUERIES} queries: {seconds:.1f} s, peak memory {peak:.0f} MB")
        with chromium() as browser:
            for page in ("index.html", "map.html", "gallery.html"):
                start = time.perf_counter()
                browser.open(report / page)
                browser.run("document.body.offsetHeight")
                print(f"{page}: usable after {time.perf_counter() - start:.1f} s")
            for filter_name in ("wrong", "all"):
                start = time.perf_counter()
                browser.click(f"input[value={filter_name}]")
                browser.run("document.body.offsetHeight")
                seconds = time.perf_counter() - start
                print(f"filter {filter_name}: {seconds:.2f} s, {browser.texts('#status')[0]}")


if __name__ == "__main__":
    main()
