"""External code, such as `folder:entry(size=640)`: named, allowed, and run by torch.hub.

It runs with all rights of the user, so only with VPR_ALLOW_HUB=1.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

ALLOW = "VPR_ALLOW_HUB"
FORM = re.compile(
    r"(?:(?P<repo>[\w.-]+/[\w.-]+)@(?P<commit>[0-9a-f]{40})|(?P<folder>.+?))"
    r":(?P<entry>[A-Za-z_]\w*)(?:\((?P<args>.*)\))?"
)


class Entry(NamedTuple):
    """Where external code is, and how it is called.

    Args:
        place: `owner/name` on GitHub, or a folder.
        commit: Of the repository; None for a folder.
        name: Function in its hubconf.py.
        args, kwargs: That it is called with.
    """

    place: str
    commit: str | None
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def file(self) -> str:
        """The file that is run, as messages name it."""
        return f"{self.place}{f'@{self.commit}' if self.commit else ''}/hubconf.py"


def parse_entry(text: str, *, setting: str, example: str, home: Path = Path()) -> Entry:
    """Read `owner/name@commit:entry(args)` or `folder:entry(args)`.

    Arguments are numbers, texts with or without quotation marks, True, False and None.

    Args:
        text: The name.
        setting: Parameter and value that it is part of, for messages.
        example: What is expected, for messages.
        home: Folder that a relative folder is looked up in.

    Raises:
        ValueError: If it has another form, or names a repository without a commit.
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{setting}: expected {example}")
    place = found["repo"] or str(home / found["folder"])
    if not found["repo"] and not Path(place, "hubconf.py").is_file():
        raise ValueError(
            f"{setting}: there is no file {Path(place, 'hubconf.py')}; a repository "
            "of GitHub is named with the 40 hexadecimal digits of a commit, so that its code "
            f"stays the same: expected {example}"
        )
    arguments = _parse_arguments(found["args"] or "", setting)
    return Entry(place, found["commit"], found["entry"], *arguments)


def _parse_arguments(text: str, setting: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        call = ast.parse(f"entry({text})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("more than one call")
        kwargs = {str(word.arg): _value(word.value) for word in call.keywords if word.arg}
        if len(kwargs) < len(call.keywords):
            raise ValueError("two of one name, or **")
        return tuple(_value(node) for node in call.args), kwargs
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f"{setting}: expected arguments such as (backbone=ResNet18, dim=256), "
            f"found ({text}): {error}"
        ) from None


def _value(node: ast.expr) -> object:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def run_entry(entry: Entry, *, setting: str) -> object:
    """Call an entry, and say so; what it makes is on the CPU, and the random state is kept.

    Raises:
        ValueError: If external code is not allowed, or what it raises.
        OSError: If the code or its weights are not on this machine and cannot be downloaded.
    """
    if os.environ.get(ALLOW) != "1":
        raise ValueError(
            f"{setting}: this would run foreign code, {entry.file}, with all of your "
            f"rights: read it, and set the environment variable {ALLOW}=1 if you trust it"
        )
    print(f"running foreign code: {entry.file}, {entry.name}", file=sys.stderr)
    with external_code(f"{setting}: {entry.file}"):
        return _run_anew(entry, setting)


def _run_anew(entry: Entry, setting: str) -> object:
    if entry.commit is None:
        place = entry.place
        options: dict[str, object] = {"source": "local"}
    else:
        # torch.hub looks a commit up among the branches' last ones only, so that its check against
        # forks is skipped: whoever names a commit has looked it up in the repository.
        place = f"{entry.place}:{entry.commit}"
        options = {"trust_repo": True, "skip_validation": True}
    load: Callable[..., object] = partial(torch.hub.load, place, entry.name, **options)
    try:
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):
            return load(*entry.args, **entry.kwargs)
    except EOFError:
        raise ValueError(
            f"{setting}: {entry.file} loads another repository by torch.hub, which asks "
            f"whether you trust it: run it once by hand, or add the repository as owner_name to "
            f"{Path(torch.hub.get_dir()) / 'trusted_list'}"
        ) from None
    except OSError as error:
        raise OSError(
            f"{setting}: its code or weights could not be downloaded ({error}). On "
            f"a machine with access load it once, and copy the folder {torch.hub.get_dir()} from "
            "there to here; or put a copy of the repository into a folder and name that in place "
            "of the repository and commit"
        ) from error


@contextmanager
def external_code(subject: str) -> Iterator[None]:
    """Report in one sentence what a library raises: assertions, missing keys and whatever else.

    Args:
        subject: What the message begins with, such as `trunk.model = resnet18`.

    Raises:
        ValueError: If anything is raised but what a disk, a network or memory are the cause of.
    """
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        words = (str(error).strip() or type(error).__name__).split("\n")[0]
        is_told = isinstance(error, ValueError) and words.startswith(subject)
        kind = "" if isinstance(error, ValueError) else f" ({type(error).__name__})"
        raise ValueError(str(error) if is_told else f"{subject}: {words}{kind}") from error
