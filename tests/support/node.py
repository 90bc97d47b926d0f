"""JavaScript modules run by Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.repositories import require_program

READ = """
import {readFile} from "node:fs/promises";
const read = async (name) => new Uint8Array(await readFile(new URL(name, HOME)));
"""


def run_node(script: str, home: Path, **values: object) -> Any:  # noqa: ANN401 - JSON
    """Run a script, which prints JSON; `read` reads files of a folder.

    Args:
        script: Statements of a module; `HOME` is the folder's address, imports are from there.
        home: The folder.
        values: Constants of the script, by name.

    Returns:
        What it printed, or the message of the error that it ended with, as a string.
    """
    program = shutil.which("node")
    require_program(program, "node")
    head = f"const HOME = {json.dumps(home.resolve().as_uri() + '/')};" + READ
    head += "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
    body = f"try {{ {script} }} catch (error) {{ console.log(JSON.stringify(error.message)); }}"
    done = subprocess.run(
        [str(program), "--input-type=module", "-"],
        input=head + body, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
