"""What `test` runs: the same for a person and for continuous integration."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from starter.environment import python
from starter.project import ROOT, say

PYTEST = ("pytest",)
NO_TESTS = 5  # pytest's code where it found none

_EVERYWHERE = (*PYTEST, "-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")  # files stay together
_WINDOW = ("tests/viewmodels", "tests/gui", "tests/end_to_end")
WINDOW_TESTS = (*_EVERYWHERE, *_WINDOW)  # none where Qt is missing
OTHER_TESTS = (*_EVERYWHERE, *(f"--ignore={folder}" for folder in _WINDOW))
"""On every core, and in two turns: processes that end give back what their tests have gathered."""
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), OTHER_TESTS, WINDOW_TESTS)


@dataclass(frozen=True)
class Outcome:
    name: str
    passed: bool
    seconds: float

    def __str__(self) -> str:
        return f"  {'ok    ' if self.passed else 'FAILED'}  {self.name} ({self.seconds:.1f} s)"


def run_all(pytest_arguments: list[str]) -> int:
    """Runs every check, or pytest alone when it is given arguments; 1 if any of them fails."""
    return _run_each(((*PYTEST, *pytest_arguments),) if pytest_arguments else CHECKS)


def run_quick() -> int:
    """Runs every check but the tests; 1 if any of them fails."""
    return _run_each(tuple(check for check in CHECKS if check[0] != "pytest"))


def _run_each(checks: tuple[tuple[str, ...], ...]) -> int:
    outcomes = [_run(check) for check in checks]
    if len(outcomes) > 1:
        say("\n".join(["", "Summary", *map(str, outcomes)]))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _run(check: tuple[str, ...]) -> Outcome:
    name = " ".join(check)
    say(f"— {name}")
    began = time.monotonic()
    done = subprocess.run([str(python()), "-m", *check], cwd=ROOT)
    passed = done.returncode == 0 or (check == WINDOW_TESTS and done.returncode == NO_TESTS)
    return Outcome(name, passed, time.monotonic() - began)
