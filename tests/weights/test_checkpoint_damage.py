"""Damaged and hostile checkpoints are refused in one message, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vpr.encoders.vgg16 import make_encoder, random_weights
from vpr.features.encoder import tensor_shapes
from vpr.weights.checkpoint_files import LEGACY, save_checkpoint
from vpr.weights.checkpoints import parse_checkpoint

POOL = {"pool.conv.weight": torch.rand(2, 64, 1, 1), "pool.centroids": torch.rand(2, 64)}
NOTES: dict[str, Any] = {"epoch": 13, "recalls": {1: np.float64(0.84)}, "best_score": 0.93}
pytestmark = pytest.mark.usefixtures("narrow_vgg16")

MUTATIONS = 66  # of each of three containers: 198, and what else this file has


def survives(file: Path) -> bool:
    """Whether a file loads, every check holding; a refusal must name it, in a ValueError."""
    before = sorted(file.parent.iterdir())
    try:
        state = parse_checkpoint(file).state
    except ValueError as error:
        assert str(error).startswith(f"{file}: ")
        assert "weights_only=False" not in str(error)
        return False
    finally:
        assert sorted(file.parent.iterdir()) == before
    shapes = tensor_shapes(make_encoder()) | {name: tuple(t.shape) for name, t in POOL.items()}
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    assert all(bool(tensor.isfinite().all()) for tensor in state.values())
    return True


def write_legacy(file: Path) -> None:
    content = {**NOTES, "state_dict": random_weights(0) | POOL}
    torch.save(content, file, _use_new_zipfile_serialization=False)


def write_zip(file: Path) -> None:
    save_checkpoint(file, random_weights(0) | POOL, NOTES, form="nanne")


def write_safetensors(file: Path) -> None:
    save_checkpoint(file, random_weights(0) | POOL, {"epoch": 13}, form="safetensors")


def flip(file: Path, position: int, bit: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(position)
        (byte,) = stream.read(1)
        stream.seek(position)
        stream.write(bytes([byte ^ (1 << bit)]))


@pytest.mark.parametrize("write", [write_legacy, write_zip, write_safetensors])
def test_flipped_bits_and_cut_files_are_refused_or_load_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "damaged"
    write(file)
    assert survives(file)
    size = file.stat().st_size
    rng = random.Random(0)  # noqa: S311 (nothing secret)
    loaded = 0
    for number in range(MUTATIONS - 10):
        # Names and shapes lie in the first kilobytes, a zip's directory in the last.
        span = [(0, 2500), (0, 2500), (size - 6000, size), (0, size)][number % 4]
        position, bit = rng.randrange(*span), rng.randrange(8)
        flip(file, position, bit)
        loaded += survives(file)
        flip(file, position, bit)
    assert survives(file)
    assert loaded < MUTATIONS - 10  # else the flips hit nothing that can be checked
    for left in sorted((rng.randrange(size) for _ in range(9)), reverse=True):
        os.truncate(file, left)
        assert not survives(file)
    os.truncate(file, 0)
    assert not survives(file)


def test_a_flipped_bit_in_a_zip_is_found_by_its_checksum(tmp_path: Path) -> None:
    write_zip(tmp_path / "a")
    flip(tmp_path / "a", (tmp_path / "a").stat().st_size // 2, 3)
    with pytest.raises(ValueError, match="does not match its checksum"):
        parse_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("old", [b"encoder.5.bias", b"state_dict", b"pool.centroids", b"Float"])
def test_renamed_keys_and_types_are_refused(tmp_path: Path, old: bytes) -> None:
    write_legacy(tmp_path / "a")
    data = (tmp_path / "a").read_bytes()
    assert old in data
    for new in (b"X" * len(old), b".".ljust(len(old), b"."), b"encoder.7.bias"[: len(old)]):
        (tmp_path / "a").write_bytes(data.replace(old, new))
        assert not survives(tmp_path / "a")


class Runs:
    """Pickled, this asks the reader to call a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:  # noqa: ANN401
        """Keep what to call."""
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        """What an attacker writes."""
        return self.call


COMMAND = "touch executed"
ATTACKS: dict[str, tuple[object, str]] = {
    "system": (Runs(os.system, COMMAND), r"system"),
    "eval": (Runs(eval, f"__import__('os').system({COMMAND!r})"), "eval"),
    "open": (Runs(open, "executed", "w"), "open"),
    "getattr": (Runs(getattr, "", "join"), "getattr"),
    "path": (Runs(Path.touch, Path("executed")), "getattr|pathlib|Path"),
    "load": (Runs(torch.load, "executed"), "torch.serialization.load"),
    "numpy": (Runs(np.fromfile, "executed"), "numpy.*fromfile"),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_calls_anything_is_refused_by_name_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    payload, named = ATTACKS[name]
    content = {"state_dict": POOL, "x": payload}
    torch.save(content, "evil.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=rf"evil\.pt: refused, nothing.*names \S*({named})"):
        parse_checkpoint(Path("evil.pt"))
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pt"]


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'touch executed'\ntR.",
        b"(S'touch executed'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch executed'\no.",  # OBJ
        b"\x8c\x02os\x8c\x06system\x93(\x8c\x0etouch executedtR.",  # STACK_GLOBAL
        b'c__builtin__\neval\n(S\'open("executed", "w")\'\ntR.',
        b"cnumpy\ndtype\n(S'O'\nI00\nI01\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(N(S'touch executed'\nttR.",
        b"cnumpy\nndarray\n)\x81(K\x01K\x02K\x03tb.",
        b"}(X\x07\x00\x00\x00recallscnumpy.core.multiarray\n_reconstruct\n)Ru.",  # no numbers
        # An array of objects made of bytes: numpy's own constructor follows them as pointers.
        b"cnumpy\nndarray\n((K\x01tS'O'\nS'AAAAAAAA'\ntR.",
        b"]\x94" + b"h\x00a" * 50 + b".",
        b"(" * 100_000 + b".",
        pickle.dumps({"state_dict": [1, 2]}, 2),
        b"",
    ],
)
def test_hand_written_pickles_are_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    code = code.removeprefix(b"\x80\x02")
    rest = b"\x80\x02M\xe9\x03." + b"\x80\x02}." + b"\x80\x02" + code
    for start in (LEGACY + rest, LEGACY + b"\x80\x02" + code, b"\x80\x02" + code, code):
        (tmp_path / "evil.pt").write_bytes(start)
        assert not survives(tmp_path / "evil.pt")


def pack(file: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_zips_that_torch_would_not_write_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "bomb.pt"
    pack(file, {"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(10**7)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"bomb\.pt.*is packed"):
        parse_checkpoint(file)
    pack(file, {"a/code/x.py": b"pass", "a/constants.pkl": b"", "a/data.pkl": b"\x80\x02}."})
    assert not survives(file)  # TorchScript
    pack(file, {"elsewhere": b""})
    assert not survives(file)


def test_a_zip_whose_members_overlap_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "overlap.pt"
    pack(file, {"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(10_000)})
    with zipfile.ZipFile(file, "a") as archive:
        archive.infolist().extend([archive.infolist()[1]] * 9)
        archive.comment = b"makes zipfile write its directory anew"
    with pytest.raises(ValueError, match=r"overlap\.pt.*declare \d+ bytes"):
        parse_checkpoint(file)


@pytest.mark.parametrize(
    "content", [b"", b"no checkpoint", b"PK\x03\x04 broken", b"\xff" * 8 + b"{}", b"\0" * 8 + b"{"]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pt").write_bytes(content)
    assert not survives(tmp_path / "bad.pt")
