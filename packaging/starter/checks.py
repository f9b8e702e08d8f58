"""What `test` runs: the same for a person and for continuous integration."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from starter.environment import python
from starter.project import ROOT, say

PYTEST = ("pytest",)
NO_TESTS = 5  # pytest's code where it found none

_FILES = (
    "--dist",
    "loadfile",
    "--no-loadscope-reorder",
)  # stay together; tests/support/turns orders
_EVERYWHERE = (*PYTEST, "-n", "auto", "--maxprocesses", "4", *_FILES)
_WINDOW = ("tests/viewmodels", "tests/gui", "tests/end_to_end")
WINDOW_TESTS = (*_EVERYWHERE, *_WINDOW)  # none where Qt is missing
OTHER_TESTS = (*_EVERYWHERE, *(f"--ignore={folder}" for folder in _WINDOW))
"""On every core, and in two turns: processes that end give back what their tests have gathered."""
TYPES = ("mypy",)
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), TYPES, OTHER_TESTS, WINDOW_TESTS)


@dataclass(frozen=True)
class Outcome:
    name: str
    passed: bool
    took: str

    def __str__(self) -> str:
        return f"  {'ok    ' if self.passed else 'FAILED'}  {self.name} ({self.took})"


def run_all(pytest_arguments: list[str]) -> int:
    """Runs every check, or pytest alone when it is given arguments; 1 if any of them fails."""
    return _run_each(((*PYTEST, *pytest_arguments),) if pytest_arguments else CHECKS)


def run_quick() -> int:
    """Runs every check but the tests; 1 if any of them fails."""
    return _run_each(tuple(check for check in CHECKS if check[0] != "pytest"))


def _run_each(checks: tuple[tuple[str, ...], ...]) -> int:
    """One after another, but for the types: they take one core, and are looked at beside the tests."""
    beside = TYPES in checks and OTHER_TESTS in checks
    with _begun(TYPES) if beside else nullcontext() as types:
        outcomes = [_run(check) for check in checks if not (beside and check == TYPES)]
        if types is not None:
            outcomes.append(_ended(TYPES, types))
    if len(outcomes) > 1:
        say("\n".join(["", "Summary", *map(str, outcomes)]))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


@contextmanager
def _begun(check: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    """A check that runs beside others; what it says is kept until it is asked for."""
    process = subprocess.Popen(
        _command(check), cwd=ROOT, env=_environment(), text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()  # where the others were stopped


def _ended(check: tuple[str, ...], process: subprocess.Popen[str]) -> Outcome:
    name = " ".join(check)
    words, _ = process.communicate()
    say(f"— {name}\n{words.rstrip()}")
    return Outcome(name, process.returncode == 0, "beside the tests")


def _run(check: tuple[str, ...]) -> Outcome:
    name = " ".join(check)
    say(f"— {name}")
    began = time.monotonic()
    done = subprocess.run(_command(check), cwd=ROOT, env=_environment())
    passed = done.returncode == 0 or (check == WINDOW_TESTS and done.returncode == NO_TESTS)
    return Outcome(name, passed, f"{time.monotonic() - began:.1f} s")


def _command(check: tuple[str, ...]) -> list[str]:
    return [str(python()), "-m", *check]


def _environment() -> dict[str, str]:
    """Each of a hundred processes would compile every module again where the person keeps no bytecode."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
