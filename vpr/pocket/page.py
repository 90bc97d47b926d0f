"""A folder that is a whole page: map, network and runtime, for any static host.

The runtime, ONNX Runtime for browsers, is two files of one npm package, of one version and content.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from vpr.locating.run import load_places
from vpr.pocket.map_files import Stored, write_map
from vpr.pocket.model_file import write_model
from vpr.pocket.source import READERS, Source
from vpr.runtime.hashing import hash_file

MODEL = "model.onnx"  # and model.json, which ask.js names
SCRIPTS = ("map.js", "judge.js", "pixels.js")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512"><rect width="512" height="512" '
    'fill="#0b5cad"/><path d="M256 96a112 112 0 0 0-112 112c0 84 112 208 112 208s112-124 112-208'
    'A112 112 0 0 0 256 96zm0 152a40 40 0 1 1 0-80 40 40 0 0 1 0 80z" fill="#fff"/></svg>\n'
)
PACKAGE = "onnxruntime-web@1.30.0"  # MIT
FILE = "onnxruntime-web/-/onnxruntime-web-1.30.0.tgz"  # of a registry
REGISTRY = "https://registry.npmjs.org"  # unless npm_config_registry names another
TIMEOUT_S = 60  # of each read
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8p"
    "ZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
ADVICE = f"name the file that `npm pack {PACKAGE}` writes with --runtime"


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
        runtime: See `write_runtime`.

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


def write_runtime(folder: Path, package: Path | None) -> None:
    """Write the runtime's files, and which package they are of.

    Args:
        folder: Folder to create.
        package: File that `npm pack` wrote; None: it is fetched from npm's registry.

    Raises:
        ValueError: If the package cannot be fetched, or is another than expected.
    """
    with TemporaryDirectory() as scratch:
        file = package or fetch_package(Path(scratch))
        if not file.is_file():
            raise ValueError(f"{file}: there is no such file: {ADVICE}")
        digest = base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != INTEGRITY:
            raise ValueError(
                f"{file}: expected {PACKAGE} with the integrity {INTEGRITY}, found sha512-{digest}"
            )
        folder.mkdir()
        with tarfile.open(file) as archive:
            for name in FILES:
                stream = archive.extractfile(f"package/dist/{name}")
                if stream is None:
                    raise ValueError(f"{file}: package/dist/{name} is not a file")
                (folder / name).write_bytes(stream.read())
    about = {"package": PACKAGE, "integrity": INTEGRITY, "licence": "MIT"}
    (folder / "package.json").write_text(json.dumps(about, indent=2) + "\n")


def fetch_package(folder: Path) -> Path:
    """Fetch the package from npm's registry, or the one that npm_config_registry names.

    Raises:
        ValueError: If it cannot be fetched.
    """
    named = (os.environ.get(name) for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"))
    address = f"{next(filter(None, named), REGISTRY).rstrip('/')}/{FILE}"
    file = folder / Path(FILE).name
    try:
        if not address.startswith(("https://", "http://")):
            raise ValueError("npm_config_registry is not an http address")
        reply = urllib.request.urlopen(address, timeout=TIMEOUT_S)  # noqa: S310 - checked above
        with reply, file.open("wb") as out:
            shutil.copyfileobj(reply, out)
    except (OSError, ValueError, HTTPException) as error:
        raise ValueError(f"{address}: not fetched ({error}): try again, or {ADVICE}") from None
    return file
