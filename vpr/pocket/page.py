"""A folder that is a whole page: map, network and runtime, for any static host."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from vpr.locating.run import load_places
from vpr.pocket.exporting import write_model
from vpr.pocket.map_files import Stored, write_map
from vpr.pocket.source import READERS, Source
from vpr.pocket.web_runtime import write_runtime
from vpr.runtime.hashing import hash_file

MODEL = "model.onnx"  # and model.json, which ask.js names
SCRIPTS = ("map.js", "judge.js", "pixels.js")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512"><rect width="512" height="512" '
    'fill="#0b5cad"/><path d="M256 96a112 112 0 0 0-112 112c0 84 112 208 112 208s112-124 112-208'
    'A112 112 0 0 0 256 96zm0 152a40 40 0 1 1 0-80 40 40 0 0 1 0 80z" fill="#fff"/></svg>\n'
)


def write_page(
    out: Path, source: Source, static: Mapping[str, str], *, precision: Stored,
    false_rate: float | None, runtime: Path | None,
) -> Iterator[str]:  # fmt: skip
    """Write the page; the network's weights are stored in 16 bits.

    Args:
        out: Folder to create.
        source: The run.
        static: Text of each further file of the page by its path, index.html among them.
        precision: See `vpr.pocket.map_files`.
        false_rate: Likewise.
        runtime: See `vpr.pocket.web_runtime`.

    Yields:
        What was written and what it costs, in lines to print.

    Raises:
        ValueError: If the folder exists, the run has no positions, or a part cannot be made.
    """
    if out.exists():
        raise ValueError(f"{out}: exists already: remove it, or name another folder")
    if not load_places(source.folder)[1].database.has_places:
        raise ValueError("the positions of this run's database are unknown: no page can say where")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent) as aside:
        built = Path(aside) / out.name
        yield from write_map(built, source, precision=precision, false_rate=false_rate)
        yield from write_model(built / MODEL, source, precision="float16", size=None)
        write_runtime(built / "ort", runtime)
        for name in SCRIPTS:
            shutil.copyfile(READERS / name, built / name)
        (built / "read_map.py").unlink()
        title = "Place recognition"
        manifest = {
            "name": title, "short_name": title, "start_url": "./", "display": "standalone",
            "icons": [{"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}],
        }  # fmt: skip
        texts = {**static, "icon.svg": ICON, "manifest.webmanifest": json.dumps(manifest)}
        for name, text in texts.items():
            (built / name).parent.mkdir(exist_ok=True)
            (built / name).write_text(text, encoding="utf-8")
        _write_worker(built)
        sizes = {part: _size(built / part) for part in (MODEL, "ort", "thumbnails")}
        whole = _size(built)
        built.rename(out)
    yield (
        f"{out}: {whole / 1e6:.1f} MB: network {sizes[MODEL] / 1e6:.1f}, runtime "
        f"{sizes['ort'] / 1e6:.1f}, small pictures {sizes['thumbnails'] / 1e6:.1f}; try it with "
        f"`python -m http.server -d {out}`"
    )


def _write_worker(folder: Path) -> None:
    """Write the service worker, which names every file, and a version that changes with any."""
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*"))
    digests = "".join(hash_file(folder / name, "sha256") for name in files)
    version = hashlib.sha256(digests.encode()).hexdigest()[:16]
    names = ["./", *(name for name in files if name != "index.html")]
    head = f"const VERSION = {json.dumps(version)};\nconst FILES = {json.dumps(names)};\n"
    (folder / "sw.js").write_text(head + (READERS / "sw.js").read_text())


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
