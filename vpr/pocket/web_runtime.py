"""ONNX Runtime for browsers: two files of one npm package, of one version and content."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tarfile
import urllib.request
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

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
                content = archive.extractfile(f"package/dist/{name}")
                if content is None:
                    raise ValueError(f"{file}: has no package/dist/{name}")
                (folder / name).write_bytes(content.read())
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
