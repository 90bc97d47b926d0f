"""The record of the last complete run, to come back to when another one fails."""

from __future__ import annotations

from pathlib import Path

from vpr.repository.dvc import run_dvc
from vpr.repository.recorded_outs import DATA, LOCKS
from vpr.run_files import CALIBRATION, DETAILS, QUERIES, RECALL
from vpr.runtime.artefacts import replaced_whole

IN_GIT = (RECALL, QUERIES, DETAILS, CALIBRATION)  # outs that DVC's cache does not hold


def read_record() -> dict[Path, bytes]:
    """Read what DVC records of the run, and the metrics, by path."""
    pointers = (path for part in DATA for path in Path(part).rglob("*.dvc"))
    paths = (*LOCKS, *IN_GIT, *pointers)
    return {path: path.read_bytes() for path in paths if path.is_file()}


def restore_run(record: dict[Path, bytes]) -> bool:
    """Bring back the run of a record, its outs from DVC's cache; return whether all are back.

    What .dvc files follow stays as it is: a checkout would remove photos that are not recorded yet.
    """
    for path, content in record.items():
        with replaced_whole(path) as file:
            file.write(content)
    stages = [str(lock.with_suffix(".yaml")) for lock in LOCKS if lock in record]
    return not stages or run_dvc("checkout", "--force", *stages)
