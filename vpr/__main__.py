"""Entry of the commands that a person types: `python -m vpr COMMAND`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# Module of each command in vpr/commands/, which holds a function of the command's name.
COMMANDS = {
    "berlin": "berlin.command",
    "checkpoint": "checkpoint",
    "compare": "compare.command",
    "doctor": "doctor.command",
    "export": "export",
    "gate": "gate.command",
    "locate": "locate.command",
    "score": "score.command",
    "serve": "serve.command",
    "summary": "summary",
    "sweep": "sweep.command",
    "verify": "verify.command",
}


class Commands(TyperGroup):
    """Imports a command's module when it is asked for: `summary` need not wait for torch."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's own click
        """List the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        """Find the command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        module = import_module(f"vpr.commands.{COMMANDS[cmd_name]}")
        single.command(cmd_name)(getattr(module, cmd_name))
        return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def main() -> None:
    """Visual place recognition: what a person asks beside `dvc repro`."""


def run() -> None:
    """Run the command that the command line names; a mistake of its user is one line."""
    try:
        app()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run()
