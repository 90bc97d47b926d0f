"""Entry of the commands that a person types: `python -m vpr COMMAND`."""

from __future__ import annotations

import sys

import typer

from vpr.commands.checkpoint import checkpoint
from vpr.commands.doctor import doctor
from vpr.commands.export import export
from vpr.commands.lockfile import lockfile

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(checkpoint)
app.command()(doctor)
app.command()(export)
app.command()(lockfile)


@app.callback()
def main() -> None:
    """Visual place recognition: what a person asks beside `dvc repro`."""


if __name__ == "__main__":
    try:
        app()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
