"""Visual place recognition: given a photo, where was it taken?

    street = vpr.load_run("folder of a finished run")
    answer = street.locate("photo.jpg")
    print(answer.state, answer.probability, answer.position)

or, without a run, from a folder of photos whose positions are known:

    vpr.Map.build("folder of photos", "street.map").locate("photo.jpg")

Each package has one meaning. It imports from itself and from those that its line names, and from
the modules `run_files` (paths of a run) and `sections` (all parameters). Nothing imports
`commands`. `encoders`, `aggregators` and `matchers` are drawers: one file for each value of a
parameter, loaded by that name; others import only `matchers.base`, what matchers share.
tests/pipeline/test_imports.py compares this table with the code.

package      what it is                               imports
runtime      how stages read, write and resume        -
console      how stages start and talk to a terminal  runtime
cluster      work over a Ray cluster                  runtime
repository   what DVC and git recorded                runtime
images       image files, pixels, small pictures      console runtime
places       the prepared set: positions, positives   console images runtime
datasets     public forms -> ground truth, and back   images places runtime
importing    photos and drives -> such a set          console datasets images places runtime
features     images -> frozen local features          console images runtime
encoders     one file for each `trunk.encoder`        features runtime
weights      starting weights, read strictly          features network runtime
aggregators  one file for each `finetune.aggregator`  -
network      photo -> local features -> descriptor    features images runtime
retrieval    descriptors -> rankings                  runtime
evaluation   how good, how sure                       places reranking retrieval
training     epochs of mining and losses              console evaluation features network places
matchers     one file for each `rerank.method`        console images runtime
reranking    rankings verified by local features      console features matchers network places
                                                      retrieval runtime
locating     a finished run: photo -> places          datasets evaluation features images importing
                                                      matchers network places repository reranking
                                                      retrieval runtime training weights
pocket       a run in files that need no Python       evaluation features images locating matchers
                                                      network places repository retrieval runtime
report       pages and their templates                evaluation images places reranking retrieval
                                                      runtime web
web          what pages share: map, matching points   -
demo         the drawn street                         console places
commands     what a person types                      all
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vpr.locating.map import Map as Map  # vpr.Map, loaded when it is asked for
    from vpr.locating.run import Run


def load_run(folder: str | PathLike[str]) -> Run:
    """Load a finished run, to locate photos with.

    Args:
        folder: Folder of the repository, with dvc.lock and data/.

    Raises:
        ValueError: If a file is missing or damaged; the message says how to get it.
    """
    from vpr.locating.run import load_run as load  # here, since torch is slow to import

    return load(Path(folder))


def __getattr__(name: str) -> object:
    """Load `vpr.Map` when it is asked for, since torch is slow to import."""
    if name != "Map":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vpr.locating.map import Map

    return Map
