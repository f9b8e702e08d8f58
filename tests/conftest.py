"""For every test: no window opens, no file lands in the person's folders, and Qt may be missing."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import signal
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support.qt import QT_TIERS, has_qt
from support.turns import in_turn

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["DIFFUSION_STUDIO_LANGUAGE"] = "en"  # whatever the system speaks
_HOME = tempfile.TemporaryDirectory(prefix="diffusion-studio-")  # of what is made once for several tests
os.environ["DIFFUSION_STUDIO_HOME"] = _HOME.name
# Networks this small gain nothing from helper threads, and beside other programs those spin while they wait.
os.environ["OMP_NUM_THREADS"] = "1"
# A heap for each thread, each with holes of its own, would make the processes of the suite twice as large.
os.environ.setdefault("MALLOC_ARENA_MAX", "1")
# What a test writes need not outlive a power cut, and ten thousand such waits take milliseconds each.
os.fsync = os.fstat  # type: ignore[assignment]
# Processes that tests begin hear signals, also where the tests were begun by `nohup` or with `&`: what is
# ignored stays ignored in them, what is heard here has its default.
for _name in ("SIGINT", "SIGHUP"):
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _name), lambda *_: None)

settings.register_profile("local", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Without Qt, pytest-qt would stop the session when it is configured; so it goes before that."""
    plugin = pluginmanager.get_plugin("pytest-qt")
    if plugin is None:
        parser.addini("qt_log_level_fail", "unused: pytest-qt is not installed")
        parser.addini("qt_log_ignore", "unused: pytest-qt is not installed", type="linelist")
    elif not has_qt():
        pluginmanager.unregister(plugin)


def pytest_report_header() -> str | None:
    return None if has_qt() else f"PySide6 is not installed: left out are {', '.join(QT_TIERS)}"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    tiers = (Path(__file__).parent / tier for tier in QT_TIERS)
    return True if not has_qt() and any(map(collection_path.is_relative_to, tiers)) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported stays: the collector neither looks for it meanwhile nor passes through it later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = in_turn(items, Path(__file__).parent)


@pytest.fixture(autouse=True)
def isolated_home(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The product's own folders, empty and the test's alone; nothing may be fetched from a hub."""
    home, temporary = tmp_path / "home", str(tmp_path_factory.mktemp("temporary"))
    monkeypatch.setenv("TMPDIR", temporary)
    monkeypatch.setattr(tempfile, "tempdir", temporary)
    monkeypatch.setenv("DIFFUSION_STUDIO_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return home


@pytest.fixture(autouse=True)
def own_dice(request: pytest.FixtureRequest) -> None:
    """A test that draws without a seed draws the same in every run, whatever ran before it in its process."""
    seed = zlib.crc32(request.node.nodeid.encode())
    random.seed(seed)
    for name, sow in (("numpy", _sow_numpy), ("torch", _sow_torch)):
        if name in sys.modules:  # where the test itself imports it first, it begins as in any new process
            sow(sys.modules[name], seed)


def _sow_numpy(numpy: Any, seed: int) -> None:
    numpy.random.seed(seed)


def _sow_torch(torch: Any, seed: int) -> None:
    """Of the processor alone: for devices that are not here `manual_seed` notes the stack of its callers."""
    torch.default_generator.manual_seed(seed)


@pytest.fixture(autouse=True, scope="module")
def freed_memory_returned() -> Iterator[None]:
    """The product keeps memory for the next call of a network; the next module needs other memory."""
    yield
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)


@pytest.fixture
def qtbot(qapp: Any, request: pytest.FixtureRequest) -> Any:
    """pytest-qt's, for a machine that may be busy."""
    from support.bot import PatientBot  # not above: without Qt this file is still read

    return PatientBot(request)
