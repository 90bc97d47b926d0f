"""Tensors of a public file -> those of a model: which set, under which names, of which shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from vpr.features.encoder import PREFIX, BringsAggregator, Encoder, count_channels, tensor_shapes
from vpr.network.aggregator import pool_shapes, recognise_aggregator, sized_tensors

# Keys that mean the weights; also deep-visual-geo-localization-benchmark's and DeepSpeed's.
STATE_KEYS = ("state_dict", "model_state_dict", "model", "net", "module")
PARTS = {
    "backbone": "encoder", "features": "encoder", "aggregation": "pool", "aggregator": "pool"
}  # fmt: skip
GEM = {"1.p": "p", "3.weight": "linear.weight", "3.bias": "linear.bias"}  # CosPlace's, EigenPlaces'
OURS = (PREFIX, "pool.", "WPCA.")
# Components that wrapping adds to names: DataParallel's and averaging's, torch.compile's.
WRAPPERS = ("module", "_orig_mod")
OUTER = ("model", "net")  # attributes that hold the network in a Lightning module and others
COUNTERS = ("n_averaged",)  # of torch.optim.swa_utils.AveragedModel
DEPTH = 4  # of nested mappings that are looked through


def choose_set(
    content: Mapping[object, Any], maker: Encoder, key: str | None
) -> tuple[str, Mapping[object, Any]]:
    """Find the mapping in a file that has the tensors of an encoder, however deep it lies.

    A file of a training run may hold several such sets: the raw and the averaged, the student's and
    the teacher's. None of them is taken unasked, nor one under a key that is not known.

    Args:
        content: Content of the file.
        maker: The encoder.
        key: Where the tensors are: the keys of nested mappings, joined by dots; None: in the only
            set that there is.

    Returns:
        Where they are, "" for the file's own, and the mapping; without any, the one that has the
        most tensors.

    Raises:
        ValueError: If there are several sets, or one under a key that is not in `STATE_KEYS`, and
            none is chosen; or there is none where the key says.
    """
    every = dict(_walk(content, "", {id(content)}))
    known = tensor_shapes(maker)
    sets = [
        place
        for place, inner in every.items()
        if any(_canonical(name, maker) in known for name in _names(inner))
    ]
    listed = " and ".join(place or "its top level" for place in sets)
    if key is not None and key not in sets:
        raise ValueError(f"no weights of this encoder under {key}, found {listed or 'none'}")
    unknown = any(sets) and not set(sets[0].split(".")) <= set(STATE_KEYS)
    if key is None and (len(sets) > 1 or unknown):
        many = "several sets of " if len(sets) > 1 else ""
        raise ValueError(
            f"holds {many}weights, under {listed}: write what you want to a file of its own by "
            f"`python -m vpr checkpoint FILE OUT --to bare --key {sets[-1]}`, with --encoder and "
            "--model as in params.yaml, and set pretrained.weights to that file"
        )
    place = key or (sets or sorted(every, key=lambda place: len(_names(every[place]))))[-1]
    return place, every[place]


def has_tensors(value: object, depth: int = DEPTH) -> bool:
    """Whether a value is a tensor, or mappings and lists in it hold one."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if depth and isinstance(value, list | tuple):
        return any(has_tensors(item, depth - 1) for item in value)
    return isinstance(value, Tensor)


def _walk(
    content: Mapping[object, Any], place: str, seen: set[int]
) -> Iterator[tuple[str, Mapping[object, Any]]]:
    """Mappings in a mapping and itself, each once, whatever a pickle makes of references."""
    yield place, content
    for key, value in content.items():
        if isinstance(value, Mapping) and id(value) not in seen and place.count(".") < DEPTH:
            seen.add(id(value))
            yield from _walk(value, f"{place}.{key}" if place else str(key), seen)


def _names(inner: Mapping[object, Any]) -> list[str]:
    return [k for k, value in inner.items() if isinstance(k, str) and isinstance(value, Tensor)]


def fit_tensors(inner: Mapping[Any, Any], maker: Encoder) -> tuple[dict[str, Tensor], str]:
    """Take the tensors of an encoder, with or without an aggregator, from those of a file.

    Args:
        inner: Values by the names in the file.
        maker: The encoder.

    Returns:
        Tensors by the reference's names, float32, in the order we store them, and the name of the
        first in the file.

    Raises:
        ValueError: With a line for each bad name and each missing, unknown or unfit tensor.
    """
    sources, problems = _rename(inner, maker)
    found = {name: inner[source] for name, source in sources.items()}
    try:
        expected = _expected_shapes(found, maker)
    except ValueError as error:
        raise ValueError("\n  ".join([*problems, str(error)])) from None
    problems += [f"{name}: missing" for name in expected if name not in found]
    problems += [
        f"{source}: not part of the network"
        for name, source in sources.items()
        if name not in expected
    ]
    problems += [
        f"{sources[name]}: {problem}"
        for name, shape in expected.items()
        if name in found and (problem := _problem(found[name], shape))
    ]
    if problems:
        raise ValueError("\n  ".join(problems))
    state = {name: found[name].detach().float().contiguous() for name in expected}
    return state, sources[next(iter(state))]


def _rename(inner: Mapping[object, Any], maker: Encoder) -> tuple[dict[str, str], list[str]]:
    """Names in a file by the reference's, and a line for each bad one."""
    names = [name for name in inner if isinstance(name, str) and name not in COUNTERS]
    problems = [f"{name!r}: expected a name" for name in inner if not isinstance(name, str)]
    if any(name.startswith("features.") for name in names):  # torchvision's whole VGG16
        names = [name for name in names if not name.startswith("classifier.")]
    sources: dict[str, str] = {}
    for name in names:
        canonical = _canonical(name, maker)
        if canonical in sources:
            problems.append(f"{canonical}: is there twice, as {sources[canonical]} and {name}")
        if canonical is not None:
            sources[canonical] = name
    return sources, problems


def _expected_shapes(state: Mapping[str, object], maker: Encoder) -> dict[str, tuple[int, ...]]:
    """Compute the shapes of a network with this aggregator, in the order we store them.

    Tensors of the state say which aggregator it is and its sizes: how many clusters K NetVLAD has,
    whether its assignment has a bias (vladv2) and how many dimensions whitening keeps.

    Raises:
        ValueError: If another aggregator than NetVLAD does not fit the encoder.
    """
    shapes, dim = tensor_shapes(maker), count_channels(maker)
    if isinstance(maker, BringsAggregator):
        return shapes | pool_shapes(maker.aggregator, sized_tensors(maker), dim)
    kind = recognise_aggregator(state)
    if kind not in ("netvlad", None):
        tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        return shapes | pool_shapes(kind, tensors, dim)
    num_clusters = max(1, _rows(state.get("pool.centroids")))
    if any(name.startswith(("pool.", "WPCA.")) for name in state):
        shapes["pool.conv.weight"] = (num_clusters, dim, 1, 1)
        if "pool.conv.bias" in state:
            shapes["pool.conv.bias"] = (num_clusters,)
        shapes["pool.centroids"] = (num_clusters, dim)
    if any(name.startswith("WPCA.") for name in state):
        full = num_clusters * dim
        kept = min(max(1, _rows(state.get("WPCA.0.weight"))), full)
        shapes["WPCA.0.weight"] = (kept, full, 1, 1)
        shapes["WPCA.0.bias"] = (kept,)
    return shapes


def _canonical(name: str, maker: Encoder) -> str | None:
    """Strip from a name what wrapping the network added; None if the tensor is not used."""
    parts = [part for part in name.split(".") if part not in WRAPPERS] or [name]
    while len(parts) > 1 and parts[0] in OUTER:
        parts = parts[1:]
    whole = ".".join(parts)
    if parts[0] in PARTS and (known := maker.canonical(whole)) != whole:
        return known  # the encoder has a part of that name itself
    plain = ".".join([PARTS.get(parts[0], parts[0]), *parts[1:]])
    if plain.startswith("pool."):
        inner = plain.removeprefix("pool.").removeprefix("agg.")  # MegaLoc's SALAD before its layer
        return f"pool.{GEM.get(inner, inner)}"
    return plain if plain.startswith(OURS) else maker.canonical(plain)


def _rows(tensor: object) -> int:
    return tensor.shape[0] if isinstance(tensor, Tensor) and tensor.dim() else 0


def _problem(tensor: object, shape: tuple[int, ...]) -> str | None:
    if not isinstance(tensor, Tensor):
        return f"expected a tensor, found {type(tensor).__name__}"
    if tuple(tensor.shape) != shape:
        return f"expected shape {shape}, found {tuple(tensor.shape)}"
    if not tensor.is_floating_point():
        return f"expected floating point values, found {tensor.dtype}"
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return f"expected plain values, found {tensor.layout} on {tensor.device}"
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        return f"expected {tensor.numel()} values, found fewer that are repeated"
    # After the conversion that we store: a float64 can be too large for a float32.
    return None if bool(tensor.float().isfinite().all()) else "has values that are not finite"
