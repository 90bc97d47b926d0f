"""Each recipe of docs/sharing.md, run as it stands there against a real server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.repositories import ROOT, run
from tests.support.servers import http_server, s3_server, ssh_server

PAGE = (ROOT / "docs/sharing.md").read_text()
FILES = {
    "models/model.bin": bytes(range(256)) * 40,
    "photos/first.jpg": b"first",
    "photos/second.jpg": b"second" * 1000,
}


def commands(title: str) -> list[str]:
    """The blocks of commands below a heading; of a recipe who sets up goes first, then everyone."""
    section = re.split(r"^#+ ", PAGE.split(f"# {title}\n")[1], flags=re.M)[0]
    return re.findall(r"```sh\n(.*?)```", section, flags=re.S)


@dataclass(frozen=True)
class Remote:
    """Where a server keeps its files, and what stands in a recipe for what is true here."""

    stored: Path
    words: dict[str, str] = field(default_factory=dict)

    def follow(self, repository: Path, blocks: list[str], *then: str, code: int = 0) -> str:
        """Run blocks of a recipe and other commands after them in one shell."""
        script = "\n".join([*blocks, *then])
        for word, here in self.words.items():
            script = script.replace(word, here)
        return run(repository, "bash", "-euc", script, code=code)


@contextmanager
def a_folder(aside: Path) -> Iterator[Remote]:
    yield Remote(aside / "vpr", {"/mnt/shared": str(aside)})


@contextmanager
def s3(aside: Path) -> Iterator[Remote]:
    (aside / "served/vpr").mkdir(parents=True)
    with s3_server(aside / "served", aside, key="my-key", secret="my-secret") as port:  # noqa: S106
        yield Remote(aside / "served/vpr/store", {"s3.example.org:9333": f"127.0.0.1:{port}"})


@contextmanager
def ssh(aside: Path) -> Iterator[Remote]:
    with ssh_server(aside) as (port, user, key):
        words = {"ssh.example.org:22": f"127.0.0.1:{port}", "~/.ssh/id_ed25519": str(key)}
        words |= {"/srv/vpr": f"{aside}/vpr", "user me": f"user {user}"}
        yield Remote(aside / "vpr", words)


@contextmanager
def http(aside: Path) -> Iterator[Remote]:
    block = PAGE.split("```nginx\n")[1].split("```")[0]
    assert "root /srv;" in block
    with http_server(aside, server=block.replace("root /srv;", f"root {aside};")) as port:
        yield Remote(aside / "vpr", {"www.example.org:80": f"127.0.0.1:{port}"})


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this one's committed settings and two things stored by DVC."""
    folder = tmp_path_factory.mktemp("shared") / "a"
    (folder / ".dvc").mkdir(parents=True)
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore"):
        shutil.copyfile(ROOT / name, folder / name)
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "config", "user.name", "Tester")
    run(folder, "git", "config", "user.email", "tester@example.org")
    run(folder, "dvc", "add", "-q", "models/model.bin", "photos")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "A model and photos")
    return folder


def flip_a_byte(stored: Path, content: bytes) -> None:
    """Change one byte of the stored object that has this content."""
    (file,) = [
        path for path in stored.rglob("*") if path.is_file() and path.read_bytes() == content
    ]
    file.chmod(0o644)
    file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])


@pytest.mark.parametrize(
    ("title", "served"), [("A folder", a_folder), ("S3", s3), ("SSH", ssh), ("HTTP", http)]
)
def test_a_clone_pulls_what_was_pushed_and_refuses_what_was_damaged(
    title: str, served: Callable, repository: Path, tmp_path: Path
) -> None:
    ours = Path(shutil.copytree(repository, tmp_path / "a"))
    theirs = tmp_path / "b"
    (tmp_path / "aside").mkdir()
    setting_up, *everyone = commands(title)
    with served(tmp_path / "aside") as remote:
        remote.follow(ours, [setting_up, *everyone], "dvc push", "git commit -qam Remote")
        run(tmp_path, "git", "clone", "-q", str(ours), str(theirs))
        assert "verify = true" in (theirs / ".dvc/config").read_text()
        remote.follow(theirs, everyone, "dvc pull")
        assert {name: (theirs / name).read_bytes() for name in FILES} == FILES
        flip_a_byte(remote.stored, FILES["models/model.bin"])
        for place in (".dvc/cache", "models/model.bin"):
            run(theirs, "rm", "-rf", place)
        named = [line for line in everyone if line.startswith("export ")]
        output = remote.follow(theirs, named, "dvc pull", code=1)
        assert "models/model.bin" in output
        assert not (theirs / "models/model.bin").exists()
        assert (theirs / "photos/first.jpg").read_bytes() == FILES["photos/first.jpg"]


def test_every_recipe_of_the_page_is_run_here() -> None:
    headings = PAGE.split("## The remote\n")[1].split("\n## ")[0]
    assert re.findall(r"^### (.*)$", headings, flags=re.M) == ["A folder", "S3", "SSH", "HTTP"]
