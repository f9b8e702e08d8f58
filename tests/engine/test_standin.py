"""Every path on a device that is not here: what Apple's and NVIDIA's GPUs lack, or would wait for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.standin_cases import CASES

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def failures() -> dict[str, str]:
    """What went wrong in each case; the device is a backend of a whole process, so they share one."""
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    done = subprocess.run(
        [sys.executable, "-m", "support.standin_run"], env={**os.environ, "PYTHONPATH": paths},
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {case: what for line in done.stdout.splitlines() for case, what in json.loads(line).items()}


@pytest.mark.parametrize("case", CASES)
def test_that_no_path_asks_for_what_a_device_lacks_or_waits_for_it(
    case: str, failures: dict[str, str]
) -> None:
    """No float64, no two devices in one operation, no operation that MPS or CUDA lacks, no wait in a step."""
    assert failures[case] == ""
