"""The pauses of Python's collector."""

from __future__ import annotations

import gc
import itertools
import math
import subprocess
import sys
import types
import weakref

import pytest

from diffusion_studio.engine.machine import garbage


class Ring:
    """Refers to itself: only the collector can free it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def thawed():
    """Python's own ways before the test and after it."""
    garbage.look_at_all()
    yield
    garbage.look_at_all()


def test_that_what_is_there_is_passed_over_and_what_comes_is_collected(thawed):
    old, gone = Ring(), Ring()
    garbage.pass_over_what_stays()
    assert gc.get_freeze_count() > 1000
    young = Ring()
    left = [weakref.ref(ring) for ring in (old, young)]
    del old, young, gone
    gc.collect()
    assert left[0]() is not None
    assert left[1]() is None


@pytest.fixture
def imported(monkeypatch):
    """Lets a module be imported: `imported()`."""
    numbers = itertools.count()

    def imported() -> None:
        name = f"brought_{next(numbers)}"
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    return imported


def test_that_a_long_look_at_what_was_imported_is_the_last_of_its_kind(thawed, monkeypatch, imported):
    garbage.pass_over_what_stays()
    kept = [Ring() for _ in range(1000)]
    imported()
    before = gc.get_freeze_count()
    monkeypatch.setattr(garbage, "LONG", math.inf)
    gc.collect()
    assert gc.get_freeze_count() <= before  # a short look changes nothing
    monkeypatch.setattr(garbage, "LONG", 0.0)
    gc.collect()
    assert gc.get_freeze_count() >= before + len(kept)


def test_that_what_a_long_look_finds_alive_is_collected_when_it_ends(thawed, monkeypatch):
    """A window may have so many objects of its own that every look at them is long."""
    garbage.pass_over_what_stays()
    monkeypatch.setattr(garbage, "LONG", 0.0)
    ring = Ring()
    left = weakref.ref(ring)
    gc.collect()
    gc.collect()
    del ring
    gc.collect()
    assert left() is None


def test_that_a_closed_window_hides_nothing(thawed):
    garbage.pass_over_what_stays()
    garbage.pass_over_what_stays()  # a second window
    ring = Ring()
    gc.freeze()
    left = weakref.ref(ring)
    del ring
    callbacks = len(gc.callbacks)
    garbage.look_at_all()
    assert len(gc.callbacks) == callbacks - 1
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert left() is None


def test_that_imports_are_not_looked_through(thawed, imported):
    with garbage.nothing_looked_for():
        imported()
    assert gc.get_freeze_count() == 0  # without a window
    garbage.pass_over_what_stays()
    before = gc.get_freeze_count()
    young = [Ring() for _ in range(1000)]
    with garbage.nothing_looked_for():
        pass
    assert gc.get_freeze_count() < before + len(young)  # everything was imported already
    with garbage.nothing_looked_for():
        assert not gc.isenabled()
        imported()
        brought = [Ring() for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(brought)
    with pytest.raises(ImportError), garbage.nothing_looked_for():
        raise ImportError
    assert gc.isenabled()


def test_that_turns_are_short_only_while_something_is_imported(thawed, monkeypatch):
    turns = []
    usual = sys.getswitchinterval()
    monkeypatch.setattr(garbage, "_BROUGHT", "not_imported_yet")
    monkeypatch.setattr(
        garbage.importlib, "import_module", lambda name: turns.append(sys.getswitchinterval())
    )
    garbage.import_optimizers()
    assert turns == [pytest.approx(garbage.SHORT_TURN, rel=0.1)]
    assert sys.getswitchinterval() == usual
    monkeypatch.setattr(garbage, "_BROUGHT", "sys")
    garbage.import_optimizers()
    assert len(turns) == 1


def test_that_an_optimizer_imports_nothing_more():
    """In a process of its own: the first step of a training brings hardly a module more."""
    script = (
        "import sys, torch\n"
        "from diffusion_studio.engine.machine.garbage import import_optimizers\n"
        "import_optimizers()\nbefore = set(sys.modules)\nlayer = torch.nn.Linear(2, 2)\n"
        "optimizer = torch.optim.AdamW(layer.parameters(), fused=True)\noptimizer.zero_grad()\n"
        "layer(torch.zeros(1, 2)).sum().backward()\noptimizer.step()\n"
        "print(len(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20
