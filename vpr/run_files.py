"""Where the files of a run are, from its folder: the paths of dvc.yaml that commands read.

A stage gets its paths from dvc.yaml on its command line; a test compares this list with it.
"""

from __future__ import annotations

from pathlib import Path

LOCK = Path("dvc.lock")

IMAGES = Path("data/images")
DATABASE_IMAGES = IMAGES / "database"
QUERY_IMAGES = IMAGES / "query"
THUMBNAILS = Path("data/thumbnails/database")

DATABASE = Path("data/prepared/database.csv")
QUERY = Path("data/prepared/query.csv")
POSITIVES = Path("data/prepared/positives.npz")

WEIGHTS = Path("models/pretrained")  # a folder of starting weights, not an out
MATCHER_WEIGHTS = Path("models/matchers")  # those that rerank.model may name, not an out
FOREIGN = Path("models/foreign")  # the code that rerank.model may name, not an out
MODEL = Path("models/netvlad/model.pt")
WHITENING = Path("models/whitening.npz")

DESCRIPTORS = Path("data/descriptors/database.npy")
WHITENED = Path("data/whitened/database.npy")
INDEX = Path("data/index")
KEYPOINTS = Path("data/keypoints/database")
KEPT = Path("data/utility/kept.npy")
PREDICTIONS = Path("data/predictions.npz")
FOREIGN_RANKED = Path("data/foreign_ranked")
SUBMISSION = Path("data/submission/submit.json")

RECALL = Path("metrics/recall.json")
QUERIES = Path("metrics/queries.csv")
DETAILS = Path("metrics/details.json")
CALIBRATION = Path("metrics/calibration.json")
REPORT = Path("metrics/report/index.html")
