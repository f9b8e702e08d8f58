"""On Windows torch's libraries come before Qt's."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import diffusion_studio.__main__ as program
from diffusion_studio.engine.machine import torch_libraries


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is loaded from a torch of Windows, whose library is `c10.dll`."""
    names: list[str] = []
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "c10.dll").touch()
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(torch_libraries, "find_spec", lambda name: spec if name == "torch" else None)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: names.append(Path(path).name))
    return names


def test_that_torchs_library_is_loaded_on_windows_alone(loaded: list[str]) -> None:
    assert not torch_libraries.load_first("linux") and loaded == []
    assert torch_libraries.load_first("win32") and loaded == ["c10.dll"]


def test_that_a_missing_or_broken_torch_is_left_to_torch(
    loaded: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise OSError(f"{path} cannot be loaded")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert not torch_libraries.load_first("win32")
    (tmp_path / "lib" / "c10.dll").unlink()
    assert not torch_libraries.load_first("win32")
    monkeypatch.setattr(torch_libraries, "find_spec", lambda name: None)
    assert not torch_libraries.load_first("win32")


@pytest.mark.parametrize("arguments", [[], ["screenshots"]])
def test_that_it_is_loaded_before_anything_that_imports_qt(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for name, function in (("diffusion_studio.app", "run"), ("diffusion_studio.cli.program", "main")):
        module = ModuleType(name)
        setattr(module, function, lambda *_: order.append("Qt") or 0)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(torch_libraries, "load_first", lambda: order.append("torch"))
    monkeypatch.setattr(sys, "argv", ["diffusion-studio", *arguments])
    assert program.main() == 0
    assert order == ["torch", "Qt"]
