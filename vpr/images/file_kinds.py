"""What a file among photos is: an image that is read, one that is not, or something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

READ = "JPEG, PNG, WebP, TIFF, BMP and PPM"
READ_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp",
    ".dib", ".ppm", ".pgm", ".pbm", ".pnm",
}  # fmt: skip
UNREAD_SUFFIXES = {
    ".heic", ".heif", ".hif", ".avif", ".avifs", ".gif", ".jp2", ".j2k", ".jpx", ".jpf", ".jpc",
    ".j2c", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".psd", ".tga",
    ".ico", ".exr", ".hdr", ".dds", ".pcx", ".sgi", ".svg",
}  # fmt: skip
# What systems and storage boxes lay beside the files of a person, in small letters. What starts
# with a dot (.DS_Store, ._photo.jpg, .thumbnails) is theirs too.
JUNK = {
    "__macosx", "@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin",
    "system volume information", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini",
    "icon\r", "lost+found",
}  # fmt: skip
MAGIC = (  # first bytes that tell a format that is not read: offset, bytes, what it is
    (0, b"GIF8", "a GIF"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (4, b"ftypavi", "an AVIF"),
    (4, b"ftyphe", "a HEIC"),
    (4, b"ftypmif1", "a HEIC"),
    (4, b"ftypmsf1", "a HEIC"),
    (4, b"ftyp", "a film"),
    (0, b"8BPS", "a PSD"),
    (0, b"%PDF", "a PDF"),
)
NUM_BYTES = 16


def is_junk(name: PurePath) -> bool:
    """Return whether a file, or a folder that it is in, belongs to a system and not to a person.

    Args:
        name: Path relative to the folder that a person named.
    """
    return any(part.startswith(".") or part.lower() in JUNK for part in name.parts)


def describe_unread(start: bytes) -> str | None:
    """Name the format of a file that is none of those that are read, by its first bytes.

    Args:
        start: The first bytes of the file, `NUM_BYTES` if it has as many.

    Returns:
        What it is and what to do, or None if its first bytes are unknown.
    """
    for offset, magic, kind in MAGIC:
        if start[offset:].startswith(magic):
            return f"it is {kind}, and only {READ} are read: convert it"
    return None


def describe_left_out(names: Iterable[PurePath]) -> str:
    """Count files by ending, and name one of each, for a message on what was left out.

    Args:
        names: The files' paths.
    """
    by_suffix: dict[str, list[PurePath]] = {}
    for name in sorted(names):
        by_suffix.setdefault(name.suffix.lower() or "without ending", []).append(name)
    counts = Counter({suffix: len(files) for suffix, files in by_suffix.items()}).most_common()
    kinds = [f"{count} {suffix} ({by_suffix[suffix][0].name!r})" for suffix, count in counts]
    return f"{sum(count for _, count in counts)} files: {', '.join(kinds)}; only {READ} are read"
