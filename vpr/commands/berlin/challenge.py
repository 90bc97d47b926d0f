"""The Berlin Kudamm challenge's data set: found in a folder or zip, and put into data/."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from vpr.console.progress import track
from vpr.datasets.dbstruct import parse_dbstruct
from vpr.datasets.protocols import PROTOCOLS
from vpr.images.inspection import check_image
from vpr.importing.bundles import Bundle, opened_bundle, read_file
from vpr.places.photos import check_name
from vpr.runtime.artefacts import built_aside, require_space

GROUND_TRUTH = "berlin.mat"
PROTOCOL = "berlin-kudamm"
NUM_DATABASE, NUM_QUERY = PROTOCOLS[PROTOCOL].num_database, PROTOCOLS[PROTOCOL].num_query
PUBLISHED_CORRECT = 107  # of the queries: 38.21 % recall@1 of the challenge's NetVLAD baseline


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
        files = _find_files(bundle)
        if folder.exists():
            _check_same(bundle, files, folder)
            return False
        require_space(Path(), sum(bundle.sizes[inner] for inner in files.values()))
        with built_aside(folder) as (aside,):
            for name, inner in track(files.items(), total=len(files), title="data set"):
                file = aside / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(read_file(bundle, inner))
                if name != GROUND_TRUTH:
                    with _named(bundle, inner, file):
                        check_image(file)
    return True


def _find_files(bundle: Bundle) -> dict[str, str]:
    """Find where a bundle has the challenge's files, which may lie in folders of any name.

    Args:
        bundle: The folder or zip.

    Returns:
        Paths in the bundle, by the ground truth's names, and its own first.

    Raises:
        ValueError: If the ground truth is missing or another set's, or an image is missing.
    """
    found = [name for name in bundle.sizes if PurePosixPath(name).name == GROUND_TRUTH]
    if not found:
        inside = ", ".join(sorted(bundle.sizes)[:8]) or "nothing"
        raise ValueError(
            f"{bundle.source}: expected the challenge's data set with {GROUND_TRUTH} in it, found "
            f"{inside}"
        )
    truth = min(found, key=lambda name: (name.count("/"), name))
    names = _image_names(bundle, truth)
    root = _find_root(bundle, names[0], beside=truth)
    missing = [name for name in names if root + name not in bundle.sizes]
    if missing:
        raise ValueError(
            f"{bundle.source}: {len(missing)} of the {len(names)} images that {truth} names are "
            f"missing below {root or 'its top'}: {', '.join(missing[:3])}"
        )
    return {GROUND_TRUTH: truth} | {name: root + name for name in names}


def _check_same(bundle: Bundle, files: Mapping[str, str], folder: Path) -> None:
    for name, inner in files.items():
        there = folder / name
        if not there.is_file() or there.read_bytes() != read_file(bundle, inner):
            found = "has other bytes there" if there.is_file() else "is missing there"
            raise ValueError(
                f"{folder} exists already and differs from {bundle.source}: {name} {found}; move "
                "it away, then run this again"
            )


@contextmanager
def _named(bundle: Bundle, inner: str, file: Path) -> Iterator[None]:
    """Replace the copy's path in an error by the file's place in the bundle."""
    try:
        yield
    except ValueError as error:
        reason = str(error).removeprefix(f"{file}: ")
        raise ValueError(f"{bundle.source}: {inner}: {reason}") from None


def _image_names(bundle: Bundle, inner: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / GROUND_TRUTH
        file.write_bytes(read_file(bundle, inner))
        with _named(bundle, inner, file):
            truth = parse_dbstruct(file)
    counts = len(truth.database.paths), len(truth.query.paths)
    if counts != (NUM_DATABASE, NUM_QUERY):
        raise ValueError(
            f"{bundle.source}: {inner}: Berlin Kudamm has {NUM_DATABASE} database and {NUM_QUERY} "
            f"query images, found {counts[0]} and {counts[1]}: for another set see the README, "
            "Your own photos"
        )
    names = [*truth.database.paths, *truth.query.paths]
    for name in names:
        check_name(name, home=bundle.source)
    return names


def _find_root(bundle: Bundle, name: str, *, beside: str) -> str:
    """Find the prefix of an image's path: the ground truth's folder, or the one nearest the top."""
    own = beside.removesuffix(GROUND_TRUTH)
    roots = [path.removesuffix(name) for path in bundle.sizes if f"/{path}".endswith(f"/{name}")]
    if not roots:
        raise ValueError(
            f"{bundle.source}: {beside} names {name!r}, which is nowhere in it: put the folders of "
            "images beside the .mat file"
        )
    return min(roots, key=lambda root: (root != own, root.count("/"), root))
