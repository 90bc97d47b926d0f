"""What a run was measured on, and by which code: only runs of one protocol compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vpr.run_files import DATABASE, DATABASE_IMAGES, POSITIVES, QUERY, QUERY_IMAGES

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


def read_protocol(stages: Mapping[str, Any]) -> Protocol:
    """Read the protocol of a run from its record.

    Args:
        stages: Stages in dvc.lock.

    Raises:
        ValueError: If stage `prepare` is not in the record.
    """
    try:
        outs = stages["prepare"]["outs"]
        params = stages["prepare"]["params"]["params.yaml"]
        radius_m, name = params["prepare"]["radius_m"], params["dataset"].get("protocol")
    except KeyError as error:
        raise ValueError(f"dvc.lock: has no {error} of a finished run") from None
    hashes = {LOCKED[out["path"]]: out["md5"] for out in outs if out["path"] in LOCKED}
    return Protocol(hashes, "null" if radius_m is None else f"{radius_m:g}", name)


def read_code(stages: Mapping[str, Any]) -> dict[str, str]:
    """Read which code a run was computed by: the hash of each file or folder, and versions.

    Args:
        stages: Stages in dvc.lock.
    """
    found = {}
    for stage in stages.values():
        for dep in stage.get("deps", []):
            if dep["path"].startswith(("stages/", "vpr/")):
                found[dep["path"]] = dep["md5"]
        found |= stage.get("params", {}).get("env.yaml", {})
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
