"""`python -m vpr checkpoint FILE`: what a checkpoint holds, and the same in another form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vpr.retrieval.whitening import load_whitening, whitening_state
from vpr.weights.checkpoint_files import Form, save_checkpoint
from vpr.weights.checkpoints import add_whitening, describe_checkpoint, parse_checkpoint


def checkpoint(
    file: Annotated[Path, typer.Argument(help="A checkpoint of any public form.")],
    out: Annotated[Path | None, typer.Argument(help="With --to: the file to write.")] = None,
    to: Annotated[Form | None, typer.Option(help="The form to write.")] = None,
    whitening: Annotated[
        Path | None, typer.Option(help="models/whitening.npz of stage whiten, to include.")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder, if FILE does not name one.")] = None,
    model: Annotated[str | None, typer.Option(help="Which of the encoder's models.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Which set of weights, if FILE holds several.")
    ] = None,
) -> None:
    """Say what a checkpoint holds, and with --to FORM OUT write it in another form."""
    found = parse_checkpoint(file, encoder=encoder, variant=model, key=key)
    if whitening is not None:
        found = add_whitening(found, whitening_state(load_whitening(whitening)), source=whitening)
    print(f"{file}: {describe_checkpoint(found)}")
    if (to is None) != (out is None):
        raise ValueError("--to FORM and OUT belong together: checkpoint FILE --to FORM OUT")
    if to is None or out is None:
        return
    if out.exists():
        raise ValueError(f"{out}: exists already: name another file, or remove it")
    save_checkpoint(out, found.state, found.notes, form=to)
    print(f"{out}: written as {to}")
    if to == "bare" and found.notes:
        print(f"a bare state_dict cannot hold {', '.join(found.notes)}")
