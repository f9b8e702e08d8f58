"""Locks on files that may only be read."""

from __future__ import annotations

import sys
from pathlib import Path

import filelock
import pytest

from diffusion_studio.engine.machine import locks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there nobody can be asked")


def test_that_a_lock_is_asked_for_without_writing(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    assert locks.is_held(file) is None, "nothing is known of a lock that is not there"
    assert not file.exists()
    with filelock.FileLock(file, timeout=0):
        file.chmod(0o444)
        assert locks.is_held(file) is True
    file.touch()  # a process that was killed leaves it
    assert locks.is_held(file) is False
    with filelock.FileLock(file, timeout=0):  # nothing was kept
        pass


def test_that_a_file_system_without_locks_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    (tmp_path / ".lock").touch()
    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    assert locks.is_held(tmp_path / ".lock") is None
