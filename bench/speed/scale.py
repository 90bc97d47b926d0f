"""Exact search and indices by the number of images: time, memory, bytes and recall.

Run from the repository's root: `make bench-scale` (`python -m bench.speed.scale`); `--quick` uses
small databases. Descriptors are synthetic streets: unit rows of 256 dimensions, 200 photos each,
with similar neighbours (AR(1), 0.9); queries are some of these photos with noise. Every way runs in
a process of its own, like the stages index and search.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.shared import markdown
from bench.shared.alone import measure_alone
from vpr.retrieval.approximate import measure_index
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.index_files import open_search, write_index
from vpr.retrieval.index_kinds import EXACT, Effort

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (2_000,)
DIM, PHOTOS, ALIKE, NOISE = 256, 200, 0.9, 0.03
NUM_QUERIES, TOP_K = 500, 20
EFFORT = Effort(nprobe=64, ef_search=256, candidates=200)


def ways(num_rows: int) -> tuple[str, ...]:
    """Exact search and three indices, with about 4 lists for each square root of the images."""
    lists = 2 ** round(np.log2(4 * np.sqrt(num_rows)))
    return EXACT, f"IVF{lists},Flat", "HNSW32", f"IVF{lists},PQ64x4fs"


def write_streets(folder: Path, num_rows: int) -> None:
    """Write the descriptors of both sides."""
    rng = np.random.default_rng(0)
    shape = (num_rows, DIM)
    rows = np.lib.format.open_memmap(folder / "database.npy", "w+", np.float32, shape)
    streets = rows.reshape(-1, PHOTOS, DIM)
    for block in np.array_split(streets, max(1, len(streets) // 500)):
        state = rng.standard_normal((len(block), DIM), np.float32)
        for photo in range(PHOTOS):
            fresh = rng.standard_normal(state.shape, np.float32)
            state = ALIKE * state + np.sqrt(1 - ALIKE**2).astype(np.float32) * fresh
            block[:, photo] = _unit(state)
    chosen = rows[:: num_rows // NUM_QUERIES][:NUM_QUERIES]
    noise = rng.standard_normal(chosen.shape, np.float32)
    np.save(folder / "query.npy", _unit(chosen + NOISE * noise))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def measure_once(text: str, folder: Path) -> dict[str, float]:
    """Build and search one way, in this process."""
    database = load_descriptors(folder / "database.npy")
    query = np.load(folder / "query.npy")
    with tempfile.TemporaryDirectory(dir=folder) as made:
        start = time.process_time()
        write_index(Path(made) / "index", text, database)
        built = time.process_time() - start
        num_bytes = sum(file.stat().st_size for file in (Path(made) / "index").glob("*.faiss"))
        find = open_search(Path(made) / "index", text, database, effort=EFFORT)
        start, since = time.process_time(), time.perf_counter()
        indices, _ = find(query, top_k=TOP_K)
        searched, waited = time.process_time() - start, time.perf_counter() - since
    return {
        "build_cpu_s": built, "bytes_per_image": num_bytes / len(database),
        "cpu_s": searched, "ms_per_query": 1000 * waited / len(query),
    } | ({} if text == EXACT else measure_index(database, query, indices))  # fmt: skip


def tabulate(num_rows: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Measure every way at one size, and print a row for each."""
    write_streets(folder, num_rows)
    measured = {}
    for text in ways(num_rows):
        options = ("--once", text, "--folder", str(folder))
        found = measured[text] = measure_alone("bench.speed.scale", *options)
        row = [
            f"{num_rows:,}", f"`{text}`", round(found["build_cpu_s"], 1), f"{found['peak_mb']:.0f}",
            f"{found['bytes_per_image']:.0f}", found["ms_per_query"], round(found["cpu_s"], 2),
            f"{found.get('index_recall@1', 1):.3f}", f"{found.get('index_recall@20', 1):.3f}",
        ]  # fmt: skip
        print(markdown.row(row), flush=True)
    return measured


def main() -> None:
    """Print the table, or measure one way if asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--once", help="an index string, measured in this process")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.once:
        print(json.dumps(measure_once(asked.once, asked.folder)))
        return
    from bench.shared.measuring import machine  # imports torch, which search does not need

    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    names = [
        "images", "index", "build, CPU s", "peak memory, MB", "bytes per image", "ms per query",
        f"CPU s of {NUM_QUERIES} queries", "recall@1 of exact", "recall@20 of exact",
    ]  # fmt: skip
    print(markdown.head(names), flush=True)
    exact = {}
    for num_rows in QUICK_SIZES if asked.quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            exact[num_rows] = tabulate(num_rows, Path(folder))[EXACT]
    for num_rows, found in exact.items():
        each = 1e6 * found["cpu_s"] / NUM_QUERIES / num_rows
        print(f"exact, {num_rows:,} images: {each:.4f} CPU us per query and image, "
              f"{found['peak_mb']:.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
