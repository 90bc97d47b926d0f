"""What git knows: the files of a commit, an experiment of DVC's or the workspace, and changes."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vpr.runtime.parameters import suggest

WORKSPACE = "workspace"  # what DVC calls the files on the disk
EXPERIMENTS = "refs/exps"  # below it refs/exps/01/23456.../NAME, by the commit they start from


@dataclass(frozen=True)
class Revision:
    """A state of the repository.

    Args:
        name: Name that the user gave.
        files: Content of the files that git tracks, by path; None: those on the disk.
    """

    name: str
    files: Mapping[str, bytes] | None

    def has(self, path: str | Path) -> bool:
        """Return whether there is such a file."""
        return Path(path).is_file() if self.files is None else str(path) in self.files

    def read_text(self, path: str | Path) -> str:
        """Read a file as UTF-8.

        Raises:
            ValueError: If there is no such file.
        """
        if not self.has(path):
            raise ValueError(f"{self.name}: there is no {path}: run `dvc repro` for it")
        return (Path(path).read_bytes() if self.files is None else self.files[str(path)]).decode()


def find_revision(name: str) -> Revision:
    """Find a state of the repository in the current folder.

    Args:
        name: A revision of git, the name of an experiment, or `workspace`.

    Raises:
        ValueError: If there is none of that name, or there are several experiments.
    """
    if name == WORKSPACE:
        return Revision(name, None)
    commit = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
    archive = _git("archive", "--format=tar", commit or _find_experiment(name))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        content = {entry.name: tar.extractfile(entry) for entry in tar if entry.isfile()}
        return Revision(name, {path: file.read() for path, file in content.items() if file})


def list_runs() -> list[str]:
    """List HEAD, the other branches, and the experiments, by names for `find_revision`."""
    head = current_commit()
    lines = _git("for-each-ref", "--format=%(objectname) %(refname:short)", "refs/heads")
    branches = [line.split(" ", 1) for line in lines.decode().splitlines()]
    others = [name for commit, name in branches if commit != head]
    return [*(["HEAD"] if head else []), *others, *list_experiments()]


def list_experiments() -> list[str]:
    """List the experiments by names for `find_revision`: of one name, by their commits."""
    return [
        name if len(commits) == 1 else commit[:10]
        for name, commits in _experiments().items()
        for commit in commits
    ]


def current_commit() -> str | None:
    """Find the hash of the commit that is checked out; None outside a repository."""
    return _git("rev-parse", "--verify", "--quiet", "HEAD").decode().strip() or None


def differs_from_commit(path: Path) -> bool:
    """Return whether a file differs from the last commit; False if there is no commit."""
    return bool(_git("diff", "--name-only", "HEAD", "--", str(path)))


def is_tracked(path: Path) -> bool:
    """Return whether git tracks a file, or files below a folder."""
    return bool(_git("ls-files", "--", str(path)))


def _experiments() -> dict[str, list[str]]:
    """Find the commits of the experiments of each name."""
    lines = _git("for-each-ref", "--format=%(objectname) %(refname)", EXPERIMENTS).decode()
    named: dict[str, list[str]] = {}
    for commit, ref in (line.split(" ", 1) for line in lines.splitlines()):
        if len(ref.split("/")) == 5:  # others are DVC's own marks
            named.setdefault(ref.rpartition("/")[2], []).append(commit)
    return named


def _find_experiment(name: str) -> str:
    named = _experiments()
    commits = named.get(name, [])
    if len(commits) > 1:
        shown = ", ".join(commit[:7] for commit in commits)
        raise ValueError(f"{name}: {len(commits)} experiments have this name: choose from {shown}")
    if not commits:
        raise ValueError(
            f"{name}: neither a revision of git nor an experiment{suggest(name, named)}; see "
            "`git log` and `dvc exp list`"
        )
    return commits[0]


def _git(*words: str) -> bytes:
    """Run git and return its output; empty if it fails or is not installed."""
    try:
        return subprocess.run(["git", *words], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""
