"""Where a mirrored run lies is known while it is mirrored, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffusion_studio.engine.machine.remote import Remote
from diffusion_studio.viewmodels import mirrors


def test_that_where_a_mirror_is_from_is_known_at_every_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window asks for it on another thread than the one that mirrors."""
    remote, written = Remote("server", 0, "/runs/photos"), []
    monkeypatch.setattr(Remote, "mirror", lambda *_: None)
    write = mirrors.write_atomically
    monkeypatch.setattr(mirrors, "write_atomically", lambda *of: (written.append(of), write(*of)))
    monkeypatch.setattr(Path, "write_text", lambda *_: pytest.fail("who reads meanwhile would find nothing"))
    place = mirrors.mirror(remote, lambda: False)
    assert mirrors.mirror(remote, lambda: False) == place
    assert mirrors.mirrored_at(place) == remote
    assert len(written) == 1, "it stays as it is"
