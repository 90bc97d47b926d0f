"""Stage utility: which keypoints of the database re-ranking keeps."""

from __future__ import annotations

from pathlib import Path

from vpr.console.entry import run_stage

import numpy as np

from vpr.matchers.base.keypoints import load_keypoints
from vpr.places.index import load_index
from vpr.reranking.params import UtilityParams
from vpr.reranking.utility_files import Utility, save_utility
from vpr.retrieval.descriptors import load_descriptors
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_param, load_params


def utility(
    *,
    features: Path,
    model: Path,
    descriptors: Path,
    database: Path,
    radius: Path,
    keypoints: Path,
    utility: Path,
) -> None:
    """Measure the utility of NetVLAD's clusters, and keep the keypoints of useful ones.

    With keep all, every keypoint is kept and nothing is measured.
    """
    params, stored = load_params("utility", UtilityParams), load_keypoints(keypoints)
    method = load_param("rerank.method", str)
    kept, measured = np.ones(len(stored), dtype=bool), None
    if params.keep != "all" and method != "none":
        if not len(stored):
            raise ValueError(
                f"utility.keep = {params.keep}: with rerank.method = {method} there are no "
                "keypoints to choose from: set utility.keep to all"
            )
        # Here: torch and scipy are slow to import, and a run without utility needs neither.
        from vpr.places.positives import load_radius
        from vpr.reranking.utility import (
            choose_clusters,
            choose_keypoints,
            find_low_clusters,
            find_negatives,
            load_cluster_maps,
            measure_utility,
        )

        negatives = find_negatives(load_index(database).coordinates, radius_m=load_radius(radius))
        maps, present = load_cluster_maps(features, model)
        if len(maps) != len(stored.sizes):
            raise ValueError(
                f"utility.keep = {params.keep}: features of {len(maps)} of {len(stored.sizes)} "
                "database images are stored: set trunk.store to all"
            )
        environment, place = measure_utility(load_descriptors(descriptors), present, negatives)
        low = find_low_clusters(environment, mode=params.mode)
        clusters = choose_clusters(place, low, keep=params.keep, top=params.top)
        kept = choose_keypoints(stored, maps, clusters)
        measured = Utility(environment, low, place, clusters, maps)
    with built_aside(utility) as (aside,):
        save_utility(aside, kept, measured, bytes_each=stored.bytes_each)


if __name__ == "__main__":
    run_stage(utility)
