"""A map without a run: a folder of photos with positions, and locating others in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, get_type_hints

import numpy as np
import torch
from scipy.sparse import csr_array

from vpr.evaluation.acceptance import find_map_limit
from vpr.evaluation.calibration import Calibration
from vpr.evaluation.params import EvaluateParams
from vpr.features.encoder import find_split
from vpr.features.extraction import store_features
from vpr.features.local_features import LocalFeatures, load_features
from vpr.features.model import Model, load_model, save_model
from vpr.features.params import TrunkParams
from vpr.features.trunk import load_trunk
from vpr.images.image_files import Photo, read_image, read_size
from vpr.importing.bundles import unpacked
from vpr.importing.collection import Asked, Shot
from vpr.importing.drawer import find_form
from vpr.importing.placing import place_shots
from vpr.importing.splitting import USUAL_RADIUS_M
from vpr.locating.drives import file_of
from vpr.locating.matches import Located, Places, Truth, find_globe
from vpr.locating.ranking import Ranker, start_network
from vpr.locating.run import Locator
from vpr.matchers.base.detection import detect_keypoints
from vpr.matchers.base.keypoints import load_keypoints, save_keypoints
from vpr.matchers.base.matcher import Folders, load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.matchers.base.photos import PhotoMatcher
from vpr.network.describing import describe_photos
from vpr.network.head import extract_descriptors, load_head
from vpr.network.initial_model import start_model
from vpr.places.index import ImageIndex, load_index, save_index
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.reranker import Reranker
from vpr.retrieval.descriptors import load_descriptors, save_descriptors
from vpr.retrieval.ranking import rank_shards
from vpr.run_files import FOREIGN, MATCHER_WEIGHTS, WEIGHTS
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device
from vpr.runtime.parameters import PARAMS_FILE, load_params, read_yaml
from vpr.training.params import FinetuneParams
from vpr.weights.checkpoints import load_starting_model
from vpr.weights.params import PretrainedParams

CLONE = Path(__file__).resolve().parents[2]
MODEL, DESCRIPTORS, INDEX, SETTINGS = "model.pt", "database.npy", "database.csv", "map.json"
KEYPOINTS = "keypoints"
TOP_K = 20


class Sections(NamedTuple):
    """Sections of parameters for locating in a map, by their names in params.yaml."""

    trunk: TrunkParams
    keypoints: KeypointsParams
    inliers: InliersParams
    rerank: RerankParams
    evaluate: EvaluateParams


def load_sections(params: Path) -> Sections:
    """Load them from a params.yaml, or from the settings of a map.

    Raises:
        ValueError: If one is missing or refused.
    """
    forms = get_type_hints(Sections)
    return Sections(*(load_params(name, form, path=params) for name, form in forms.items()))


@dataclass(frozen=True, eq=False)
class Map(Locator):
    """A folder of photos whose places are known.

    It knows no queries, so it verifies matches and says whether a photo is of the map, but not how
    probable its place is: that takes a run.
    """

    @classmethod
    def build(cls, photos: str | PathLike[str], to: str | PathLike[str]) -> Map:
        """Make a map and write it, by params.yaml: its sections but whiten, search and sequence.

        That of the current folder counts, or if there is none, that of the clone.

        Nothing is trained: NetVLAD's clusters are found in the photos, as with
        `finetune.epochs: 0`.

        Args:
            photos: What `python -m vpr import` reads, such as a folder or .zip of geotagged photos.
            to: Folder to create or replace.

        Raises:
            ValueError: If there are no photos with positions, or one does not decode.
        """
        source, device = Path(photos), find_device()
        home = Path() if PARAMS_FILE.is_file() else CLONE
        sections = load_sections(home / PARAMS_FILE)
        trunk = sections.trunk
        with (
            unpacked(source) as folder,
            TemporaryDirectory() as scratch,
            built_aside(Path(to)) as (aside,),
        ):
            found = find_form(folder, None).read(folder, Asked())
            placed = place_shots([(None, found)], crs=None, labels=True)
            for line in placed.left_out.lines():
                print(f"left out: {line}")
            shots = [shot for shot in placed.shots if shot.side != "query"]
            aside.mkdir()
            files = [file_of(shot, number, Path(scratch)) for number, shot in enumerate(shots)]
            model, stored = _start(home, trunk, files, Path(scratch) / "features", device)
            if len(stored.shapes) == len(files):
                rows = extract_descriptors(load_head(model), stored, range(len(files)), device)
            else:
                network = start_network(model, trunk)
                rows = (batch.descriptors for batch in describe_photos(network, files))
            save_descriptors(aside / DESCRIPTORS, rows, num_images=len(files))
            save_model(aside / MODEL, model)
            save_index(aside / INDEX, _index_of(shots))
            _find_keypoints(aside / KEYPOINTS, files, sections, home)
            settings = {
                "crs": placed.crs, "radius_m": found.radius_m or USUAL_RADIUS_M,
                **{name: asdict(section) for name, section in sections._asdict().items()},
            }  # fmt: skip
            (aside / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
        return cls.load(to)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Map:
        """Load a map that `build` wrote.

        Raises:
            ValueError: If a file is missing or damaged.
        """
        home = Path(folder)
        missing = [name for name in (SETTINGS, MODEL, DESCRIPTORS, INDEX)
                   if not (home / name).is_file()]  # fmt: skip
        if missing:
            raise ValueError(f"{home}: is not a map: it has no {missing[0]}")
        sections = load_sections(home / SETTINGS)
        network = start_network(load_model(home / MODEL), sections.trunk)
        database, index = load_descriptors(home / DESCRIPTORS), load_index(home / INDEX)
        search = partial(rank_shards, database)
        top_k = min(TOP_K, len(database))
        settings = read_yaml(home / SETTINGS)
        reranker, calibration = _load_verification(
            home / KEYPOINTS, sections, top_k=top_k,
            radius_m=settings.get("radius_m", USUAL_RADIUS_M),
        )  # fmt: skip
        nothing = Truth(ImageIndex([], np.empty((0, 2))), csr_array((0, len(index.paths))))
        globe = find_globe(index.coordinates, settings["crs"])
        places = Places(index, globe, calibration, nothing)
        return cls(places, Ranker(network, database, None, database, search, top_k, reranker))

    def locate_all(self, photos: Sequence[str | PathLike[str]], *, top: int = 5) -> list[Located]:
        """Find where photos were taken; a map with fewer than `top` photos returns all of them."""
        return super().locate_all(photos, top=min(top, len(self.places.database.paths)))


def _start(
    home: Path, trunk: TrunkParams, files: Sequence[Photo], features: Path, device: torch.device
) -> tuple[Model, LocalFeatures]:
    """Make the model that a run without training has, and store features, as its stages do."""
    weights = load_params("pretrained", PretrainedParams, path=home / PARAMS_FILE)
    tuned = load_params("finetune", FinetuneParams, path=home / PARAMS_FILE)
    split = find_split(trunk.encoder, trunk.model, trunk.trainable_from)
    model, _ = load_starting_model(
        home / WEIGHTS / weights.weights, encoder=trunk.encoder, variant=trunk.model, split=split,
        seed=weights.seed,
    )  # fmt: skip
    store_features(
        features, load_trunk(model.parts()[0], getattr(torch, trunk.precision)),
        trunk.stored(files), partial(read_image, scale_to=trunk.scale_to),
        size=partial(read_size, scale_to=trunk.scale_to), device=device,
    )  # fmt: skip
    stored = load_features(features)
    started, _ = start_model(
        model, stored, aggregator=tuned.aggregator,
        num_clusters=tuned.num_clusters, vlad_version=tuned.vlad_version,
        descriptor_dim=tuned.descriptor_dim, seed=tuned.seed, device=device,
        refit=tuned.clusters == "refit",
    )  # fmt: skip
    return started, stored


def _index_of(shots: Sequence[Shot]) -> ImageIndex:
    headings = np.array([np.nan if shot.heading is None else shot.heading for shot in shots])
    known = None if np.isnan(headings).all() else headings % 360
    return ImageIndex([shot.name for shot in shots], np.array([shot.at for shot in shots]),
                      heading=known)  # fmt: skip


def _find_keypoints(to: Path, files: Sequence[Photo], sections: Sections, models: Path) -> None:
    """Find the keypoints of a map's photos as the stage keypoints does, and write them.

    Args:
        to: Folder to create, except with `rerank.method: none`.
        files: The photos.
        sections: Parameters of verification.
        models: Folder beside which the matchers' models are.

    Raises:
        ValueError: If the matcher sees photos, which a map does not keep.
    """
    order, keypoints = sections.rerank, sections.keypoints
    folders = Folders(models / MATCHER_WEIGHTS, models / FOREIGN)
    matcher = load_matcher(order.method, order.model, folders)
    if isinstance(matcher, PhotoMatcher):
        raise ValueError(
            f"rerank.method = {order.method}: it matches photos, which a map does not keep: "
            "choose one that matches keypoints, as xfeat, or none"
        )
    if matcher is not None:
        read = partial(read_image, scale_to=keypoints.max_side_px)
        found = detect_keypoints(matcher, files, read, max_keypoints=keypoints.max_keypoints)
        save_keypoints(to, found)


def _load_verification(
    keypoints: Path, sections: Sections, *, top_k: int, radius_m: float
) -> tuple[Reranker | None, Calibration | None]:
    """Load the re-ranker, and the calibration by which a photo is of the map or not.

    Without queries no evidence tells a right place of the map from a wrong one, so a photo is
    unsure or unknown and never known. The limit between the two is that of the background model,
    which needs no photo from elsewhere; by distance there is none.

    Args:
        keypoints: The map's folder of keypoints.
        sections: Parameters of verification.
        top_k: Photos that are ranked.
        radius_m: Within which photos show the same place.

    Returns:
        Both None if photos are not verified.
    """
    _, points, inliers, order, evaluate = sections
    matcher = load_matcher(order.method, order.model, Folders(MATCHER_WEIGHTS, FOREIGN))
    if matcher is None:
        return None, None
    limit = find_map_limit(
        np.empty(0), by="inliers", num_candidates=min(inliers.top, top_k),
        rate=evaluate.accept_false_rate, confidence=evaluate.confidence,
    )  # fmt: skip
    calibration = Calibration("inliers", top_k, radius_m, evaluate.confidence, limit, None, {})
    database = load_keypoints(keypoints)
    return Reranker(matcher, database, points, inliers, order), calibration
