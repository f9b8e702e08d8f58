"""The window in another language: every sentence is translated, and nothing is cut."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support.foreign import PSEUDO, unmarked


@pytest.mark.parametrize("code", [PSEUDO, "de"])
def test_that_nothing_stays_english_and_nothing_is_cut(code: str) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "support.foreign", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_that_a_word_outside_of_brackets_is_found() -> None:
    assert (
        unmarked("⟦a ⟦b⟧ c⟧: DDPM, x̂₀ <b>⟦d⟧</b>")
        == unmarked("Luo eq. 130")
        == unmarked("Luo\u00a0eq.\u00a0130")
        == unmarked("k-\u2060diffusion")
        == []
    )
    assert unmarked("⟦a⟧ steps of DDPM") == ["steps"]
