"""The report of 5,000 synthetic queries: seconds and memory to build it, seconds until it shows.

Run from the repository's root: `python -m bench.large_report`. It needs chromium and chromedriver.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NUM_QUERIES = 5000


def main() -> None:
    """Build the thumbnails and the report in a temporary folder, and open its pages."""
    sys.path.insert(0, str(ROOT / "tests"))
    from browsing import chromium
    from synthetic_run import make_report, write_run

    with tempfile.TemporaryDirectory() as folder:
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
