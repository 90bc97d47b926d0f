"""What the doctor says about what params.yaml names: the data set, the weights, the network."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from vpr.datasets.findings import Finding, Level
from vpr.datasets.formats import find_index
from vpr.features.encoder import check_aggregator, check_resizing, find_split, load_encoder
from vpr.features.params import TrunkParams
from vpr.images.pixels import scaled_size
from vpr.matchers.base.matcher import load_matcher
from vpr.repository.revisions import is_tracked
from vpr.reranking.params import RerankParams
from vpr.run_files import WEIGHTS
from vpr.runtime.hashing import check_sha256
from vpr.runtime.parameters import load_param, load_params, read_yaml, suggest
from vpr.training.params import FinetuneParams
from vpr.weights.checkpoints import describe_checkpoint, parse_checkpoint
from vpr.weights.params import PretrainedParams
from vpr.weights.starting_weights import NAMES

PHOTO_PX = (3000, 4000)  # height and width of a photo, before any is looked at


def fit_encoder() -> str:
    """Describe the encoder.

    Raises:
        ValueError: If other parameters do not fit it.
    """
    trunk = load_params("trunk", TrunkParams)
    find_split(trunk.encoder, trunk.model, trunk.trainable_from)
    encoder = load_encoder(trunk.encoder, trunk.model)
    check_resizing(encoder, PHOTO_PX, scaled_size(PHOTO_PX[::-1], 1, trunk.scale_to))
    check_aggregator(encoder, load_params("finetune", FinetuneParams).aggregator)
    return f"params.yaml fits every stage; encoder {encoder.origin}"


def fit_matcher() -> str:
    """Describe the matcher.

    Raises:
        ValueError: If there is none of that name.
        OSError: If its weights are missing.
    """
    rerank = load_params("rerank", RerankParams)
    if rerank.model is None:
        load_matcher(rerank.method)
    return f"by {rerank.method}"


def find_dataset() -> str:
    """Find the ground truth of the data set, or the stage that makes the set.

    Raises:
        ValueError: If there is none.
    """
    folder = Path(load_param("dataset.dir", str))
    if not folder.is_dir():
        return _find_maker("dataset.dir", folder)
    index = load_param("dataset.index", str | None)  # type: ignore[arg-type] # mypy: no type
    return str(find_index(folder, index))


def find_weights() -> str:
    """Find the starting weights.

    Raises:
        ValueError: If they are not there.
    """
    file = WEIGHTS / load_param("pretrained.weights", str)
    return str(file) if file.is_file() else _find_maker("pretrained.weights", file)


def fit_checkpoint() -> str:
    """Describe the checkpoint that the starting weights are, if they are one.

    Raises:
        ValueError: If it cannot be loaded, or does not fit the parameters.
    """
    given, trunk = load_params("pretrained", PretrainedParams), load_params("trunk", TrunkParams)
    file = WEIGHTS / given.weights
    if not file.is_file() or file.name in NAMES:
        return "none to check"
    if given.sha256 is not None:
        check_sha256(file, given.sha256, source="pretrained.sha256")
    found = parse_checkpoint(file, encoder=trunk.encoder, variant=trunk.model)
    tuned = load_params("finetune", FinetuneParams)
    for key in ("aggregator", "num_clusters", "vlad_version"):
        brought = getattr(found, key)
        if brought not in (None, getattr(tuned, key)):
            raise ValueError(
                f"{file} has a pool with {key} {brought}: set finetune.{key} = {brought}"
            )
    return describe_checkpoint(found)


def check_sharing() -> Finding:
    """Check whether experiments in other folders, and other people, can get the data set."""
    name, key = load_param("dataset.dir", str), "sharing_the_data_set"
    folder = Path(name).resolve()
    if not folder.is_relative_to(Path.cwd()):
        words = (
            f"{name} lies outside the repository: runs work only on this machine"
            + ("" if Path(name).is_absolute() else ", and not in `dvc exp run --temp` or --queue")
            + f". To share it: dvc add {name} -o data/{folder.name}, and set dataset.dir to that "
            "folder"
        )
        return Finding(key, words, Level.NOTE)
    return Finding(key, "tracked by DVC") if folder in _made_outs() else _find_tracker(key, name)


def check_sharing_of_weights() -> Finding:
    """Check whether experiments in other folders, and other people, can get the weights."""
    file = WEIGHTS / load_param("pretrained.weights", str)
    return _find_tracker("sharing_the_weights", str(file))


def _find_tracker(key: str, path: str) -> Finding:
    if Path(f"{path}.dvc").exists():
        return Finding(key, "tracked by DVC")
    if is_tracked(Path(path)):
        return Finding(key, "tracked by git")
    words = (
        f"{path} is tracked by neither DVC nor git, so `dvc exp run --temp` and --queue lack it: "
        f"run `dvc add {quote(path)}`"
    )
    return Finding(key, words, Level.NOTE)


def _find_maker(key: str, path: Path) -> str:
    """Say which stage makes what is missing; raise ValueError if none does."""
    if Path(f"{path}.dvc").exists():
        raise ValueError(f"{path} is missing: fetch it with `dvc pull {path}.dvc`")
    made = _made_outs()
    if path.resolve() in made:
        return f"{path} will be made by its stage"
    there = path.parent.iterdir() if path.parent.is_dir() else ()
    names = [entry.name.removesuffix(".dvc") for entry in there]
    names += [out.name for out in made if out.parent == path.parent.resolve()]
    raise ValueError(
        f"{path} does not exist: put it there, or set {key} in params.yaml to what you have"
        f"{suggest(path.name, names)}"
    )


def _made_outs() -> list[Path]:
    """List outs of the stages in data/dvc.yaml, which are data sets."""
    stages = read_yaml(Path("data/dvc.yaml")).get("stages", {})
    return [Path(out).resolve() for stage in stages.values() for out in stage.get("outs", [])]
