"""An exported page, served as by any static host, and asked in a real browser."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.browsing import Browser
from tests.support.servers import free_port, listening

ASK = """
const done = arguments[arguments.length - 1];
const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
locatePhotos([{blob: new Blob([bytes]), name: "photo"}], 3).then(done, done);
"""


@contextmanager
def served(folder: Path, log: Path) -> Iterator[str]:
    """Serve a folder on loopback; the page's address is given."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", str(folder), str(port)]
    with listening(*command, port=port, log=log):
        yield f"http://127.0.0.1:{port}/"


def locate_in_page(browser: Browser, photo: Path) -> dict[str, Any]:
    """Ask the open page where a photo was taken; the answer has three matches."""
    sent = base64.b64encode(photo.read_bytes()).decode()
    answer: dict[str, Any] = browser.driver.execute_async_script(ASK, sent)["located"][0]
    return answer
