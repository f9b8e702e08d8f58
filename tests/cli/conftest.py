"""For every test of the command line: pictures, what a command says, and a run made by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from diffusion_studio.cli.program import main
from support.commands import SETS
from support.fixtures import pictures

__all__ = ["pictures"]

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a command; gives (exit code, what it printed, what it complained)."""

    def said(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return said


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of the digits, trained by the command line; not to be changed."""
    path = tmp_path_factory.mktemp("cli") / "run"
    with pytest.MonkeyPatch.context() as home:
        home.setenv("DIFFUSION_STUDIO_HOME", str(path.parent / "home"))
        assert main(["train", "digits", "--run", str(path), "--steps", "3", "--seed", "7", *SETS]) == 0
    return path
