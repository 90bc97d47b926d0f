"""Drives that are sent photo by photo: sessions, bounded in number, memory and age."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vpr.commands.serve.admission import Refusal, find_crowd
from vpr.locating.drives import Before

MOST = 256  # sessions at once, half of them from one address; each has at most 1,000 places
IDLE_SECONDS = 600.0  # until a session ends by itself
NAME_BYTES = 16  # of a session's name, which nobody guesses


@dataclass(eq=False)
class Drive:
    """A session.

    Args:
        name: Name of the session.
        address: Address of the client.
        run: Time at which the run that answers was loaded, seconds since 1970.
        used: Time of the last answer, seconds of the monotonic clock.
        number: Number of photos so far.
        before: Belief after the last photo, and its descriptor.
        is_busy: Whether a photo is being ranked.
    """

    name: str
    address: str
    run: float
    used: float
    number: int = 0
    before: Before | None = None
    is_busy: bool = False


class Sessions:
    """The drives that are being followed.

    One event loop uses them, and nothing in here waits, so no lock is needed.
    """

    def __init__(self) -> None:
        """Begin without sessions."""
        self.drives: dict[str, Drive] = {}

    @contextmanager
    def open(self, name: str | None, address: str, run: float) -> Iterator[Drive]:
        """Find a drive, or begin one, for its next photo; a first photo that fails begins none.

        Args:
            name: Name of the drive; None: it begins.
            address: Address of the client.
            run: Time at which the run that answers was loaded, seconds since 1970.

        Raises:
            Refusal: If there is no such drive, it is busy, its run was replaced, or all are busy.
        """
        now = time.monotonic()
        for drive in list(self.drives.values()):
            if not drive.is_busy and now - drive.used > IDLE_SECONDS:
                del self.drives[drive.name]
        drive = self._begin(address, run, now) if name is None else self._find(name, run)
        drive.is_busy = True
        try:
            yield drive
        finally:
            drive.is_busy, drive.used = False, time.monotonic()
            if not drive.number:
                self.drives.pop(drive.name, None)

    def end(self, name: str) -> None:
        """Forget a drive, if there is one of that name."""
        self.drives.pop(name, None)

    def _find(self, name: str, run: float) -> Drive:
        drive = self.drives.get(name)
        if drive is None:
            raise Refusal(
                404, f"session: there is none of this name, or it ended after {IDLE_SECONDS:g} "
                "seconds without a photo: leave it out to begin a new one.",
            )  # fmt: skip
        if drive.is_busy:
            raise Refusal(
                409, "session: its previous photo is still in progress: send one at a time."
            )
        if drive.run != run:
            del self.drives[name]
            raise Refusal(410, "session: another run answers now: leave it out to begin a new one.")
        return drive

    def _begin(self, address: str, run: float, now: float) -> Drive:
        """Begin a drive in place of the one longest idle, of the same address if that has half."""
        if crowd := find_crowd(self.drives.values(), address, MOST):
            idle = [drive for drive in crowd if not drive.is_busy]
            if not idle:
                raise Refusal(503, f"{len(crowd)} drives are being followed: ask again later.")
            del self.drives[min(idle, key=lambda drive: drive.used).name]
        drive = Drive(secrets.token_urlsafe(NAME_BYTES), address, run, now)
        self.drives[drive.name] = drive
        return drive
