"""The drawer of forms: which file of vpr/importing/forms reads a source."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol, cast

from vpr.importing import forms
from vpr.importing.collection import Asked, Collection


class Form(Protocol):
    """A file of the drawer.

    Args:
        WORDS: What it reads, for messages: `a folder of photos with positions in their EXIF data`.
        GIVES_WAY: Whether it counts only for a source that no other form recognises.
    """

    WORDS: str
    GIVES_WAY: bool

    def recognises(self, source: Path) -> bool:
        """Return whether a source, which exists, has this form, from names and first bytes."""
        ...

    def read(self, source: Path, asked: Asked) -> Collection:
        """Read a source, without decoding images.

        Raises:
            ValueError: If it cannot be read as a whole; parts are left out with a reason.
        """
        ...


def list_forms() -> dict[str, Form]:
    """Load every file of the drawer, by its name with dashes."""
    names = sorted(module.name for module in iter_modules(forms.__path__))
    return {
        name.replace("_", "-"): cast(Form, import_module(f"vpr.importing.forms.{name}"))
        for name in names
    }


def find_form(source: Path, name: str | None) -> Form:
    """Find the form of a source.

    Args:
        source: A file or folder.
        name: Name of the form; None: the only one that recognises the source.

    Raises:
        ValueError: If there is no such source or form, or not exactly one recognises the source.
    """
    if not source.exists():
        raise ValueError(f"{source}: there is no such file or folder")
    known = list_forms()
    if name is not None:
        if name not in known:
            raise ValueError(f"--form {name}: expected one of {', '.join(known)}")
        return known[name]
    found = {name: form for name, form in known.items() if form.recognises(source)}
    special = {name: form for name, form in found.items() if not form.GIVES_WAY} or found
    if not special:
        words = "; ".join(f"{form.WORDS} ({name})" for name, form in known.items())
        raise ValueError(f"{source}: this is in no form that import reads: {words}")
    if len(special) > 1:
        raise ValueError(
            f"{source}: it could be {' or '.join(form.WORDS for form in special.values())}: choose "
            f"by --form {' or --form '.join(special)}"
        )
    return next(iter(special.values()))
