"""A real headless Chromium that opens pages from disk and tells what they asked for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.repositories import require_program

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")

PHONES = 600  # pixels; narrower windows are touched, as phones are
POLL_S = 0.02


class Browser:
    """A window of Chromium."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        """Keep the driver."""
        self.driver = driver

    def open(self, page: Path, fragment: str = "") -> None:
        """Open a page by file://, from nothing, and wait until it is loaded."""
        self.driver.get("about:blank")
        self.driver.get(page.resolve().as_uri() + fragment)

    def visit(self, address: str) -> None:
        """Open a page of a server, from nothing, and wait until it is loaded."""
        self.driver.get("about:blank")
        self.driver.get(address)

    def choose_file(self, selector: str, *files: Path) -> None:
        """Give files to a field, as its dialogue would."""
        names = "\n".join(str(file.resolve()) for file in files)
        self.driver.find_element("css selector", selector).send_keys(names)

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever the script returns
        """The value of a JavaScript expression."""
        return self.driver.execute_script(f"return {script}")

    def wait(self, script: str) -> None:
        """Wait until a JavaScript expression is true."""
        WebDriverWait(self.driver, 20, POLL_S).until(
            lambda _: self.run(script), f"never true: {script}"
        )

    def press(self, keys: str) -> None:
        """Press keys where the focus is."""
        self.driver.switch_to.active_element.send_keys(keys)

    def tap(self, key: str) -> None:
        """Press a key as a keyboard does, wherever the focus is, on a field for files too."""
        ActionChains(self.driver).send_keys(key).perform()

    def click(self, selector: str) -> None:
        """Click an element as a mouse does: it must be visible and not covered."""
        self.driver.find_element("css selector", selector).click()

    def type(self, selector: str, text: str) -> None:
        """Replace the text of a field, key by key."""
        field = self.driver.find_element("css selector", selector)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text)

    def texts(self, selector: str) -> list[str]:
        """The visible texts of elements."""
        return [found.text for found in self.driver.find_elements("css selector", selector)]

    def resize(self, width: int, height: int) -> None:
        """Make the page so large, as a phone's is."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        touch = {"enabled": width < PHONES}
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", touch)

    def load_images(self) -> list[str]:
        """Load every image of the page, lazy ones too; those that do not show are returned."""
        self.run("document.images.length && [...document.images].forEach(i => i.loading = 'eager')")
        self.wait("[...document.images].every(image => image.complete)")
        return self.run("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)")

    def complaints(self, *, warnings: bool = True, home: str = "file://") -> list[str]:
        """What the console said, and every request that left home, since the last call.

        Args:
            warnings: Whether to give warnings too.
            home: What addresses begin with that may be asked for; at first those of the disk.
        """
        said = [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if warnings or entry["level"] != "WARNING"
        ]
        events = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        asked = [
            event["message"]["params"]["request"]["url"]
            for event in events
            if event["message"]["method"] == "Network.requestWillBeSent"
        ]
        assert any(url.startswith(home) for url in asked), "requests were not recorded"
        return said + [
            url for url in asked if not url.startswith((home, "data:", "about:", f"blob:{home}"))
        ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium and its driver, and stop both."""
    paths = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    for name, path in paths.items():
        require_program(path, name)
    options = webdriver.ChromeOptions()
    options.binary_location = str(paths["chromium"])
    for argument in (*ARGUMENTS, "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Its own C locale knows no file whose name has other letters than English ones.
    service = Service(str(paths["chromedriver"]), env={**os.environ, "LC_ALL": "C.UTF-8"})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
