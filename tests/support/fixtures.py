"""For every test that trains or samples: a small folder of pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tiny import write_pictures


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures in three classes; not to be changed."""
    return write_pictures(tmp_path_factory.mktemp("data") / "zoo")
