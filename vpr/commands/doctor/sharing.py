"""What the doctor says about the remote, DVC's record and its cache."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from vpr.commands.doctor.finding import Finding
from vpr.repository.dvc import describe_cache_fault
from vpr.repository.recorded_outs import Recorded, list_files, list_locked, stored_at

PORTS = {"http": 80, "https": 443, "ssh": 22}
AWS = "https://s3.amazonaws.com"  # where s3:// without endpointurl goes
PATIENCE_S = 5.0
HOW = "see docs/sharing.md"


def check_remote(config: Mapping[str, str]) -> Finding:
    """Check whether the default remote answers.

    Args:
        config: Output of `dvc config --list`, by key.
    """
    name = config.get("core.remote")
    url = config.get(f"remote.{name}.url", "")
    if not url:
        return Finding("remote", f"none is configured: {HOW}", ok=True, is_note=True)
    subject = f"remote {name}"
    if "://" not in url:
        words = url if Path(url).is_dir() else f"{url} does not exist yet: `dvc push` creates it"
        return Finding(subject, words, ok=True, is_note=not Path(url).is_dir())
    server = config.get(f"remote.{name}.endpointurl", AWS) if url.startswith("s3:") else url
    parts = urlsplit(server)
    port = parts.port or int(config.get(f"remote.{name}.port", 0)) or PORTS.get(parts.scheme)
    if parts.hostname is None or port is None:
        return Finding(subject, f"{url}: this kind is not checked", ok=True, is_note=True)
    try:
        with socket.create_connection((parts.hostname, port), PATIENCE_S):
            return Finding(subject, f"{url} answers", ok=True)
    except OSError as error:
        words = f"{url}: nothing answers at {parts.hostname}:{port} ({error}): {HOW}"
        return Finding(subject, words, ok=True, is_note=True)


def check_config(root: Path) -> Finding:
    """Check that DVC's settings of the repository are not empty: `dvc remote modify` may do that.

    Args:
        root: The repository.
    """
    config, subject = root / ".dvc/config", "DVC's settings"
    if config.is_file() and not config.read_text(encoding="utf-8", errors="replace").strip():
        words = (
            f"{config} is empty: `dvc remote modify` empties it if a value has letters beyond "
            "ASCII. Restore it with `git checkout .dvc/config`, and write such a url into the file "
            "by hand (docs/sharing.md)"
        )
        return Finding(subject, words, ok=True, is_note=True, is_loud=True)
    return Finding(subject, str(config), ok=True)


def check_cache_path(cache: Path) -> Finding:
    """Check whether experiments can run in folders of their own with a cache at this path.

    Args:
        cache: DVC's cache.
    """
    fault = describe_cache_fault(cache)
    return Finding("cache's path", fault or str(cache), ok=True, is_note=fault is not None)


def check_locks(root: Path) -> Finding:
    """Check whether DVC's record of the last run is readable: a killed `dvc` may leave it empty.

    Args:
        root: The repository.
    """
    try:
        count = len(list_locked(root))
    except ValueError as error:
        return Finding("dvc.lock", str(error), ok=False)
    return Finding("dvc.lock", f"{count} outs", ok=True)


def check_cache(cache: Path, recorded: Sequence[Recorded]) -> Finding:
    """Check whether each out that the cache holds has there the size that was recorded, or another.

    This reads no content and finds files cut short or removed; `python -m vpr verify` finds a
    changed byte.

    Args:
        cache: DVC's cache.
        recorded: Result of `list_recorded`.
    """
    objects: dict[Recorded, list[Path]] = defaultdict(list)
    whole = {one.out: one for one in recorded}
    for one in list_files(list(recorded), cache):
        if not one.md5.endswith(".dir"):
            objects[whole[one.out]].append(stored_at(cache, one.md5))
    wrong, num_held = [], 0
    for one, files in objects.items():
        here = [file.stat().st_size for file in files if file.is_file()]
        num_held += bool(here)
        if here and sum(here) != one.size:
            wrong.append(f"{one.path} has {sum(here):,} of {one.size:,} bytes")
    if wrong:
        words = f"{'; '.join(wrong)}: `python -m vpr verify` names the files, --mend restores them"
        return Finding("cache", words, ok=True, is_note=True)
    others = len(objects) - num_held
    words = f"{num_held} outs have the recorded size; {others} others are in git or not fetched"
    return Finding("cache", words, ok=True)
