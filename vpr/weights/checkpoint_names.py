"""Names of tensors in public files -> names in a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vpr.features.encoder import PREFIX, Encoder

PARTS = {"backbone": "encoder", "features": "encoder", "aggregation": "pool"}
OURS = (PREFIX, "pool.", "WPCA.")
# Components that wrapping adds to names: DataParallel's and averaging's, torch.compile's.
WRAPPERS = ("module", "_orig_mod")
OUTER = ("model", "net")  # attributes that hold the network in a Lightning module and others
COUNTERS = ("n_averaged",)  # of torch.optim.swa_utils.AveragedModel


def rename_tensors(
    inner: Mapping[object, Any], maker: Encoder
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Name values as the reference does.

    Args:
        inner: Values by the names in a file.
        maker: The encoder.

    Returns:
        Values by the reference's names, the file's names by those, and a line for each bad name.
    """
    names = [name for name in inner if isinstance(name, str) and name not in COUNTERS]
    problems = [f"{name!r}: expected a name" for name in inner if not isinstance(name, str)]
    if any(name.startswith("features.") for name in names):  # torchvision's whole VGG16
        names = [name for name in names if not name.startswith("classifier.")]
    sources: dict[str, str] = {}
    for name in names:
        canonical = _canonical(name, maker)
        if canonical is None:
            continue
        if canonical in sources:
            problems.append(f"{canonical}: is there twice, as {sources[canonical]} and {name}")
        sources[canonical] = name
    return {name: inner[source] for name, source in sources.items()}, sources, problems


def _canonical(name: str, maker: Encoder) -> str | None:
    """Strip from a name what wrapping the network added; None if the tensor is not used."""
    parts = [part for part in name.split(".") if part not in WRAPPERS] or [name]
    while len(parts) > 1 and parts[0] in OUTER:
        parts = parts[1:]
    whole = ".".join(parts)
    if parts[0] in PARTS and (known := maker.canonical(whole)) != whole:
        return known  # the encoder has a part of that name itself
    plain = ".".join([PARTS.get(parts[0], parts[0]), *parts[1:]])
    return plain if plain.startswith(OURS) else maker.canonical(plain)
