"""A stage that was interrupted goes on, and gives the bytes of a straight run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import stages.finetune
from stages.finetune import finetune
from stages.trunk import trunk
from tests.support.repositories import ROOT
from vpr.encoders.vgg16 import random_weights
from vpr.features import batches, extraction
from vpr.features.local_features import load_features, save_features
from vpr.features.model import Model, save_model
from vpr.images import known_parts
from vpr.places.index import ImageIndex, save_index
from vpr.places.positives import save_positives
from vpr.places.radius import find_training_positives
from vpr.runtime.artefacts import SCRATCH
from vpr.runtime.resuming import fingerprint
from vpr.training.epochs import take_step

CPU = torch.device("cpu")
SIZES = [(48, 32)] * 5 + [(32, 64)] * 3 + [(48, 32)]  # in batches of 2: 2 2 1, 2 1, 1


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow_vgg16: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(batches.PIXELS_PER_BATCH, "cpu", 2 * 64 * 32)
    monkeypatch.setattr(known_parts, "SECONDS_BETWEEN_SAVES", 0)
    write_trunk()
    Path("env.yaml").write_text(f"torch: {torch.__version__.split('+')[0]}\n")
    draw_images()
    save_model(Path("frozen.pt"), Model("vgg16", None, "conv2_1", random_weights(0)).parts()[0])


def draw_images() -> None:
    rng = np.random.default_rng(0)
    Path("images").mkdir(exist_ok=True)
    for number, (width, height) in enumerate(SIZES):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"images/{number:06d}.png")


def run(name: str) -> dict[str, bytes]:
    trunk(images=Path("images"), frozen=Path("frozen.pt"), features=Path(name))
    return bytes_below(Path(name))


def bytes_below(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def interrupt_after(
    num_batches: int,
    monkeypatch: pytest.MonkeyPatch,
    stage: Callable[[str], object] = run,
) -> None:
    whole, computed = extraction.extract_features, itertools.count()

    def broken_off(*args: object) -> Iterator[torch.Tensor]:
        for maps in whole(*args):  # type: ignore[arg-type]
            if next(computed) == num_batches:
                raise KeyboardInterrupt
            yield maps
        if stage is run:
            raise KeyboardInterrupt  # all done, not yet in place

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(extraction, "extract_features", broken_off)
        stage("resumed")


def write_trunk(**sizes: int | list[int] | str | None) -> None:
    names = {"max_side_px": None, "image_size": None, "store": "all", **sizes}
    Path("params.yaml").write_text(
        "trunk: {encoder: vgg16, model: null, trainable_from: conv2_1, precision: float32, "
        f"{', '.join(f'{name}: {json.dumps(value)}' for name, value in names.items())}}}\n"
    )


def test_the_trunk_resizes_every_image_to_the_size_that_is_set() -> None:
    write_trunk(image_size=[32, 48])
    run("features")
    assert (
        load_features(Path("features")).shapes == (16, 24)
    ).all()  # stride 2, of either orientation


def test_two_sizes_at_once_are_refused() -> None:
    write_trunk(image_size=[32, 48], max_side_px=64)
    with pytest.raises(ValueError, match=r"max_side_px = 64 and trunk.image_size = \[32, 48\]"):
        run("features")


@pytest.mark.parametrize("num_batches", [0, 1, 3, 6])
def test_the_trunk_goes_on_and_gives_the_same_bytes(
    num_batches: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(known_parts, "MOST_PHOTOS", 4)
    straight = run("straight")
    interrupt_after(num_batches, monkeypatch)
    assert not Path("resumed").exists()
    capsys.readouterr()
    assert run("resumed") == straight
    done = [0, 2, 4, 5, 7, 8, 9][num_batches]
    told = capsys.readouterr().out
    assert told == (f"resuming after the {done} images that were done\n" if done else "")
    assert list(SCRATCH.iterdir()) == []


def test_half_a_file_that_a_kill_leaves_does_not_reach_the_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_parts, "MOST_PHOTOS", 3)
    straight = run("straight")
    interrupt_after(3, monkeypatch)
    (first,) = SCRATCH.rglob("features/000000.npy")
    first.with_name("000003.npy.new").write_bytes(b"half a row")
    assert run("resumed") == straight
    assert len(straight) == 6


def test_other_inputs_or_parameters_start_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_after(3, monkeypatch)
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("float32", "bfloat16"))
    run("resumed")
    assert "resuming" not in capsys.readouterr().out
    assert load_features(Path("resumed")).rows.of(0).dtype == np.uint16


def test_the_key_changes_with_everything_that_bits_depend_on() -> None:
    def key(*values: object) -> str:
        return fingerprint(*values, inputs=(Path("images"), Path("frozen.pt")), device=CPU)

    keys = [key(1), key(2)]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    keys.append(key(1))
    torch.set_num_threads(threads)
    assert key(1) == keys[0]
    pixel = bytearray(Path("images/000004.png").read_bytes())
    pixel[-20] ^= 1
    Path("images/000004.png").write_bytes(pixel)
    keys.append(key(1))
    Path("env.yaml").write_text("numpy: 2.0.0\n")
    keys.append(key(1))
    assert len(set(keys)) == 5


def write_training_data() -> dict[str, Path]:
    places = np.stack([np.arange(12) * 10.0, np.zeros(12)], axis=1)
    photos = ImageIndex(paths=[f"{number}.png" for number in range(12)], coordinates=places)
    save_index(Path("database.csv"), photos)
    save_positives(Path("near.npz"), find_training_positives(places, radius_m=10))
    below, above = Model("vgg16", None, "conv5_1", random_weights(0)).parts()
    save_model(Path("below.pt"), below)
    save_model(Path("above.pt"), above)
    torch.manual_seed(0)
    save_features(Path("features"), [torch.randn(12, 64, 3, 4)])
    names = {"database": "database.csv", "positives": "near.npz", "frozen": "below.pt",
             "trainable": "above.pt", "features": "features"}  # fmt: skip
    return {option: Path(name) for option, name in names.items()}


def change_finetune(**changes: object) -> None:
    lines = (ROOT / "params.yaml").read_text().split("\n")
    start = lines.index("finetune:")
    for key, value in changes.items():
        row = next(i for i in range(start, len(lines)) if lines[i].startswith(f"  {key}: "))
        lines[row] = f"  {key}: {value}"
    Path("params.yaml").write_text("\n".join(lines))


PLACES = {"batch": "places", "loss": "multi_similarity", "optimizer": "adamw",
          "schedule": "cosine", "clip_norm": 1.0, "places_per_batch": 2, "patience": 5}  # fmt: skip


@pytest.mark.parametrize("recipe", [{}, PLACES])
def test_training_that_is_killed_in_mid_epoch_gives_the_bytes_of_a_straight_run(
    recipe: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change_finetune(epochs=2, validation_fraction=0.25, **recipe)
    inputs = write_training_data()
    finetune(**inputs, model=Path("straight"))
    steps = []

    def stop_in_the_second_epoch(*args: object, **options: object) -> torch.Tensor:
        steps.append(1)
        if len(steps) == num_steps:
            raise KeyboardInterrupt
        return take_step(*args, **options)  # type: ignore[arg-type]

    record = pd.read_csv("straight/loss.csv").iloc[0]
    num_steps = 2 + int(record["num_batches"] if recipe else np.ceil(record["num_triplets"] / 8))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("vpr.training.epochs.take_step", stop_in_the_second_epoch)
        finetune(**inputs, model=Path("resumed"))
    capsys.readouterr()
    finetune(**inputs, model=Path("resumed"))
    assert "resuming after epoch 1\n" in capsys.readouterr().out
    for file in Path("straight").iterdir():
        assert file.read_bytes() == (Path("resumed") / file.name).read_bytes(), file.name
    assert list(SCRATCH.iterdir()) == []


def test_training_goes_on_after_the_last_epoch_and_gives_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = (ROOT / "params.yaml").read_text().replace("  epochs: 0 ", "  epochs: 2 ")
    changed = changed.replace("validation_fraction: 0 ", "validation_fraction: 0.25 ")
    Path("params.yaml").write_text(changed)
    inputs = write_training_data()
    finetune(**inputs, model=Path("straight"))

    def stop_after_one(records: Iterator[object], state: object) -> None:
        next(records)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stages.finetune, "announce_epochs", stop_after_one)
        finetune(**inputs, model=Path("resumed"))
    capsys.readouterr()
    finetune(**inputs, model=Path("resumed"))
    assert "resuming after epoch 1\n" in capsys.readouterr().out
    for file in Path("straight").iterdir():
        assert file.read_bytes() == (Path("resumed") / file.name).read_bytes(), file.name
    assert list(SCRATCH.iterdir()) == []
