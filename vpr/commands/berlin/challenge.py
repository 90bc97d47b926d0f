"""The Berlin Kudamm challenge: which files it has, its baseline and its published result."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from vpr.commands.berlin.bundles import Bundle, read_file
from vpr.datasets.dbstruct import parse_dbstruct
from vpr.places.photos import check_name
from vpr.weights.checkpoints import Checkpoint

GROUND_TRUTH = "berlin.mat"
NUM_DATABASE, NUM_QUERY = 314, 280
PUBLISHED_CORRECT = 107  # of the 280: 38.21 % recall@1 of the challenge's NetVLAD baseline
WHERE = "https://github.com/Nik-V9/HEAPUtil"  # links the checkpoint


def find_files(bundle: Bundle) -> dict[str, str]:
    """Find where a bundle has the challenge's files, which may lie in folders of any name.

    Args:
        bundle: The folder or zip.

    Returns:
        Paths in the bundle, by the ground truth's names, and its own first.

    Raises:
        ValueError: If the ground truth is missing or another set's, or an image is missing.
    """
    found = sorted(
        (name for name in bundle.sizes if PurePosixPath(name).name == GROUND_TRUTH),
        key=lambda name: (name.count("/"), name),
    )
    if not found:
        inside = ", ".join(sorted(bundle.sizes)[:8]) or "nothing"
        raise ValueError(
            f"{bundle.source}: expected the challenge's data set with {GROUND_TRUTH} in it, found "
            f"{inside}"
        )
    names = _image_names(bundle, found[0])
    root = _find_root(bundle, names[0], beside=found[0])
    missing = [name for name in names if root + name not in bundle.sizes]
    if missing:
        raise ValueError(
            f"{bundle.source}: {len(missing)} of the {len(names)} images that {found[0]} names are "
            f"missing below {root or 'its top'}: {', '.join(missing[:3])}"
        )
    return {GROUND_TRUTH: found[0]} | {name: root + name for name in names}


def baseline_params(folder: Path, weights: Path, checkpoint: Checkpoint) -> dict[str, object]:
    """Choose the parameters of the challenge's baseline, which does not train.

    Args:
        folder: The data set's folder.
        weights: The checkpoint's file in models/pretrained.
        checkpoint: What it holds.

    Raises:
        ValueError: If the checkpoint has no pool.
    """
    if checkpoint.num_clusters is None:
        raise ValueError(
            f"{weights.name}: VGG16 without NetVLAD's clusters, so it is not the baseline's: "
            f"expected pittsburgh_checkpoint.pth.tar, which {WHERE} links"
        )
    return {
        "dataset.dir": folder.as_posix(), "dataset.index": GROUND_TRUTH,
        "dataset.crs": "EPSG:32633", "prepare.radius_m": None, "pretrained.weights": weights.name,
        "pretrained.sha256": None, "trunk.encoder": "vgg16", "trunk.model": None,
        "trunk.trainable_from": "conv5_1", "trunk.precision": "float32", "trunk.max_side_px": None,
        "trunk.image_size": None, "trunk.store": "all", "views.scales": [],
        "finetune.aggregator": "netvlad", "finetune.descriptor_dim": None,
        "finetune.num_clusters": checkpoint.num_clusters,
        "finetune.vlad_version": checkpoint.vlad_version, "finetune.epochs": 0, "whiten.dim": 0,
        "search.top_k": 20, "search.index": "exact", "rerank.method": "none", "sequence.length": 1,
    }  # fmt: skip


def compare_with_published(metrics: Mapping[str, float]) -> str:
    """Put recall@1 of a run and the published one in words.

    Args:
        metrics: Content of metrics/recall.json.
    """
    correct = round(metrics["recall@1"] * metrics["num_queries"])
    return (
        f"recall@1    {metrics['recall@1']:.2%} ({correct} of {metrics['num_queries']})\n"
        f"published   {PUBLISHED_CORRECT / NUM_QUERY:.2%} ({PUBLISHED_CORRECT} of {NUM_QUERY})"
    )


def _image_names(bundle: Bundle, inner: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / GROUND_TRUTH
        file.write_bytes(read_file(bundle, inner))
        try:
            truth = parse_dbstruct(file)
        except ValueError as error:
            reason = str(error).removeprefix(f"{file}: ")
            raise ValueError(f"{bundle.source}: {inner}: {reason}") from None
    counts = len(truth.database.paths), len(truth.query.paths)
    if counts != (NUM_DATABASE, NUM_QUERY):
        raise ValueError(
            f"{bundle.source}: {inner}: Berlin Kudamm has {NUM_DATABASE} database and {NUM_QUERY} "
            f"query images, found {counts[0]} and {counts[1]}: for another set see the README, "
            "Your own data"
        )
    names = [*truth.database.paths, *truth.query.paths]
    for name in names:
        check_name(name, home=bundle.source)
    return names


def _find_root(bundle: Bundle, name: str, *, beside: str) -> str:
    """Find the prefix of an image's path: the ground truth's folder, or the one nearest the top."""
    own = beside.removesuffix(GROUND_TRUTH)
    roots = [path.removesuffix(name) for path in bundle.sizes if f"/{path}".endswith(f"/{name}")]
    if not roots:
        raise ValueError(
            f"{bundle.source}: {beside} names {name!r}, which is nowhere in it: put the folders of "
            "images beside the .mat file"
        )
    return min(roots, key=lambda root: (root != own, root.count("/"), root))
