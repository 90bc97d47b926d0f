"""What dvc.lock records of the run that made the files."""

from __future__ import annotations

import dataclasses
import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from vpr.run_files import LOCK
from vpr.runtime.parameters import parse_yaml

T = TypeVar("T")


@dataclass(frozen=True)
class Tracked:
    """A file or a folder that a stage read or wrote; the MD5 hash of a folder ends in `.dir`."""

    path: str
    md5: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Stage:
    """The last run of a stage; its parameters by file, then by section or key."""

    deps: list[Tracked] = field(default_factory=list)
    outs: list[Tracked] = field(default_factory=list)
    params: dict[str, dict[str, Any]] = field(default_factory=dict)


Stages = Mapping[str, Stage]


@dataclass(frozen=True)
class _Lock:
    stages: dict[str, Stage]


def parse_stages(text: str, *, source: str | Path, lock: Path = LOCK) -> Stages:
    """Parse what a lock file records of each stage.

    Args:
        text: Content of the file.
        source: Where it was read, for messages.
        lock: Path of the file in the repository.

    Raises:
        ValueError: If it is damaged or not a record of DVC's.
    """
    try:
        return TypeAdapter(_Lock).validate_python(parse_yaml(text, source=source)).stages
    except ValidationError as error:
        problem = f"{source}: {describe_fault(error).lstrip('.')}"
    except ValueError as error:
        problem = str(error)
    raise ValueError(f"{problem}: {_advise(lock)}")


def locked_params(stage: str, section: str, form: type[T], *, lock: Path = LOCK) -> T:
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
    stages = parse_stages(lock.read_text(encoding="utf-8", errors="replace"), source=lock)
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
        words = f"{lock}: stage {stage}: {section}{describe_fault(error)}"
        raise ValueError(f"{words}: {_advise(LOCK)}") from None


def describe_fault(error: ValidationError) -> str:
    """Describe the first fault that pydantic found: `.key[number] = value: what was expected`."""
    problem = error.errors()[0]
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    return f"{''.join(parts)} = {reprlib.repr(problem['input'])}: {problem['msg']}"


def _advise(lock: Path) -> str:
    return f"get the recorded file back by `git checkout {lock}`, or make it again with `dvc repro`"
