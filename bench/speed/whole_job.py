"""A whole job in a real DVC repository, cold and with one thing changed, against the plain loop.

`python -m bench.speed.whole_job` runs it at Berlin's size (314 and 280 photos of 640x480, 5
epochs): about half an hour on 2 cores. With `--places` it trains on batches of places, cold and
with another learning rate: about a quarter of an hour. `make bench` runs a smaller one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from bench.shared.alone import watch_memory
from bench.shared.measuring import interleaved, machine
from bench.shared.photos import SIZE_PX, draw_photos, random_model
from bench.shared.plain_loop import PlainNetwork, describe_plain, train_plain
from bench.shared.trials import (
    CHALLENGE,
    CHALLENGE_PLACES,
    call,
    environment,
    set_parameters,
    temporary_clone,
)
from vpr.runtime.device import find_device
from vpr.runtime.store import LIMIT

RESULTS = Path(__file__).resolve().parents[1] / "results"
EPOCHS = 5
CHANGES: dict[str, dict[str, object]] = {
    "changed top_k": {"search.top_k": 10},  # first: only the cold run is in the cache then
    "changed learning rate": {"finetune.lr": 0.00002},
    "changed clusters": {"finetune.num_clusters": 24},
    "batches of places, changed learning rate": CHALLENGE_PLACES | {"finetune.lr": 0.001},
}
SPACING_M = 11.0  # of Berlin's database
FACTORS = (1, 2, 4)  # sizes of a set whose peaks of memory are compared
NUM_PLAIN = 4  # photos described, and triplets trained on, to extrapolate the plain loop from


def measure(
    *,
    num_database: int,
    num_query: int,
    recipe: dict[str, object] | None = None,
    changes: dict[str, dict[str, object]] = CHANGES,
) -> dict[str, Any]:
    """Time `dvc repro` from nothing, then again for each change.

    Drawing the photos is not part of the job. The plain loop is extrapolated from a measured part:
    it describes each photo and trains on a triplet for each database photo and epoch, and does so
    again for every experiment but the one that only searches.

    `recipe` has parameters of training on top of the challenge's, `changes` those of each run after
    the cold one.

    Returns:
        Total seconds and those of each stage, ratios to the plain loop, and peak memory of each
        stage in MB.
    """
    settings = CHALLENGE | {
        "sample.num_database": num_database, "sample.num_query": num_query,
        "sample.width_px": SIZE_PX[0], "sample.height_px": SIZE_PX[1],
        "sample.spacing_m": SPACING_M,
        "trunk.precision": "bfloat16", "finetune.epochs": EPOCHS, "finetune.mining": "random",
    } | (recipe or {})  # fmt: skip
    seconds, stages = {}, {}
    memory: dict[str, int] = {}
    plain = _plain_seconds(num_database, num_query)
    with temporary_clone(cold=True) as clone:
        for name, change in {"cold": {}, **changes}.items():
            set_parameters(clone, settings | change)
            if name == "cold":
                call(clone, "dvc", "repro", "-q", "data/dvc.yaml:sample")
            seconds[name], peaks, stages[name] = repro(clone)
            memory |= {stage: max(peak, memory.get(stage, 0)) for stage, peak in peaks.items()}
    return {
        "photos": [num_database, num_query],
        "epochs": EPOCHS,
        "seconds": seconds,
        "stage_seconds": stages,
        "plain_seconds_extrapolated": plain,
        "plain_over_ours": {name: plain / taken for name, taken in seconds.items()},
        "peak_memory_mb": {stage: peak / 1e6 for stage, peak in sorted(memory.items())},
    }


def measure_memory(*, num_database: int, num_query: int) -> dict[str, Any]:
    """Run the pipeline for one epoch on sets of three sizes, with small photos.

    Returns:
        Peak anonymous memory in MB of each stage's process, in the order of the factors, and the
        last over the first; None where a stage did not run, since none of its inputs had changed.
    """
    peaks: list[dict[str, float]] = []
    with temporary_clone(cold=True) as clone:
        for factor in FACTORS:
            settings = CHALLENGE | {
                "sample.num_database": factor * num_database,
                "sample.num_query": factor * num_query,
                "sample.width_px": 96, "sample.height_px": 64,
                "sample.spacing_m": SPACING_M, "finetune.epochs": 1,
            }  # fmt: skip
            set_parameters(clone, settings)
            peaks.append({stage: peak / 1e6 for stage, peak in repro(clone)[1].items()})
    stages = list(peaks[0])  # the first run is cold, so all of them ran
    return {
        "photos": [num_database, num_query],
        "factors": list(FACTORS),
        "peak_memory_mb": {stage: [found.get(stage) for found in peaks] for stage in stages},
        "growth": {
            stage: peaks[-1][stage] / peaks[0][stage] if stage in peaks[-1] else None
            for stage in stages
        },
    }


def repro(clone: Path, *, store_gb: float = 0) -> tuple[float, dict[str, int], dict[str, float]]:
    """Time a `dvc repro` in a clone.

    Without a store, of `store_gb` 0, a stage that runs again computes again.

    Returns:
        Its seconds, the peak anonymous memory of each stage in bytes, and the seconds of each
        stage's processes, including Python's start; the rest is DVC's own.
    """
    peaks: dict[str, int] = {}
    settings = environment(**{LIMIT: str(store_gb)})
    start = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(
            ["dvc", "repro"], cwd=clone, env=settings, stdout=output, stderr=output
        ) as process,
    ):
        watched = psutil.Process(process.pid)
        spans: dict[int, tuple[str, float, float]] = {}
        watches = [
            threading.Thread(target=watch_memory, args=(watched, peaks)),
            threading.Thread(target=_watch_stages, args=(watched, spans)),
        ]
        for watch in watches:
            watch.start()
        process.wait()
        for watch in watches:
            watch.join()
        output.seek(0)
        assert process.returncode == 0, output.read()
    taken: dict[str, float] = {}
    for stage, first, last in spans.values():
        taken[stage] = round(taken.get(stage, 0.0) + last - first, 2)
    return time.perf_counter() - start, peaks, taken


def _watch_stages(process: psutil.Process, spans: dict[int, tuple[str, float, float]]) -> None:
    """Record when each stage's process was first and last seen, by its id, until dvc ends."""
    with suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            for child in process.children(recursive=True):
                with suppress(psutil.Error):
                    command = child.cmdline()
                    if "-m" in command and command[0].endswith("python"):
                        now, stage = time.perf_counter(), command[command.index("-m") + 1]
                        _, first, _ = spans.get(child.pid, (stage, now, now))
                        spans[child.pid] = (stage.removeprefix("stages."), first, now)
            time.sleep(0.02)


def _plain_seconds(num_database: int, num_query: int) -> float:
    network = PlainNetwork(random_model().tensors).to(find_device())
    with tempfile.TemporaryDirectory() as folder:
        photos = draw_photos(Path(folder) / "set", num_photos=NUM_PLAIN + 2)
        triplets = list(zip(photos[:-2], photos[1:-1], photos[2:], strict=True))
        describe_plain(network, photos[:1])
        taken = interleaved(
            {
                "describe": lambda: describe_plain(network, photos[:NUM_PLAIN]),
                "train": lambda: train_plain(network, triplets),
            },
            repeats=2,
        )
    steps = {"describe": num_database + num_query, "train": EPOCHS * num_database}
    return sum(steps[name] * taken[name] / NUM_PLAIN for name in steps)


def main() -> None:
    """Run at Berlin's size and save the figures in bench/results/."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--places", action="store_true", help="train on batches of places")
    places = parser.parse_args().places
    job = partial(measure, num_database=314, num_query=280)
    changed: dict[str, dict[str, object]] = {"changed learning rate": {"finetune.lr": 0.001}}
    measured = job(recipe=CHALLENGE_PLACES, changes=changed) if places else job()
    found = {"machine": machine(), "whole job": measured}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"berlin_{'places_' if places else ''}{find_device().type}.json"
    file.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
