"""Changing values in params.yaml, its comments and everything else kept."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.parameters import PARAMS_FILE, read_yaml


class _Representer(RoundTripRepresenter):
    """Writes null in full, as the file has it; ruamel's own leaves the place empty."""

    def represent_none(self, data: object) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def set_params(values: Mapping[str, object], *, path: Path = PARAMS_FILE) -> list[str]:
    """Change values, and write the file only if one differs.

    Args:
        values: New values by section and name, as in `search.top_k`.
        path: The parameter file.

    Returns:
        `key: old -> new` for each value that changed.

    Raises:
        ValueError: If the file is not readable or has no such key.
    """
    read_yaml(path)  # with its own words if it cannot be read
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 1000  # no line is wrapped
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    content = yaml.load(path)
    changed = []
    for key, value in values.items():
        section, name = key.split(".")
        if section not in content or name not in content[section]:
            raise ValueError(f"{path}: {key}: this key is missing")
        old = content[section][name]
        if old != value:
            content[section][name] = value
            was, becomes = ("null" if each is None else each for each in (old, value))
            changed.append(f"{key}: {was} -> {becomes}")
    if changed:
        text = io.StringIO()
        yaml.dump(content, text)
        with replaced_whole(path) as file:
            file.write(text.getvalue().encode())
    return changed
