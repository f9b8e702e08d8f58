"""The program of the command line: what it lists and imports, and how it tells what went wrong."""

from __future__ import annotations

import ast
import importlib
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.main import get_command

from diffusion_studio import __version__
from diffusion_studio.__main__ import ALL
from diffusion_studio.cli import program
from diffusion_studio.cli.commands import COMMANDS, Command
from diffusion_studio.engine.runs.run import Run
from support.commands import SETS, complaint, without_qt

NOTHING_NAMED = [["sample"], ["export"], ["evaluate"], ["train-classifier"], ["train-autoencoder"]]
ODD = [["nonsense"], ["train", "digits", "--steps", "0"], ["train", "--nonsense"]]


@pytest.mark.parametrize("arguments", [*NOTHING_NAMED, *ODD])
def test_that_wrong_usage_ends_with_2_and_a_hint(said, arguments):
    code, _, errors = said(*arguments)
    assert code == 2
    assert "Usage:" in errors
    assert "Error:" in errors
    assert "Traceback" not in errors


def test_that_a_training_of_nothing_is_refused_in_a_sentence(said):
    """With --config, DATA may be left out; without, something has to be named."""
    code, out, errors = said("train")
    assert (code, out) == (2, "")
    assert complaint(errors).startswith("Name a folder of images")


def test_that_a_shape_error_is_a_fault_with_its_traceback_in_the_log(
    said, run, tmp_path, monkeypatch, isolated_home
):
    def fail(*_: object) -> None:
        np.zeros(3) + np.zeros(4)

    monkeypatch.setattr("diffusion_studio.engine.chains.chain.Chain.steps", fail)
    code, _, errors = said("sample", run, "--out", tmp_path / "grid.png")
    assert code == 1
    assert complaint(errors) == (
        f"Something went wrong in the program; what happened is in the log, in {isolated_home / 'logs'}."
    )
    log = (isolated_home / "logs" / "commands.log").read_text(encoding="utf-8")
    assert "Traceback" in log and "ValueError: operands could not be broadcast together" in log


def test_that_a_refusal_needs_no_log(said, tmp_path, isolated_home):
    code, _, errors = said("sample", tmp_path / "nowhere", "--out", tmp_path / "grid.png")
    assert code == 1 and "There is nothing at" in complaint(errors)
    assert not (isolated_home / "logs" / "commands.log").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_that_a_command_is_listed_as_it_says_of_itself(name):
    command = get_command(importlib.import_module(COMMANDS[name].module).app)
    assert command.name == name
    sentence = " ".join(command.help.split()).split(". ")[0].rstrip(".")
    assert COMMANDS[name].summary == f"{sentence}."


def test_that_the_command_that_needs_the_window_is_listed_as_it_says_of_itself():
    """Read from the source: it cannot be imported where Qt is missing."""
    path = Path(program.__file__).parents[1] / "screenshots.py"
    functions = [
        node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    (function,) = (node for node in functions if node.name == "screenshots")
    assert ast.get_docstring(function) == ALL["screenshots"].summary


def test_that_every_command_is_known_and_none_is_taken_for_a_path():
    files = Path(program.__file__).parent.glob("*.py")
    holding = {path.stem.replace("_", "-") for path in files if "@app.command(" in path.read_text("utf-8")}
    assert holding == set(COMMANDS) == set(ALL) - {"screenshots"}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_that_what_is_known_at_once_imports_nothing_heavy(option):
    script = (
        "import sys\nfrom diffusion_studio.__main__ import main\n"
        f"sys.argv[1:] = [{option!r}]\nassert main() == 0\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'PySide6', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (__version__ if option == "--version" else "train-classifier") in done.stdout


def test_that_a_library_that_does_not_load_leads_to_the_doctor(capsys, monkeypatch, isolated_home):
    def fail(name: str) -> SimpleNamespace:
        raise ImportError("DLL load failed while importing _C", name="torch")

    monkeypatch.setattr(program, "importlib", SimpleNamespace(import_module=fail))
    assert program.main(["train"], {"train": Command("train", "Train.")}) == 1
    said = complaint(capsys.readouterr().err)
    assert said.startswith("A library that this needs could not be loaded: torch.")
    assert "diffusion-studio doctor" in said
    assert "DLL load failed" in (isolated_home / "logs" / "commands.log").read_text("utf-8")


def test_that_the_version_is_printed(said):
    assert said("--version") == (0, f"{__version__}\n", "")


def test_that_doctor_reports_this_machine(said):
    code, out, _ = said("doctor")
    assert code in (0, 1)
    assert "torch" in out


END = "– end of a command –"
CALLS = f"""
import sys
END = {END!r}
from diffusion_studio.__main__ import main
run = sys.argv[1]
for words in (["--help"], ["train", "--help"], ["sample", "--help"], ["evaluate", run, "--images", "2"]):
    sys.argv[1:] = words
    assert main() == 0, words
    print(END, flush=True)
"""


def test_that_a_console_without_greek_letters_shows_what_it_can(run):
    """As in Windows, also where the output goes to a file."""
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", CALLS, str(run)], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    *said, rest = done.stdout.decode("cp1252").split(END)
    assert len(said) == 4 and all(words.strip() for words in said) and not rest.strip()
    assert b"Traceback" not in done.stderr


def test_that_a_device_of_no_such_form_is_wrong_usage(said, run, tmp_path):
    code, _, errors = said("sample", run, "--out", tmp_path / "x.png", "--device", "cuda:x")
    assert code == 2 and "cuda:1" in errors


def test_that_a_window_that_is_not_installed_is_a_sentence():
    done = subprocess.run(without_qt(), capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert "pip install 'diffusion-studio[gui]'" in complaint(done.stderr)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_that_help_needs_no_window(arguments):
    done = subprocess.run(without_qt(*arguments), capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="of shells of POSIX")
def test_that_a_training_whose_output_was_closed_before_it_began_does_all_its_steps(pictures, tmp_path):
    asked = ["train", pictures, "--run", tmp_path / "run", "--steps", "3", *SETS]
    command = shlex.join([sys.executable, "-m", "diffusion_studio", *map(str, asked)])
    assert subprocess.run(["sh", "-c", f"{command} <&- >&- 2>&-"]).returncode == 0
    assert Run.open(tmp_path / "run").step == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps such a folder")
def test_that_a_folder_that_was_deleted_while_one_stands_in_it_is_said(said, run, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, _, errors = said("sample", run, "--out", "x.png")
    assert code == 1
    assert complaint(errors).startswith("The folder this was started in is not there any more")
    monkeypatch.chdir(tmp_path)
