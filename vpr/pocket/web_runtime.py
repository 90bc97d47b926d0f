"""ONNX Runtime for browsers: two files of one npm package, of one version and content."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGE = "onnxruntime-web@1.30.0"  # MIT
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
        package: File that `npm pack` wrote; None: npm fetches it.

    Raises:
        ValueError: If npm is missing or fails, or the package is another than expected.
    """
    with TemporaryDirectory() as scratch:
        file = package or _fetch(Path(scratch))
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


def _fetch(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(f"export-page needs npm to fetch {PACKAGE}: install it, or {ADVICE}")
    done = subprocess.run(
        [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = said[0] if said else f"exit code {done.returncode}"
        raise ValueError(f"npm did not fetch {PACKAGE} ({reason}): try again, or {ADVICE}")
    return next(folder.glob("*.tgz"))
