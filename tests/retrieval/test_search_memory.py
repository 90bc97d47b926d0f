"""A database larger than the memory it may have is ranked as one that fits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.repositories import ROOT
from vpr.retrieval.ranking import rank_database

ROOM = 128 * 2**20  # bytes of data that the search may take
NUM_DATABASE, DIM = 20_000, 2048  # 164 MB

LIMITED = """
import re, resource, sys
from pathlib import Path
import numpy as np
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.ranking import rank_database
folder = Path(sys.argv[1])
database, query = (load_descriptors(folder / f"{side}.npy") for side in ("database", "query"))
rank_database(database[:100], query, top_k=20)  # starts the threads, whose stacks are data
status = Path("/proc/self/status").read_text()
limit = 1024 * int(re.search(r"VmData:\\s+(\\d+)", status)[1]) + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.array(database)
    sys.exit("the limit holds the whole database")
except MemoryError:
    pass
indices, distances = rank_database(database, query, top_k=20)
np.savez(folder / "ranked.npz", indices=indices, distances=distances)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of data are Linux's")
def test_a_database_larger_than_memory_gives_the_same_answer(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sides = []
    for side, count in (("database", NUM_DATABASE), ("query", 40)):
        rows = rng.standard_normal((count, DIM), dtype=np.float32)
        sides.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        np.save(tmp_path / f"{side}.npy", sides[-1])
    assert sides[0].nbytes > ROOM
    command = [sys.executable, "-c", LIMITED, str(tmp_path), str(ROOM)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ranked = np.load(tmp_path / "ranked.npz")
    indices, distances = rank_database(*sides, top_k=20)
    np.testing.assert_array_equal(ranked["indices"], indices)
    np.testing.assert_array_equal(ranked["distances"], distances)
    exact = np.linalg.norm(sides[0].astype(np.float64) - sides[1][0], axis=1)
    assert indices[0].tolist() == np.argsort(exact)[:20].tolist()
