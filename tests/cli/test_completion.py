"""A shell completes commands and options."""

from __future__ import annotations

import sys

import pytest

import diffusion_studio.__main__ as program
from diffusion_studio.cli.commands import COMPLETE


@pytest.fixture
def completed(monkeypatch, capsys):
    """What a line that ends where one types may go on with, as bash asks for it."""

    def completed(line: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["diffusion-studio"])
        monkeypatch.setenv(COMPLETE, "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        assert program._begin()() == 0
        return capsys.readouterr().out.split()

    return completed


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("diffusion-studio doc", {"doctor"}),
        ("diffusion-studio ev", {"evaluate"}),
        ("diffusion-studio --comp", {"--completion"}),
        ("diffusion-studio --completion z", {"zsh"}),
        ("diffusion-studio train --st", {"--steps"}),
        ("diffusion-studio train digits --resume --q", {"--quiet"}),
        ("diffusion-studio nothing --q", set()),
    ],
)
def test_that_a_line_goes_on(completed, line: str, expected: set[str]) -> None:
    assert set(completed(line)) == expected


@pytest.mark.parametrize(
    ("shell", "sign"),
    [("bash", "complete -o default"), ("zsh", "#compdef"), ("fish", "--arguments"),
     ("powershell", "Register-ArgumentCompleter")],
)  # fmt: skip
@pytest.mark.parametrize("form", ["{0} {1}", "{0}={1}"])
def test_that_the_script_of_a_shell_is_printed(monkeypatch, capsys, shell: str, sign: str, form: str) -> None:
    monkeypatch.setattr(sys, "argv", ["diffusion-studio", *form.format("--completion", shell).split(" ")])
    monkeypatch.setenv(COMPLETE, "")  # what is set meanwhile goes with the test
    monkeypatch.delenv(COMPLETE)
    assert program._begin()() == 0
    said = capsys.readouterr().out
    assert sign in said
    assert COMPLETE in said
    assert "diffusion-studio" in said


def test_that_a_shell_that_is_not_known_is_refused(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["diffusion-studio", "--completion", "csh"])
    assert program._begin()() == 2
    assert "csh" in capsys.readouterr().err
