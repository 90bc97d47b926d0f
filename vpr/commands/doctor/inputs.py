"""What the doctor says about what a run is given: the data set and the weights."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from vpr.commands.doctor.finding import Finding
from vpr.datasets.formats import find_index
from vpr.repository.revisions import is_tracked
from vpr.runtime.hashing import check_sha256
from vpr.runtime.parameters import load_param, read_yaml, suggest
from vpr.weights.checkpoints import describe_checkpoint, parse_checkpoint


def check_dataset(root: Path) -> Finding:
    """Check whether the data set's folder and its ground truth are there, or can be made by DVC.

    Args:
        root: The repository.
    """
    folder = root / load_param("dataset.dir", str)
    if not folder.is_dir():
        return _made_or_missing("data set", "dataset.dir", folder, root)
    index = load_param("dataset.index", str | None)  # type: ignore[arg-type] # mypy: no type
    try:
        return Finding("data set", str(find_index(folder, index)), ok=True)
    except ValueError as error:
        return Finding("data set", str(error), ok=False)


def check_sharing(root: Path) -> Finding:
    """Check whether experiments in other folders, and other people, can get the data set.

    Args:
        root: The repository.
    """
    name = load_param("dataset.dir", str)
    folder, subject = root / name, "sharing the data set"
    if not folder.resolve().is_relative_to(root.resolve()):
        words = (
            f"{name} lies outside the repository: runs work only on this machine"
            + ("" if Path(name).is_absolute() else ", and not in `dvc exp run --temp` or --queue")
            + f". To share it: dvc add {name} -o data/{folder.resolve().name}, and set dataset.dir "
            "to that folder"
        )
        return Finding(subject, words, ok=True, is_note=True)
    if folder.resolve() in _made_outs(root):
        return Finding(subject, "tracked by DVC", ok=True)
    return _known(subject, folder)


def check_sharing_of_weights(root: Path) -> Finding:
    """Check whether experiments in other folders, and other people, can get the starting weights.

    Args:
        root: The repository.
    """
    file = root / "models" / "pretrained" / load_param("pretrained.weights", str)
    return _known("sharing the weights", file)


def check_weights(root: Path) -> Finding:
    """Check whether the starting weights are there, or can be had by DVC.

    Args:
        root: The repository.
    """
    file = root / "models" / "pretrained" / load_param("pretrained.weights", str)
    if file.is_file():
        return Finding("weights", str(file), ok=True)
    return _made_or_missing("weights", "pretrained.weights", file, root)


def _known(subject: str, path: Path) -> Finding:
    if _pointer(path).exists():
        return Finding(subject, "tracked by DVC", ok=True)
    if is_tracked(path):
        return Finding(subject, "tracked by git", ok=True)
    words = (
        f"{path} is tracked by neither DVC nor git, so `dvc exp run --temp` and --queue "
        f"lack it: run `dvc add {quote(str(path))}`"
    )
    return Finding(subject, words, ok=True, is_note=True)


def _made_or_missing(subject: str, key: str, path: Path, root: Path) -> Finding:
    if _pointer(path).exists():
        return Finding(subject, f"{path} is missing: fetch it with `dvc pull {path}.dvc`", ok=False)
    if path.resolve() in _made_outs(root):
        return Finding(subject, f"{path} will be made by its stage", ok=True)
    there = path.parent.iterdir() if path.parent.is_dir() else ()
    names = [(entry.with_suffix("") if entry.suffix == ".dvc" else entry).name for entry in there]
    names += [out.name for out in _made_outs(root) if out.parent == path.parent.resolve()]
    words = (
        f"{path} does not exist: put it there, or set {key} in params.yaml to what you have"
        f"{suggest(path.name, names)}"
    )
    return Finding(subject, words, ok=False)


def _pointer(path: Path) -> Path:
    return path.with_name(path.name + ".dvc")


def _made_outs(root: Path) -> list[Path]:
    """List outs of the stages in data/dvc.yaml, which are data sets."""
    stages = read_yaml(root / "data" / "dvc.yaml").get("stages", {})
    return [(root / out).resolve() for stage in stages.values() for out in stage.get("outs", [])]


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
