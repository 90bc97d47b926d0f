"""Files beside photos that say where these were taken: Google Takeout, Apple Photos, OpenSfM."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vpr.importing.collection import NO_POSITION
from vpr.importing.columns import number, read_accuracy
from vpr.importing.exif import NOT_A_NUMBER, ZERO, Taken, check_position, parse_position

TAKEOUT_END = ".supplemental-metadata"
TAKEOUT_LETTERS = 46  # that the name of a sidecar keeps, without .json
COPY = re.compile(r"(.+)(\(\d+\))(\.[^.]+)")  # IMG(1).jpg
EDITED = re.compile(r"(.+)-[^\W\d_]+(?: [^\W\d_]+)*")  # IMG-edited, IMG-ha editado
OVERRIDES = "exif_overrides.json"

Names = Mapping[str, Path]  # the files of a folder by name


def find_takeout(photo: str, names: Names) -> Path | None:
    """Find the sidecar that Google Takeout writes for a photo, whose name it derives and cuts.

    Args:
        photo: The photo's name.
        names: The files of its folder.
    """
    found = next((names[name] for name in _takeout_names(photo) if name in names), None)
    if found is None:
        stem, suffix = Path(photo).stem, Path(photo).suffix
        edited = EDITED.fullmatch(stem)
        if edited and edited[1] + suffix in names:
            return find_takeout(edited[1] + suffix, names)
    return found


def read_takeout(sidecar: Path, photo: str) -> Taken:
    """Read a sidecar of Google Takeout: the position that the user set, else that of the camera."""
    content = _load(sidecar)
    title = content.get("title")
    if isinstance(title, str) and not _may_be(title, photo):
        return Taken(problem="whose sidecar is that of another photo")
    stamp = _member(content, "photoTakenTime").get("timestamp")
    time = float(stamp) if isinstance(stamp, str) and stamp.lstrip("-").isdecimal() else None
    found = [_read_place(_member(content, key)) for key in ("geoData", "geoDataExif")]
    at, problem = next((one for one in found if one[0]), found[-1])
    if problem in (ZERO, NOT_A_NUMBER):  # how Takeout says that there is none
        problem = NO_POSITION
    return Taken(at, problem, time=time, has_zone=time is not None)


def find_xmp(text: str, name: str) -> str | None:
    """Find the value of a property in XMP data, as `exif:GPSLatitude`."""
    match = re.search(rf"""{name}\s*(?:=\s*["']|>)\s*([^"'<]{{1,40}})""", text)
    return match[1] if match else None


def read_beside(photo: Path, names: Names) -> Taken | None:
    """Read the sidecar of a photo; None if it has none."""
    takeout = find_takeout(photo.name, names)
    if takeout is not None:
        return read_takeout(takeout, photo.name)
    for name in (f"{photo.name}.xmp", f"{photo.stem}.xmp", f"{photo.name}.XMP"):
        if name in names:  # of Apple Photos
            text = names[name].read_text(encoding="utf-8", errors="replace")
            latitude = find_xmp(text, "exif:GPSLatitude")
            return Taken(*parse_position(latitude, None, find_xmp(text, "exif:GPSLongitude"), None))
    return None


def load_overrides(folder: Path) -> dict[str, Taken]:
    """Load OpenSfM's positions by the names of its photos, if a folder has them."""
    content = _load(folder / OVERRIDES)
    places = {name: _member(_member(content, name), "gps") for name in content}
    return {
        name: Taken(*_read_place(gps), accuracy_m=read_accuracy(gps.get("dop")))
        for name, gps in places.items()
    }


def _takeout_names(photo: str) -> Iterator[str]:
    copy = COPY.fullmatch(photo)
    names = [(photo, "")] + ([(copy[1] + copy[3], copy[2])] if copy else [])
    names += [(name[:-1], nth) for name, nth in names]  # IMG.JP.supplemental-metadata.json
    for name, nth in names:
        for full in (name + TAKEOUT_END, name):
            yield f"{full[:TAKEOUT_LETTERS]}{nth}.json"
            yield f"{full[: TAKEOUT_LETTERS - len(nth)]}{nth}.json"
        for length in range(len(name + TAKEOUT_END) - 1, len(name), -1):  # cut by other limits
            yield f"{(name + TAKEOUT_END)[:length]}{nth}.json"


def _may_be(title: str, photo: str) -> bool:
    """Return whether a photo of this title may have got this name: cut, cleaned and numbered."""
    copy, edited = COPY.fullmatch(photo), EDITED.fullmatch(Path(photo).stem)
    names = [Path(photo).stem, *(match[1] for match in (copy, edited) if match)]
    whole, *cut = (re.sub(r"[\W_]+", "", name.casefold()) for name in (Path(title).stem, *names))
    return any(whole.startswith(name) for name in cut)


def _read_place(facts: Mapping[str, Any]) -> tuple[tuple[float, float] | None, str]:
    return check_position(number(facts.get("latitude")), number(facts.get("longitude")))


def _member(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object below a key; an empty one if there is none."""
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def _load(path: Path) -> dict[str, Any]:
    """Load a JSON file; an empty object if there is none, or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
