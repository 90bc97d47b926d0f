"""What metrics were measured on, by which code, and whether they are up to date with both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from vpr.repository.dvc import ask_dvc
from vpr.repository.locked_run import Stage, Stages, parse_stages
from vpr.repository.recorded_outs import LOCKS, hash_listing
from vpr.repository.revisions import Revision
from vpr.run_files import DATABASE, DATABASE_IMAGES, POSITIVES, QUERY, QUERY_IMAGES
from vpr.runtime.parameters import parse_yaml

STAGE = "evaluate"  # writes the metrics
ABSENT = ("deleted", "not in cache")  # said of what a clone has not fetched

LOCKED = {  # outs of stage prepare, by which two runs are measured alike or not
    str(DATABASE_IMAGES): "database images",
    str(QUERY_IMAGES): "query images",
    str(DATABASE): "database list",
    str(QUERY): "query list",
    str(POSITIVES): "positives",
}


@dataclass(frozen=True)
class Protocol:
    """What a run was measured on.

    Args:
        hashes: Content hash of each thing; a bare table of queries knows fewer of them.
        radius: The value of prepare.radius_m in words; None where it is not known.
        name: The value of dataset.protocol; None for a set of one's own.
    """

    hashes: Mapping[str, str]
    radius: str | None
    name: str | None = None


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
            source = f"{revision.name}: {lock}"
            stages |= parse_stages(revision.read_text(lock), source=source, lock=lock)
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


def read_protocol(stages: Stages) -> Protocol:
    """Read the protocol of a run from its record.

    Raises:
        ValueError: If stage `prepare` is not in the record.
    """
    try:
        params = stages["prepare"].params["params.yaml"]
        radius_m, name = params["prepare"]["radius_m"], params["dataset"].get("protocol")
    except KeyError as error:
        raise ValueError(f"dvc.lock: has no {error} of a finished run") from None
    outs = stages["prepare"].outs
    hashes = {LOCKED[out.path]: out.md5 for out in outs if out.path in LOCKED}
    return Protocol(hashes, "null" if radius_m is None else f"{radius_m:g}", name)


def read_code(stages: Stages) -> dict[str, str]:
    """Read which code a run was computed by: the hash of each file or folder, and versions."""
    found: dict[str, str] = {}
    for stage in stages.values():
        found |= {d.path: d.md5 for d in stage.deps if d.path.startswith(("stages/", "vpr/"))}
        found |= stage.params.get("env.yaml", {})
    return found


def list_code_changes(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """List code that both runs used, but not in the same version."""
    return sorted(name for name in a.keys() & b.keys() if a[name] != b[name])


def check_same_protocol(a: Protocol, b: Protocol, *, names: tuple[str, str]) -> list[str]:
    """Check that two runs were measured alike.

    Args:
        a: Protocol of the first run.
        b: Protocol of the second run.
        names: Names of the two runs, for the message.

    Returns:
        The things that both know the content hash of; all agree.

    Raises:
        ValueError: If one of them differs; the message names each.
    """
    both = [thing for thing in a.hashes if thing in b.hashes]
    lines = [
        f"  {thing}: {a.hashes[thing][:8]} and {b.hashes[thing][:8]}"
        for thing in both
        if a.hashes[thing] != b.hashes[thing]
    ]
    if lines:
        if a.radius != b.radius and None not in (a.radius, b.radius):
            lines.append(f"  prepare.radius_m is {a.radius} and {b.radius}")
        raise ValueError(
            f"{' and '.join(names)} were measured differently, so their recalls cannot be "
            "compared. These differ by content hash:\n" + "\n".join(lines)
        )
    return both


def _changed_params(revision: Revision, upstream: Sequence[Stage]) -> Iterator[str]:
    for file in ("params.yaml", "env.yaml"):
        content = parse_yaml(revision.read_text(file), source=f"{revision.name}: {file}")
        for stage in upstream:
            for key, then in stage.params.get(file, {}).items():
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
    made = {out.path: out.md5 for stage in stages.values() for out in stage.outs}
    known = _data_hashes(files) | made
    for stage in upstream:
        for entry in (*stage.deps, *stage.outs):
            now: str | None
            if entry.path in files:
                now = _md5(files[entry.path])
            else:  # an out by its record, of which experiments track some files; else code
                now = known.get(entry.path) or _hash_folder(files, entry.path)
            if now not in (None, entry.md5):
                yield entry.path


def _upstream(stages: Stages) -> list[str]:
    """List the stages that the metrics depend on."""
    makers = {out.path: name for name, stage in stages.items() for out in stage.outs}
    found = [STAGE]
    for name in found:  # which grows
        for dep in stages[name].deps:
            path = PurePosixPath(dep.path)
            makers_here = (makers.get(str(part)) for part in (path, *path.parents))
            found += [maker for maker in makers_here if maker and maker not in found]
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
