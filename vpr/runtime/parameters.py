"""Reading params.yaml: strictly typed, by the rules of YAML 1.2."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

PARAMS_FILE = Path("params.yaml")

T = TypeVar("T")


def load_params(section: str, form: type[T], *, path: Path = PARAMS_FILE) -> T:
    """Load one section of the parameters into a dataclass with exactly its keys.

    The file is read as YAML 1.2, in which `1e-05` (what `dvc exp run -S` writes) is a number.

    Raises:
        ValueError: If the file is not readable YAML, or the section is absent or has an unknown
            key, a missing key, or a value of the wrong type or outside its range. One message names
            the file and every offending key with its value.
    """
    return _parse_section(read_yaml(path), section, form, path)


def load_param(key: str, form: type[T], *, path: Path = PARAMS_FILE) -> T:
    """Load one value by its section and name, such as `trunk.trainable_from`.

    Raises:
        ValueError: If the key is absent or its value is not of that type.
    """
    section, name = key.split(".")
    values = read_yaml(path).get(section)
    if not isinstance(values, dict) or name not in values:
        raise ValueError(f"{path}: {key}: this key is missing")
    try:
        return _validate(form, values[name])
    except ValidationError as error:
        raise ValueError(f"{path}: {key} = {values[name]!r}: {error.errors()[0]['msg']}") from None


def check_params(forms: dict[str, type], *, path: Path = PARAMS_FILE) -> list[str]:
    """Check a whole parameter file against the dataclass of each section, and list all problems.

    Returns:
        One message for each section that is unknown, missing or does not fit; empty if all fit.

    Raises:
        ValueError: If the file cannot be read at all.
    """
    content = read_yaml(path)
    problems = [
        f"{path}: {section}: unknown section; known are {_near_first(section, forms)}"
        for section in content
        if section not in forms
    ]
    for section, form in forms.items():
        try:
            _parse_section(content, section, form, path)
        except ValueError as error:
            problems.append(str(error))
    return problems


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML 1.2 file whose top level is a mapping.

    Raises:
        ValueError: If the file cannot be read as such; the message names the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path}: this file is missing in {Path.cwd()}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not readable as YAML: {error}") from None
    return parse_yaml(text, source=path)


def parse_yaml(text: str, *, source: Path | str) -> dict[str, Any]:
    """Parse YAML 1.2 whose top level is a mapping.

    Raises:
        ValueError: If it cannot be parsed as such; the message names the source and the line.
    """
    try:
        content = deepcopy(_load_yaml(text))
    except YAMLError as error:
        raise ValueError(f"{source}: not readable as YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{source}: expected sections with keys, found {content!r}")
    return content


@lru_cache(maxsize=8)
def _load_yaml(text: str) -> object:
    """Parse a file once for all who read a part of it: dvc.lock takes 0.1 s, params.yaml 0.04 s."""
    return YAML(typ="safe").load(text)


def suggest(word: str, known: Iterable[str]) -> str:
    """Write `; did you mean ...?` for a misspelt word, or nothing where none is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _parse_section(content: Mapping[str, Any], section: str, form: type[T], path: Path) -> T:
    values = content.get(section)
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected a section {section!r} with keys, found {values!r}")
    keys = [field.name for field in dataclasses.fields(form)]  # type: ignore[arg-type]
    problems = [
        f"{section}.{key} = {value!r}: unknown key; known are {_near_first(key, keys)}"
        for key, value in values.items()
        if key not in keys
    ]
    known = {key: value for key, value in values.items() if key in keys}
    try:
        parsed = _validate(form, known)
    except ValidationError as error:
        problems += _describe(error, section, known)
    if problems:
        raise ValueError(f"{path}: " + "\n  ".join(problems))
    return parsed


def _near_first(word: object, known: Iterable[str]) -> str:
    near = get_close_matches(str(word), list(known))
    return ", ".join([*near, *(name for name in known if name not in near)])


def _validate(form: type[T], value: object) -> T:
    # Through JSON: there pydantic's strict mode takes a mapping for a dataclass, a list for a
    # tuple and an integer for a float, and still refuses '1', 1.0 and true for an integer.
    text = json.dumps(value, allow_nan=True, default=str)
    return TypeAdapter(form).validate_json(text, strict=True)


def _describe(error: ValidationError, section: str, values: dict[str, Any]) -> list[str]:
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else ""
        key = f"{section}.{name}" if name else section
        found = f" = {values[name]!r}" if name in values else ""
        lines.append(f"{key}{found}: {problem['msg'].removeprefix('Value error, ')}")
    return list(dict.fromkeys(lines))
