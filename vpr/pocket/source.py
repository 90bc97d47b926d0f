"""What of a finished run is exported: network, whitening, and the id that both leave in files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.features.model import Model, load_model
from vpr.features.params import TrunkParams
from vpr.locating.run import check_run
from vpr.network.describing import Network, load_network
from vpr.repository.locked_run import locked_params
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.whitening import Whitening, fit_whitening, load_whitening, whiten_rows
from vpr.run_files import DESCRIPTORS, LOCK, MODEL, WHITENING

READERS = Path(__file__).parent / "files"  # that exports bring along


@dataclass(frozen=True, eq=False)
class Source:
    """The part of a run that makes descriptors of photos.

    Args:
        folder: Folder of the run.
        trunk: Parameters that photos are read with.
        whitening: The run's, or the one fitted for the export; None: off.
        run: Id of all that changes a descriptor: 16 hexadecimal digits.
    """

    folder: Path
    model: Model
    trunk: TrunkParams
    whitening: Whitening | None
    run: str

    def network(self) -> Network:
        """Load the network, which computes in float32 on the CPU."""
        return load_network(
            self.model, precision=torch.float32, scale_to=self.trunk.scale_to,
            device=torch.device("cpu"),
        )  # fmt: skip

    def whiten(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert descriptors (N, K * C) to the unit rows (N, dim) that are exported."""
        if self.whitening is None:
            return descriptors
        return np.concatenate(list(whiten_rows(descriptors, self.whitening)))

    @property
    def input_rule(self) -> dict[str, Any]:
        """What the exported network takes, in words and numbers that other languages read."""
        return {
            "pixels": "RGB, uint8, shape (N, H, W, 3), turned upright by EXIF",
            "resize": "Lanczos with antialiasing, as Pillow's",
            "max_side_px": self.trunk.max_side_px,
            "image_size": self.trunk.image_size and list(self.trunk.image_size),
        }


def load_source(folder: Path, *, dim: int | None) -> Source:
    """Load what a finished run makes descriptors with.

    Args:
        folder: Folder of the run.
        dim: Dimensions of a whitening to fit on its database; None: as the run does.

    Raises:
        ValueError: If a file is missing or damaged, or the run whitens already.
    """
    check_run(folder, with_images=True)
    trunk = locked_params("trunk@database", "trunk", TrunkParams, lock=folder / LOCK)
    whitening = load_whitening(folder / WHITENING)
    if dim is not None:
        if whitening is not None:
            raise ValueError(
                f"--dim {dim}: the run whitens to {len(whitening.bias)} dimensions already: leave "
                "it out, or change whiten.dim"
            )
        whitening = fit_whitening(load_descriptors(folder / DESCRIPTORS), dim=dim)
    model = load_model(folder / MODEL)
    digest = hashlib.sha256((folder / MODEL).read_bytes())
    if whitening is not None:
        digest.update(whitening.weight.tobytes() + whitening.bias.tobytes())
    read = asdict(replace(trunk, precision="float32", store="all"))  # which change no place
    digest.update(json.dumps(read, sort_keys=True).encode())
    return Source(folder, model, trunk, whitening, digest.hexdigest()[:16])
