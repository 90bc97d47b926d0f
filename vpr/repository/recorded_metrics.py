"""Whether metrics belong to the parameters, the code and the data in the repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from vpr.repository.dvc import ask_dvc
from vpr.repository.recorded_outs import LOCKS, hash_listing
from vpr.repository.revisions import Revision
from vpr.runtime.parameters import parse_yaml

STAGE = "evaluate"  # writes the metrics
ABSENT = ("deleted", "not in cache")  # said of what a clone has not fetched

Stage = Mapping[str, Any]
Stages = Mapping[str, Stage]


def read_lock(revision: Revision) -> Stages:
    """Read what dvc.lock records of each stage, and check that the metrics are up to date.

    Args:
        revision: The state of the repository.

    Raises:
        ValueError: If something that the metrics depend on has changed since they were computed;
            the message names it.
    """
    stages: dict[str, Stage] = {}
    for lock in LOCKS:
        if revision.has(lock):
            record = parse_yaml(revision.read_text(lock), source=f"{revision.name}: {lock}")
            stages |= record.get("stages", {})
    if STAGE not in stages:
        raise ValueError(f"{revision.name}: dvc.lock has no stage {STAGE}: run `dvc repro`")
    upstream = [stages[name] for name in _upstream(stages)]
    changes = [*_changed_params(revision, upstream)]
    if revision.files is None:
        changes += _changed_on_disk()
    else:
        changes += _changed_files(revision.files, stages, upstream)
    if changes:
        then = "" if revision.files is None else " there, and commit what it writes"
        raise ValueError(
            f"{revision.name}: metrics are out of date. Changed since they were computed: "
            f"{', '.join(dict.fromkeys(changes))}. Run `dvc repro`{then}"
        )
    return stages


def _changed_params(revision: Revision, upstream: Sequence[Stage]) -> Iterator[str]:
    for file in ("params.yaml", "env.yaml"):
        content = parse_yaml(revision.read_text(file), source=f"{revision.name}: {file}")
        for stage in upstream:
            for key, then in stage.get("params", {}).get(file, {}).items():
                yield from _compare(key, then, _look_up(content, key), file)


def _compare(key: str, then: object, now: object, file: str) -> Iterator[str]:
    """List the keys below one key whose values differ, with both values."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*then, *now]):
            yield from _compare(f"{key}.{name}", then.get(name), now.get(name), file)
    elif then != now:
        was, became = (json.dumps(value, default=str) for value in (then, now))
        yield f"{key} in {file} ({was} -> {became})"


def _changed_on_disk() -> Iterator[str]:
    """List the files that DVC says have changed, without what is only not fetched."""
    status = json.loads(ask_dvc("status", "--json", "--with-deps", STAGE))
    for entry in (entry for entries in status.values() for entry in entries):
        if isinstance(entry, str):  # 'changed command'
            yield entry.removeprefix("changed ")
            continue
        for changes in entry.values():
            for path, change in changes.items():
                if isinstance(change, str) and change not in ABSENT:  # a mapping: parameters
                    yield path


def _changed_files(
    files: Mapping[str, bytes], stages: Stages, upstream: Sequence[Stage]
) -> Iterator[str]:
    """Compare the record of each stage with a commit's files, and with the outs of others."""
    made = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    known = _data_hashes(files) | made
    for stage in upstream:
        for entry in (*stage.get("deps", []), *stage.get("outs", [])):
            path = entry["path"]
            now: str | None
            if path in files:
                now = _md5(files[path])
            else:  # an out by its record, of which experiments track some files; else code
                now = known.get(path) or _hash_folder(files, path)
            if now not in (None, entry["md5"]):
                yield path


def _upstream(stages: Stages) -> list[str]:
    """List the stages that the metrics depend on."""
    makers = {out["path"]: name for name, stage in stages.items() for out in stage.get("outs", [])}
    found = [STAGE]
    for name in found:  # which grows
        for dep in stages[name].get("deps", []):
            path = dep["path"]
            maker = makers.get(path) or next(
                (makers[out] for out in makers if path.startswith(f"{out}/")), None
            )
            if maker and maker not in found:
                found.append(maker)
    return found


def _data_hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """List what .dvc files track, with its hash."""
    found = {}
    for name in (name for name in files if name.endswith(".dvc")):
        for out in parse_yaml(files[name].decode(), source=name).get("outs", []):
            found[(PurePosixPath(name).parent / out["path"]).as_posix()] = out["md5"]
    return found


def _hash_folder(files: Mapping[str, bytes], path: str) -> str | None:
    """Hash a folder as DVC does; None where git does not track it."""
    below = {name[len(path) + 1 :]: _md5(content) for name, content in files.items()
             if name.startswith(f"{path}/")}  # fmt: skip
    return hash_listing(below) if below else None


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _look_up(content: Mapping[str, Any], key: str) -> object:
    value: Any = content
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
