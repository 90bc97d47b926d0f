"""Drives sent photo by photo: the bounds of their sessions."""

from __future__ import annotations

import time
from contextlib import ExitStack

import numpy as np
import pytest

from vpr.commands.serve import sessions as module
from vpr.commands.serve.admission import Refusal
from vpr.commands.serve.sessions import MOST, Sessions
from vpr.retrieval.filtering import Belief

BEFORE = (Belief(np.arange(1), np.ones(1), 0.0, np.ones(1), 0.0, None), np.ones(1, np.float32))


def test_sessions_are_bounded_in_number_for_one_client_and_for_all() -> None:
    sessions = Sessions()
    names = []
    for number in range(2 * MOST):
        with sessions.open(None, "one", 1.0) as drive:
            drive.number, drive.before = 1, BEFORE
        names.append(drive.name)
        assert len(sessions.drives) == min(number + 1, MOST // 2)
    with (
        pytest.raises(Refusal, match="there is none of this name"),
        sessions.open(names[0], "one", 1.0),
    ):
        pass
    for number in range(2 * MOST):
        with sessions.open(None, f"address {number}", 1.0) as drive:
            drive.number, drive.before = 1, BEFORE
    assert len(sessions.drives) == MOST


def test_drives_that_are_looked_at_are_not_ended_for_others() -> None:
    sessions = Sessions()
    with ExitStack() as busy:
        for _ in range(MOST // 2):
            busy.enter_context(sessions.open(None, "one", 1.0))
        with pytest.raises(Refusal) as refused, sessions.open(None, "one", 1.0):
            pass
        assert refused.value.status == 503
        assert refused.value.response().headers["retry-after"] == "1"
        drive = busy.enter_context(sessions.open(None, "other", 1.0))
        with pytest.raises(Refusal) as refused, sessions.open(drive.name, "other", 1.0):
            pass
        assert refused.value.status == 409
    assert not sessions.drives  # none of their first photos was answered


def test_sessions_end_by_age_and_with_their_run(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    with sessions.open(None, "one", 1.0) as drive:
        drive.number = 1
    with pytest.raises(Refusal) as refused, sessions.open(drive.name, "one", 2.0):
        pass
    assert refused.value.status == 410
    assert not sessions.drives
    with sessions.open(None, "one", 1.0) as drive:
        drive.number = 1
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    time.sleep(0.01)
    with (
        pytest.raises(Refusal, match="there is none"),
        sessions.open(drive.name, "one", 1.0),
    ):
        pass
