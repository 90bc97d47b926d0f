"""Putting the challenge's data set and checkpoint where the pipeline reads them."""

from __future__ import annotations

import filecmp
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from vpr.commands.berlin.bundles import Bundle, opened_bundle, read_file
from vpr.commands.berlin.challenge import GROUND_TRUTH, find_files
from vpr.console.progress import track
from vpr.images.inspection import check_image
from vpr.runtime.artefacts import built_aside, require_space


def unpack_set(source: Path, folder: Path) -> bool:
    """Put the challenge's ground truth and images into a folder, and nothing else of the source.

    Files are copied, also from a folder: DVC refuses links out of the repository, and would make
    hard-linked originals read-only. Each image is decoded once.

    Args:
        source: A folder or zip that has `berlin.mat` and the images anywhere in it.
        folder: The folder to make; if it is there it must hold the same bytes.

    Returns:
        Whether anything was written.

    Raises:
        ValueError: If the source is not the challenge's set, an image does not decode, or the
            folder is there and differs.
        OSError: If the disk is too small.
    """
    with opened_bundle(source) as bundle:
        files = find_files(bundle)
        if folder.exists():
            _check_same(bundle, files, folder)
            return False
        require_space(Path(), sum(bundle.sizes[inner] for inner in files.values()))
        with built_aside(folder) as (aside,):
            for name, inner in track(files.items(), total=len(files), title="data set"):
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / name).write_bytes(read_file(bundle, inner))
                if name != GROUND_TRUTH:
                    _check_image(bundle, inner, aside / name)
    return True


def place_checkpoint(source: Path, folder: Path) -> Path:
    """Choose where a checkpoint goes: its own name, of letters that need no quoting."""
    return folder / re.sub(r"[^\w.-]+", "_", source.name)


def copy_checkpoint(source: Path, target: Path) -> bool:
    """Copy a checkpoint.

    Args:
        source: The file.
        target: Where it goes; if it is there it must have the same bytes.

    Returns:
        Whether anything was written.

    Raises:
        ValueError: If another file is there.
        OSError: If the disk is too small.
    """
    if target.exists():
        if not filecmp.cmp(source, target, shallow=False):
            raise ValueError(
                f"{target} exists already, with other bytes than {source}: rename one of them"
            )
        return False
    require_space(Path(), source.stat().st_size)
    with built_aside(target) as (aside,):
        shutil.copyfile(source, aside)
    return True


def _check_same(bundle: Bundle, files: Mapping[str, str], folder: Path) -> None:
    for name, inner in files.items():
        there = folder / name
        if not there.is_file() or there.read_bytes() != read_file(bundle, inner):
            found = "has other bytes there" if there.is_file() else "is missing there"
            raise ValueError(
                f"{folder} exists already and differs from {bundle.source}: {name} {found}; move "
                "it away, then run this again"
            )


def _check_image(bundle: Bundle, inner: str, file: Path) -> None:
    try:
        check_image(file)
    except ValueError as error:
        reason = str(error).removeprefix(f"{file}: ")
        raise ValueError(f"{bundle.source}: {inner}: {reason}") from None
