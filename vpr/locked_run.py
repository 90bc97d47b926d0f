"""What dvc.lock tells of the run that made the files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypeVar

from vpr.parameters import read_yaml

T = TypeVar("T")


def locked_params(stage: str, section: str, form: type[T], *, lock: Path = Path("dvc.lock")) -> T:
    """The parameters that a stage last ran with, whatever params.yaml says by now.

    Args:
        stage: Its name in dvc.yaml.
        section: Of params.yaml.
        form: Its dataclass.
        lock: The lock file.

    Raises:
        ValueError: If the stage never ran, or ran by code with other parameters.
    """
    stages = read_yaml(lock).get("stages", {})
    try:
        values = stages[stage]["params"]["params.yaml"][section]
    except KeyError:
        raise ValueError(f"{lock}: stage {stage} has not run: start `dvc repro`") from None
    expected = {field.name for field in dataclasses.fields(form)}  # type: ignore[arg-type]
    if set(values) != expected:
        raise ValueError(
            f"{lock}: stage {stage} last ran with the parameters {', '.join(sorted(values))}, this "
            f"code has {', '.join(sorted(expected))}: start `dvc repro`"
        )
    return form(**values)
