"""Entry of the commands that a person types: `python -m vpr COMMAND`."""

from __future__ import annotations

import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any


def _describe_missing(error: ModuleNotFoundError) -> str:
    return (
        f"error: the package {error.name!r} is not installed for {sys.executable}: activate the "
        "environment (`. .venv/bin/activate`), or set it up with `make setup` (for the service: "
        "`make serve`)"
    )


try:
    import typer
    from typer.core import TyperGroup
except ModuleNotFoundError as error:
    sys.exit(_describe_missing(error))

# Module of each command in vpr/commands/, which holds a function of the command's name, with _
# for -; _ follows a name that is a keyword of Python.
COMMANDS = {
    "add": "amend",
    "berlin": "berlin.command",
    "checkpoint": "checkpoint",
    "compare": "compare.command",
    "doctor": "doctor.command",
    "export": "export",
    "export-map": "pocket",
    "export-model": "pocket",
    "export-page": "pocket",
    "gate": "gate",
    "import": "import_photos",
    "leaderboard": "leaderboard.command",
    "locate": "locate.command",
    "loops": "loops",
    "remove": "amend",
    "report": "report.command",
    "reproduce": "reproduce",
    "score": "score.command",
    "serve": "serve.command",
    "summary": "summary",
    "track": "track.command",
    "verify": "verify",
}
ANYWHERE = ("checkpoint", "score")  # commands that read no run of the repository


class Commands(TyperGroup):
    """Imports a command's module when it is asked for: `summary` need not wait for torch."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's own
        """List the names of the commands, also for typer to suggest one for a misspelt name."""
        super().__init__(**settings)
        names: Any = dict.fromkeys(COMMANDS)
        self.commands = names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        """Find the command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"vpr.commands.{COMMANDS[cmd_name]}")
        name = cmd_name.replace("-", "_")
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(getattr(module, name + "_" * iskeyword(name)))
        return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def main(context: typer.Context) -> None:
    """Visual place recognition: commands for what `dvc repro` has no command for."""
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if _is_root(folder)), here)
    is_free = context.invoked_subcommand in ANYWHERE or "--help" in sys.argv
    if root != here and not is_free:
        raise ValueError(f"{here} is below the repository's root: run the command in {root}")


def _is_root(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("dvc.yaml", "params.yaml"))


def run() -> None:
    """Run the command that the command line names; a mistake of its user is one line."""
    try:
        app()
    except ModuleNotFoundError as error:
        sys.exit(_describe_missing(error))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run()
