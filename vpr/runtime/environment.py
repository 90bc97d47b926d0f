"""Versions of the packages that results depend on: env.yaml against what is installed."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path

from vpr.runtime.parameters import read_yaml

ENV_FILE = Path("env.yaml")

# Distributions in env.yaml whose module has another name.
MODULES = {
    "scikit-learn": "sklearn", "pillow": "PIL", "opencv": "cv2", "vl-convert-python": "vl_convert",
    "pytorch-metric-learning": "pytorch_metric_learning",
}  # fmt: skip
# Names in env.yaml that more than one distribution provides.
DISTRIBUTIONS = {"faiss": ("faiss-gpu", "faiss-cpu"), "opencv": ("opencv-python-headless",)}


def check_versions(path: Path = ENV_FILE) -> None:
    """Compare the versions of the imported packages with those that env.yaml states.

    Only packages that this process has imported are compared: a stage that does not use torch does
    not care which torch is installed. A difference is a warning, or an error when the environment
    variable `VPR_STRICT_ENV` is 1.

    Raises:
        ValueError: Under `VPR_STRICT_ENV=1`, if a version differs.
    """
    differences = [
        f"{name} {found} is installed, {path} has {expected}"
        for name, expected in read_yaml(path).items()
        if MODULES.get(name, name) in sys.modules
        and (found := installed_version(name)) != str(expected)
    ]
    if not differences:
        return
    message = "; ".join(differences) + ": results may differ. `make setup` installs the versions."
    if os.environ.get("VPR_STRICT_ENV") == "1":
        raise ValueError(message)
    print(f"warning: {message}", file=sys.stderr)


def installed_version(name: str) -> str | None:
    """Find the version of an installed package, without its local part ("+cpu"), or None."""
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        try:
            return metadata.version(distribution).split("+")[0]
        except metadata.PackageNotFoundError:
            continue
    return None
