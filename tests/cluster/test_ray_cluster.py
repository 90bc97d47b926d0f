"""Over a Ray cluster results are the same to the bit, whatever dies."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from tests.support.ray_clusters import RayCluster
from tests.support.repositories import ROOT, change, run
from tests.support.streamed_stage import make_inputs
from tests.support.trunk_run import SIZE_PX
from vpr.features.local_features import load_features
from vpr.images.shards import write_shards

pytestmark = pytest.mark.long

NUM_PHOTOS = 60
THREADS = torch.get_num_threads()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    started = RayCluster()
    try:
        for _ in range(2):
            started.add_node(THREADS)
        yield started
    finally:
        started.end()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(NUM_PHOTOS):
        pixels = rng.integers(0, 256, (*SIZE_PX, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06d}.png")
    return folder


def digest(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.npy")
    }


@pytest.fixture(scope="module")
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("here")
    run(ROOT, sys.executable, "-m", "tests.support.trunk_run", str(photos), str(folder))
    return digest(folder)


def start(cluster: RayCluster, photos: Path, folder: Path, **settings: str) -> psutil.Popen:
    words = (sys.executable, "-m", "tests.support.trunk_run", str(photos), str(folder))
    return psutil.Popen(
        cluster.inside(*words, folder=ROOT), env={**cluster.environment(), **settings}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def wait_for(driver: psutil.Popen, num_images: int) -> None:
    while (line := driver.stdout.readline()) != f"stored {num_images}\n":
        assert line, "it ended before"


def test_a_stage_gives_the_same_lock_with_nodes_that_have_no_checkout(
    cluster: RayCluster, pipeline: Path
) -> None:
    lock = (pipeline / "dvc.lock").read_bytes()
    stage = ("dvc", "repro", "-s", "-f", "trunk@database")
    output = cluster.run(pipeline, *stage, VPR_STORE_GB="0")
    assert "Ray: up to 2 tasks at once on nodes 127.0.0.1, 127.0.0.1" in output
    assert (pipeline / "dvc.lock").read_bytes() == lock
    cluster.run(pipeline, *stage)
    assert "Ray: up to" not in cluster.run(pipeline, *stage)  # all is found in the store
    assert (pipeline / "dvc.lock").read_bytes() == lock


def test_streamed_descriptors_of_shards_have_the_bytes_of_stored_features_of_files_here(
    cluster: RayCluster, tmp_path: Path
) -> None:
    make_inputs(tmp_path)
    words = (sys.executable, "-m", "tests.support.streamed_stage", str(tmp_path))
    run(ROOT, *words, "here", "all")
    files = [(file.name, file.read_bytes()) for file in sorted((tmp_path / "images").iterdir())]
    shutil.rmtree(tmp_path / "images")
    (tmp_path / "images").mkdir()
    write_shards(tmp_path / "images", files)
    output = cluster.run(ROOT, *words, "there", "5")
    assert output.count("Ray: up to 2 tasks at once") == 2  # the trunk's, and those of the stream
    assert len(load_features(tmp_path / "features").shapes) == 5
    assert (tmp_path / "there.npy").read_bytes() == (tmp_path / "here.npy").read_bytes()


def test_a_killed_worker_and_a_killed_raylet_change_no_bit(
    cluster: RayCluster, photos: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    driver = start(cluster, photos, tmp_path / "there")
    wait_for(driver, 6)
    cluster.workers()[0].send_signal(signal.SIGKILL)
    wait_for(driver, 12)
    cluster.raylet(2).send_signal(signal.SIGKILL)
    wait_for(driver, NUM_PHOTOS)
    assert driver.wait(60) == 0
    driver.stdout.close()
    assert digest(tmp_path / "there") == expected


def test_pairs_that_were_verified_before_are_not_sent(cluster: RayCluster, pipeline: Path) -> None:
    for before, after in (("method: none", "method: sift"), ("  top: 20 #", "  top: 2 #")):
        change(pipeline, before, after)
    run(pipeline, "dvc", "repro", "inliers")  # 8 queries, 2 candidates each
    text = (pipeline / "params.yaml").read_text()
    (pipeline / "params.yaml").write_text(text.replace("  top: 2 #", "  top: 3 #"))
    stage = ("dvc", "repro", "-sf", "inliers")
    run(pipeline, "env", "VPR_STORE_GB=0", *stage)
    lock = (pipeline / "dvc.lock").read_bytes()
    for num_found, is_sent in ((16, True), (24, False)):
        output = cluster.run(pipeline, *stage)
        assert f"24 pairs of 8 queries, {num_found} of them found in the store" in output
        assert ("Ray: up to " in output) == is_sent, output
        assert (pipeline / "dvc.lock").read_bytes() == lock


@pytest.mark.soak
def test_after_a_killed_driver_workers_end_and_the_next_run_resumes(
    cluster: RayCluster, photos: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    driver = start(cluster, photos, tmp_path / "there")
    wait_for(driver, 6)
    (python,) = driver.children()
    busy = cluster.workers()
    assert busy
    python.send_signal(signal.SIGKILL)
    driver.wait(30)
    driver.stdout.close()
    assert psutil.wait_procs(busy, timeout=30)[1] == []
    words = ("-m", "tests.support.trunk_run", str(photos), str(tmp_path / "there"))
    output = cluster.run(ROOT, sys.executable, *words)
    assert int(re.findall(r"resuming after the (\d+) images", output)[0]) in range(6, NUM_PHOTOS)
    assert digest(tmp_path / "there") == expected


@pytest.mark.soak
def test_results_larger_than_the_cluster_are_neither_spilled_nor_gathered(
    cluster: RayCluster,
) -> None:
    words = ("-m", "tests.support.large_results", "60", "1")  # 600 MB, through stores of 80 MB
    output = cluster.run(ROOT, sys.executable, *words)
    growth = float(re.findall(r"60 results, growth ([\d.]+) MB", output)[0])
    assert growth < 20
    assert not cluster.spilled()


@pytest.mark.soak
def test_a_pipeline_gives_the_same_lock_with_and_without_a_cluster(
    cluster: RayCluster, pipeline: Path
) -> None:
    change(pipeline, "method: none", "method: sift")
    run(pipeline, "dvc", "repro")
    lock = (pipeline / "dvc.lock").read_bytes()
    output = cluster.run(pipeline, "dvc", "repro", "-f")
    assert output.count("Ray: up to") == 6  # trunk and keypoints of both sides, search, re-ranking
    assert (pipeline / "dvc.lock").read_bytes() == lock


@pytest.mark.soak
def test_a_node_that_would_give_other_bits_is_refused_by_name_or_allowed(
    cluster: RayCluster, photos: Path, tmp_path: Path
) -> None:
    (facts,) = Path(str(distribution("numpy").locate_file(""))).glob("numpy-*.dist-info")
    other = tmp_path / facts.name
    shutil.copytree(facts, other)
    text = (other / "METADATA").read_text()
    (other / "METADATA").write_text(re.sub(r"(?m)^Version: .*", "Version: 9.9", text, count=1))
    cluster.add_node(
        THREADS, before=f"mount --bind '{other}' '{facts}'",
        environment={"ATEN_CPU_CAPABILITY": "default"},
    )  # fmt: skip
    words = (sys.executable, "-m", "tests.support.trunk_run", str(photos))
    output = cluster.run(ROOT, *words, str(tmp_path / "a"), code=1)
    kernels = torch.backends.cpu.get_cpu_capability()
    assert "ValueError: Ray node 127.0.0.1 (" in output
    assert f"numpy is 9.9 (expected {np.__version__})" in output
    assert f"torch kernels is DEFAULT (expected {kernels})" in output
    assert "VPR_RAY_MIXED=1" in output
    cluster.run(ROOT, *words, str(tmp_path / "b"), VPR_RAY_MIXED="1")
    words = (sys.executable, "-m", "tests.support.large_results", "1", str(THREADS + 1))
    output = cluster.run(ROOT, *words, code=1)
    assert f"a task computes on {THREADS + 1} threads" in output
    assert f"has {THREADS}. Set OMP_NUM_THREADS" in output
    output = cluster.run(ROOT, *words, code=1, RAY_AUTH_TOKEN=64 * "a")
    assert "VPR_RAY_ADDRESS = 127.0.0.1:6379: expected host:port" in output
    assert "found: its token differs" in output


@pytest.mark.soak
def test_when_the_last_node_is_lost_the_stage_ends_with_a_message(
    cluster: RayCluster, photos: Path, tmp_path: Path
) -> None:
    driver = start(cluster, photos, tmp_path / "there", VPR_RAY_MIXED="1")
    wait_for(driver, 6)
    for node in range(1, len(cluster.nodes)):
        if cluster.nodes[node].poll() is None:
            cluster.raylet(node).send_signal(signal.SIGKILL)
    output = driver.communicate(timeout=120)[0]
    assert driver.returncode == 1
    assert "OSError: the Ray cluster has lost its last node that computes" in output
