"""What dvc.lock tells of the run that made the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vpr.parameters import read_yaml


def locked_params(stage: str, section: str, *, lock: Path = Path("dvc.lock")) -> dict[str, Any]:
    """The parameters that a stage last ran with, whatever params.yaml says by now.

    Args:
        stage: Its name in dvc.yaml.
        section: Of params.yaml.
        lock: The lock file.

    Raises:
        ValueError: If the stage never ran.
    """
    stages = read_yaml(lock).get("stages", {})
    try:
        values: dict[str, Any] = stages[stage]["params"]["params.yaml"][section]
    except KeyError:
        raise ValueError(f"{lock}: stage {stage} has not run: start `dvc repro`") from None
    return values
