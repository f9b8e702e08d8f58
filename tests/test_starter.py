"""The environment `.venv`: made, filled, compiled, and known to be complete."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from starter import checks, commands, environment, system
from starter.project import StartError


class Compiling:
    """Stands in for a process that compiles, and notes what became of it."""

    def __init__(self, asked: list[str]) -> None:
        self.asked = asked

    def wait(self) -> None:
        self.asked.append("wait")

    def terminate(self) -> None:
        self.asked.append("terminate")


class Installs:
    """Stands in for venv and pip, and notes what they were asked."""

    def __init__(self, venv: Path) -> None:
        self.venv = venv
        self.asked: list[str] = []
        self.fails = False

    def create(self) -> None:
        self.asked.append("create")
        environment.python().parent.mkdir(parents=True, exist_ok=True)
        environment.python().touch()

    def install(self, extras: frozenset[str]) -> None:
        self.asked.append(" ".join(sorted(extras)))
        if self.fails:
            raise StartError("no network")

    def compile(self) -> list[Compiling]:
        self.asked.append("compile")
        return [Compiling(self.asked)]


@pytest.fixture
def installs(tmp_path, monkeypatch) -> Installs:
    fake = Installs(tmp_path / ".venv")
    monkeypatch.setattr(environment, "VENV", fake.venv)
    monkeypatch.setattr(environment, "STAMP", fake.venv / "stamp.json")
    monkeypatch.setattr(environment, "create", fake.create)
    monkeypatch.setattr(environment, "install", fake.install)
    monkeypatch.setattr(environment, "compile_beside", fake.compile)
    monkeypatch.setattr(environment, "is_healthy", lambda: environment.python().exists())
    return fake


def test_that_the_second_start_installs_nothing(installs):
    environment.prepare(environment.TESTS)
    environment.prepare(environment.TESTS)
    environment.prepare(environment.WINDOW)
    assert installs.asked == ["create", "gui test", "compile"]


def test_that_a_failed_install_is_finished_by_the_next_start(installs):
    installs.fails = True
    with pytest.raises(StartError):
        environment.prepare(environment.WINDOW)
    installs.fails = False
    environment.prepare(environment.WINDOW)
    assert installs.asked == ["create", "gui", "gui", "compile"]


def test_that_testing_after_running_adds_only_what_tests_need(installs):
    environment.prepare(environment.WINDOW)
    environment.prepare(environment.TESTS)
    environment.prepare(environment.WINDOW)
    assert installs.asked == ["create", "gui", "compile", "gui test", "compile"]


def test_that_other_versions_are_installed_with_all_that_was_there(installs, monkeypatch):
    environment.prepare(environment.TESTS)
    monkeypatch.setattr(environment, "digest", lambda: "another set of packages")
    environment.prepare(environment.WINDOW)
    assert installs.asked == ["create", *["gui test", "compile"] * 2]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"digest": 1, "extras": null}'])
def test_that_a_damaged_stamp_counts_as_none(text, installs):
    environment.prepare(environment.WINDOW)
    environment.STAMP.write_text(text)
    environment.prepare(environment.WINDOW)
    assert installs.asked == ["create", *["gui", "compile"] * 2]


def test_that_an_environment_without_its_python_is_made_again(installs):
    environment.prepare(environment.WINDOW)
    environment.python().unlink()
    environment.prepare(environment.WINDOW)
    assert installs.asked == ["create", "gui", "compile"] * 2


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for Python")
def test_that_another_python_or_a_package_cut_off_makes_an_environment_unhealthy(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "VENV", tmp_path)
    assert not environment.is_healthy()
    environment.python().parent.mkdir()
    environment.python().write_text("#!/bin/sh\necho 3 10\n")
    environment.python().chmod(0o755)
    assert not environment.is_healthy()
    environment.python().write_text("#!/bin/sh\necho {} {}\n".format(*sys.version_info))
    assert environment.is_healthy()
    (tmp_path / "lib" / "python3" / "site-packages" / "cut_off-1.0.dist-info").mkdir(parents=True)
    assert not environment.is_healthy()


def test_that_the_last_lines_of_a_failed_pip_are_shown(monkeypatch, capsys):
    monkeypatch.setattr(
        environment, "pip", lambda: [sys.executable, "-c", "print('no such package'); exit(1)"]
    )
    with pytest.raises(StartError, match=r"no such package[\s\S]*could not be installed"):
        environment.install(environment.WINDOW)


def test_that_pip_compiles_nothing(monkeypatch):
    monkeypatch.setattr(
        environment, "pip", lambda: [sys.executable, "-c", "import sys; print(sys.argv); exit(1)"]
    )
    with pytest.raises(StartError, match="'--no-compile'"):
        environment.install(environment.WINDOW)


def test_that_the_window_waits_for_no_compiling(installs, monkeypatch):
    monkeypatch.setattr(system, "need_screen", lambda: None)
    monkeypatch.setattr(system, "need_libraries", lambda window: None)
    monkeypatch.setattr(os, "execv", lambda *_: installs.asked.append("window"))
    monkeypatch.setattr(subprocess, "call", lambda *_: installs.asked.append("window"))
    commands.main(["run"])
    assert installs.asked == ["create", "gui", "compile", "window"]


def test_that_setup_ends_when_all_is_compiled_and_says_so(installs, monkeypatch, capsys):
    monkeypatch.setattr(system, "need_libraries", lambda window: installs.asked.append("libraries"))
    assert commands.main(["setup"]) == 0
    assert installs.asked == ["create", "gui", "compile", "libraries", "wait"]
    assert "Compiling" in capsys.readouterr().err
    assert commands.main(["setup"]) == 0
    assert "Compiling" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["test", "check"])
def test_that_checks_run_beside_the_compiling_and_stop_it_when_they_are_stopped(
    command, installs, monkeypatch
):
    def stopped(*_: object) -> int:
        installs.asked.append("checks")
        raise KeyboardInterrupt

    monkeypatch.setattr(system, "need_libraries", lambda window: None)
    monkeypatch.setattr(checks, "run_all", stopped)
    monkeypatch.setattr(checks, "run_quick", stopped)
    assert commands.main([command]) == 130
    assert installs.asked == ["create", "gui test", "compile", "checks", "terminate", "wait"]


def test_that_every_file_is_compiled_whatever_python_is_told_and_whatever_some_files_hold(
    tmp_path, monkeypatch
):
    packages = tmp_path / ("Lib" if os.name == "nt" else "lib/python3") / "site-packages"
    modules = [packages / folder / f"{name}.py" for folder in ("one", "one/two", "three") for name in "abc"]
    for module in modules:
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("x = 1\n", encoding="utf-8")
    (packages / "template.py").write_text("{% for %}\n", encoding="utf-8")
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment, "python", lambda: Path(sys.executable))
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    compiling = environment.compile_beside()
    assert [process.wait() for process in compiling] == [0, 0, 0]
    assert all(Path(importlib.util.cache_from_source(str(module))).is_file() for module in modules)
