"""A test of this tier fails if it leaves a thread, a timer, a window or a temporary folder behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_leaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from support import leaks  # not above: without Qt this file is still read, to leave the tier out

    yield from leaks.watch(monkeypatch)
