"""What the doctor says about the remote, DVC's record and its cache."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from vpr.datasets.findings import Finding, Level
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
        return Finding("remote", f"none is configured: {HOW}", Level.NOTE)
    subject = f"remote {name}"
    if "://" not in url:
        if Path(url).is_dir():
            return Finding(subject, url)
        return Finding(subject, f"{url} does not exist yet: `dvc push` creates it", Level.NOTE)
    server = config.get(f"remote.{name}.endpointurl", AWS) if url.startswith("s3:") else url
    parts = urlsplit(server)
    port = parts.port or int(config.get(f"remote.{name}.port", 0)) or PORTS.get(parts.scheme)
    if parts.hostname is None or port is None:
        return Finding(subject, f"{url}: this kind is not checked", Level.NOTE)
    try:
        with socket.create_connection((parts.hostname, port), PATIENCE_S):
            return Finding(subject, f"{url} answers")
    except OSError as error:
        words = f"{url}: nothing answers at {parts.hostname}:{port} ({error}): {HOW}"
        return Finding(subject, words, Level.NOTE)


def check_config() -> Finding:
    """Check that DVC's settings are not empty: `dvc remote modify` may do that."""
    config, subject = Path(".dvc/config"), "DVC's settings"
    if config.is_file() and not config.read_text(encoding="utf-8", errors="replace").strip():
        words = (
            f"{config} is empty: `dvc remote modify` empties it if a value has letters beyond "
            "ASCII. Restore it with `git checkout .dvc/config`, and write such a url into the file "
            "by hand (docs/sharing.md)"
        )
        return Finding(subject, words, Level.LOUD)
    return Finding(subject, str(config))


def check_locks() -> str:
    """Count the recorded outs.

    Raises:
        ValueError: If dvc.lock is not readable: a killed `dvc` may leave it empty.
    """
    return f"{len(list_locked(Path()))} outs"


def check_cache_path(cache: Path) -> Finding:
    """Check whether experiments can run in folders of their own with a cache at this path.

    DVC writes that path into the settings of their folders as ASCII.

    Args:
        cache: DVC's cache.
    """
    if str(cache).isascii():
        return Finding("cache's path", str(cache))
    words = (
        f"{cache} has letters beyond ASCII, which DVC cannot write into the settings of an "
        "experiment's own folder: `dvc exp run --temp` fails with 'ascii' codec, --run-all never "
        "ends. Move the repository to a path without them, or the cache: `dvc cache dir --local "
        "/path/to/cache`"
    )
    return Finding("cache's path", words, Level.NOTE)


def check_cache(cache: Path, recorded: Sequence[Recorded]) -> Finding:
    """Check whether each out that the cache holds has there the size that was recorded, or another.

    This reads no content and finds files cut short or removed; `python -m vpr verify` finds a
    changed byte.

    Args:
        cache: DVC's cache.
        recorded: Result of `list_recorded`.
    """
    sizes: dict[Path, list[int]] = defaultdict(list)
    for one in list_files(list(recorded), cache):
        if not one.md5.endswith(".dir") and (file := stored_at(cache, one.md5)).is_file():
            sizes[one.out].append(file.stat().st_size)
    wrong = [
        f"{out.path} has {sum(sizes[out.path]):,} of {out.size:,} bytes"
        for out in recorded
        if out.path in sizes and sum(sizes[out.path]) != out.size
    ]
    if wrong:
        words = f"{'; '.join(wrong)}: `python -m vpr verify` names the files, --mend restores them"
        return Finding("cache", words, Level.NOTE)
    held = f"{len(sizes)} of {len(recorded)} outs are here and have the recorded size"
    return Finding("cache", f"{held}; the others are in git, empty or not fetched")
