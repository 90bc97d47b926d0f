"""What dvc.lock records of the run that made the files."""

from __future__ import annotations

import dataclasses
import json
import reprlib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from vpr.runtime.parameters import read_yaml

T = TypeVar("T")

ADVICE = "get the recorded file back by `git checkout dvc.lock`, or make it again with `dvc repro`"


@dataclasses.dataclass(frozen=True)
class _Stage:
    params: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _Lock:
    stages: dict[str, _Stage]


def locked_params(stage: str, section: str, form: type[T], *, lock: Path = Path("dvc.lock")) -> T:
    """Read the parameters that a stage last ran with, even if params.yaml has changed since.

    Args:
        stage: Name in dvc.yaml.
        section: Section of params.yaml.
        form: Dataclass of the section.
        lock: The lock file.

    Raises:
        ValueError: If the file is damaged or not a record of DVC's, or the stage never ran, or ran
            with code that has other parameters.
    """
    stages = _load_stages(lock)
    try:
        values = stages[stage].params["params.yaml"][section]
    except KeyError:
        raise ValueError(f"{lock}: stage {stage} has not run: start `dvc repro`") from None
    expected = {field.name for field in dataclasses.fields(form)}  # type: ignore[arg-type]
    if isinstance(values, dict) and set(values) != expected:
        names = ", ".join(sorted(map(str, values)))
        raise ValueError(
            f"{lock}: stage {stage} last ran with the parameters {names}, this "
            f"code has {', '.join(sorted(expected))}: start `dvc repro`"
        )
    text = json.dumps(values, default=str)  # strict as params.yaml is read: through JSON
    try:
        return TypeAdapter(form).validate_json(text, strict=True)
    except ValidationError as error:
        words = _describe(error)
        raise ValueError(f"{lock}: stage {stage}: {section}{words}: {ADVICE}") from None


def _load_stages(lock: Path) -> dict[str, _Stage]:
    try:
        return TypeAdapter(_Lock).validate_python(read_yaml(lock)).stages
    except ValidationError as error:
        raise ValueError(f"{lock}: {_describe(error).lstrip('.')}: {ADVICE}") from None
    except ValueError as error:
        raise ValueError(f"{error}: {ADVICE}") from None


def _describe(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = "".join(f".{part}" for part in problem["loc"])
    return f"{place} = {reprlib.repr(problem['input'])}: {problem['msg']}"
