"""A map without a run: a folder of photos with positions, and locating others in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy.sparse import csr_array

from vpr.features.encoder import find_split
from vpr.features.extraction import store_features
from vpr.features.local_features import LocalFeatures, load_features
from vpr.features.model import Model, load_model, save_model
from vpr.features.params import TrunkParams
from vpr.features.trunk import load_trunk
from vpr.images.image_files import Photo, read_image, read_size
from vpr.importing.collection import Asked, Shot
from vpr.importing.drawer import find_form
from vpr.importing.planning import USUAL_RADIUS_M, place_shots
from vpr.importing.zips import unpacked
from vpr.locating.map_verification import find_keypoints, load_verification
from vpr.locating.matches import Located, Places, Truth, find_globe, locate_ranked
from vpr.locating.ranking import Ranker, rank_photos
from vpr.network.describing import describe_photos, load_network
from vpr.network.head import extract_descriptors, load_head
from vpr.network.initial_model import start_model
from vpr.places.index import ImageIndex, load_index, save_index
from vpr.retrieval.descriptors import load_descriptors, save_descriptors
from vpr.retrieval.ranking import rank_shards
from vpr.run_files import WEIGHTS
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device
from vpr.runtime.parameters import PARAMS_FILE, load_params, read_yaml
from vpr.training.params import FinetuneParams
from vpr.weights.checkpoints import load_starting_model
from vpr.weights.params import PretrainedParams

CLONE = Path(__file__).resolve().parents[2]
MODEL, DESCRIPTORS, INDEX, SETTINGS = "model.pt", "database.npy", "database.csv", "map.json"
TOP_K = 20


@dataclass(frozen=True, eq=False)
class Map:
    """Photos whose places are known, loaded once to locate any number of others.

    It knows no queries, so it verifies matches and says whether a photo is of the map, but not how
    probable its place is: that takes a run.
    """

    places: Places
    ranker: Ranker

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
        trunk = load_params("trunk", TrunkParams, path=home / PARAMS_FILE)
        precision = getattr(torch, trunk.precision)
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
            files = _files_of(shots, Path(scratch) / "photos")
            model, stored = _start(home, trunk, files, Path(scratch) / "features", device)
            if len(stored.shapes) == len(files):
                rows = extract_descriptors(load_head(model), stored, range(len(files)), device)
            else:
                network = load_network(
                    model, precision=precision, scale_to=trunk.scale_to, device=device
                )
                rows = (batch.descriptors for batch in describe_photos(network, files))
            save_descriptors(aside / DESCRIPTORS, rows, num_images=len(files))
            save_model(aside / MODEL, model)
            save_index(aside / INDEX, _index_of(shots))
            sections = find_keypoints(aside, files, params=home / PARAMS_FILE)
            settings = {
                "crs": placed.crs, "radius_m": found.radius_m or USUAL_RADIUS_M,
                "trunk": asdict(trunk), **sections,
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
            raise ValueError(f"{home}: is no map: it has no {missing[0]}")
        trunk = load_params("trunk", TrunkParams, path=home / SETTINGS)
        network = load_network(
            load_model(home / MODEL), precision=getattr(torch, trunk.precision),
            scale_to=trunk.scale_to, device=find_device(),
        )  # fmt: skip
        database, index = load_descriptors(home / DESCRIPTORS), load_index(home / INDEX)
        search = partial(rank_shards, database)
        top_k = min(TOP_K, len(database))
        settings = read_yaml(home / SETTINGS)
        reranker, calibration = load_verification(
            home, home / SETTINGS, top_k=top_k, radius_m=settings.get("radius_m", USUAL_RADIUS_M)
        )
        nothing = Truth(ImageIndex([], np.empty((0, 2))), csr_array((0, len(index.paths))))
        globe = find_globe(index.coordinates, settings["crs"])
        places = Places(index, globe, calibration, nothing)
        return cls(places, Ranker(network, database, None, search, top_k, reranker))

    def locate(self, photo: str | PathLike[str], *, top: int = 5) -> Located:
        """Find where a photo was taken; a map of fewer photos than `top` gives them all.

        Raises:
            ValueError: If the photo does not decode.
        """
        (located,) = self.locate_all([photo], top=top)
        return located

    def locate_all(self, photos: Sequence[str | PathLike[str]], *, top: int = 5) -> list[Located]:
        """Find where each of some photos was taken, in their order; see `locate`."""
        files = [Path(photo) for photo in photos]
        top = min(top, len(self.places.database.paths))
        ranked = list(rank_photos(self.ranker, files, top=top, with_responses=False))
        return locate_ranked(files, ranked, self.places, [None] * len(files), top=top)


def _files_of(shots: Sequence[Shot], folder: Path) -> list[Photo]:
    """List the files of photos; those that no file holds are made in a folder."""
    files: list[Photo] = []
    for number, shot in enumerate(shots):
        if isinstance(shot.content, Path):
            files.append(shot.content)
        else:
            folder.mkdir(exist_ok=True)
            made = folder / f"{number:06d}{Path(shot.name).suffix}"
            made.write_bytes(shot.content())
            files.append(made)
    return files


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
    )  # fmt: skip
    return started, stored


def _index_of(shots: Sequence[Shot]) -> ImageIndex:
    headings = np.array([np.nan if shot.heading is None else shot.heading for shot in shots])
    known = None if np.isnan(headings).all() else headings % 360
    return ImageIndex([shot.name for shot in shots], np.array([shot.at for shot in shots]),
                      heading=known)  # fmt: skip
