"""What the doctor says about files that DVC keeps: data set, weights, remote, record and cache."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from vpr.datasets.findings import Finding, Level
from vpr.datasets.formats import find_index
from vpr.repository.recorded_outs import Recorded, list_files, list_locked, stored_at
from vpr.repository.revisions import is_tracked
from vpr.run_files import WEIGHTS
from vpr.runtime.parameters import load_param, read_yaml, suggest

PORTS = {"http": 80, "https": 443, "ssh": 22}
AWS = "https://s3.amazonaws.com"  # where s3:// without endpointurl goes
PATIENCE_S = 5.0
HOW = "see docs/sharing.md"


def find_dataset() -> str:
    """Find the ground truth of the data set, or the stage that makes the set.

    Raises:
        ValueError: If there is none.
    """
    folder = Path(load_param("dataset.dir", str))
    if not folder.is_dir():
        return _find_maker("dataset.dir", folder)
    index = load_param("dataset.index", str | None)  # type: ignore[arg-type] # mypy: no type
    return str(find_index(folder, index))


def find_weights() -> str:
    """Find the starting weights.

    Raises:
        ValueError: If they are not there.
    """
    file = WEIGHTS / load_param("pretrained.weights", str)
    return str(file) if file.is_file() else _find_maker("pretrained.weights", file)


def check_sharing() -> Finding:
    """Check whether experiments in other folders, and other people, can get the data set."""
    name, key = load_param("dataset.dir", str), "sharing_the_data_set"
    folder = Path(name).resolve()
    if not folder.is_relative_to(Path.cwd()):
        words = (
            f"{name} lies outside the repository: runs work only on this machine"
            + ("" if Path(name).is_absolute() else ", and not in `dvc exp run --temp` or --queue")
            + f". To share it: dvc add {name} -o data/{folder.name}, and set dataset.dir to that "
            "folder"
        )
        return Finding(key, words, Level.NOTE)
    return Finding(key, "tracked by DVC") if folder in _made_outs() else _find_tracker(key, name)


def check_sharing_of_weights() -> Finding:
    """Check whether experiments in other folders, and other people, can get the weights."""
    file = WEIGHTS / load_param("pretrained.weights", str)
    return _find_tracker("sharing_the_weights", str(file))


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


def _find_tracker(key: str, path: str) -> Finding:
    if Path(f"{path}.dvc").exists():
        return Finding(key, "tracked by DVC")
    if is_tracked(Path(path)):
        return Finding(key, "tracked by git")
    words = (
        f"{path} is tracked by neither DVC nor git, so `dvc exp run --temp` and --queue lack it: "
        f"run `dvc add {quote(path)}`"
    )
    return Finding(key, words, Level.NOTE)


def _find_maker(key: str, path: Path) -> str:
    """Say which stage makes what is missing; raise ValueError if none does."""
    if Path(f"{path}.dvc").exists():
        raise ValueError(f"{path} is missing: fetch it with `dvc pull {path}.dvc`")
    made = _made_outs()
    if path.resolve() in made:
        return f"{path} will be made by its stage"
    there = path.parent.iterdir() if path.parent.is_dir() else ()
    names = [entry.name.removesuffix(".dvc") for entry in there]
    names += [out.name for out in made if out.parent == path.parent.resolve()]
    raise ValueError(
        f"{path} does not exist: put it there, or set {key} in params.yaml to what you have"
        f"{suggest(path.name, names)}"
    )


def _made_outs() -> list[Path]:
    """List outs of the stages in data/dvc.yaml, which are data sets."""
    stages = read_yaml(Path("data/dvc.yaml")).get("stages", {})
    return [Path(out).resolve() for stage in stages.values() for out in stage.get("outs", [])]
