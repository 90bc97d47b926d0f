"""What the doctor says about the starting weights."""

from __future__ import annotations

from pathlib import Path

from vpr.commands.doctor.finding import Finding
from vpr.runtime.hashing import check_sha256
from vpr.weights.checkpoints import describe_checkpoint, parse_checkpoint


def check_checkpoint(
    file: Path,
    *,
    encoder: str,
    variant: str | None,
    sha256: str | None,
    aggregator: str,
    num_clusters: int,
    vlad_version: int,
) -> Finding:
    """Check whether a checkpoint can be loaded, and fits the parameters.

    Args:
        file: The checkpoint.
        encoder: `trunk.encoder`.
        variant: `trunk.model`.
        sha256: Expected SHA-256, or None.
        aggregator: `finetune.aggregator`.
        num_clusters: `finetune.num_clusters`.
        vlad_version: `finetune.vlad_version`.
    """
    subject = "checkpoint"
    try:
        if sha256 is not None:
            check_sha256(file, sha256, source="pretrained.sha256")
        found = parse_checkpoint(file, encoder=encoder, variant=variant)
    except ValueError as error:
        return Finding(subject, str(error), ok=False)
    asked = {"aggregator": aggregator, "num_clusters": num_clusters, "vlad_version": vlad_version}
    brings = {
        "aggregator": found.aggregator,
        "num_clusters": found.num_clusters,
        "vlad_version": found.vlad_version,
    }
    for key, value in brings.items():
        if value is not None and value != asked[key]:
            words = f"{file} has a pool with {key} {value}: set finetune.{key} = {value}"
            return Finding(subject, words, ok=False)
    return Finding(subject, describe_checkpoint(found), ok=True)
