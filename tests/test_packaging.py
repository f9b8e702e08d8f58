"""The start script, the pinned versions, and what is shipped."""

from __future__ import annotations

import ast
import itertools
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

import appimage
import bootstrap
import bundle
import install_check
from diffusion_studio import __version__
from diffusion_studio.__main__ import ALL
from starter import checks, commands, environment, project, system
from starter.project import StartError
from support.turns import LONG

ROOT = project.ROOT


@pytest.fixture
def linux(monkeypatch) -> pytest.MonkeyPatch:
    """A Linux without a screen, on which everything Qt needs is there."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(project.qt_libraries(), "missing", tuple)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 8), (3, 10), (3, 14), (4, 0)])
def test_that_an_unsuitable_python_is_told_which_ones_suit(version):
    sentence = "Diffusion Studio needs Python 3.11, 3.12 or 3.13; this is {}.{}. ".format(*version)
    assert bootstrap.refusal(version).startswith(sentence)


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_that_a_suitable_python_is_not_refused(version):
    assert bootstrap.refusal(version) == ""


def test_that_any_python_can_read_the_start_script():
    source = Path(bootstrap.__file__).read_text(encoding="ascii")
    nodes = list(ast.walk(ast.parse(source, feature_version=(3, 4))))
    assert not any(isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr) for node in nodes)


def test_that_a_window_without_a_screen_is_refused_with_advice(linux):
    with pytest.raises(StartError, match=r"no screen.*xvfb-run"):
        system.need_screen()
    assert commands.main(["run"]) == 1


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"])
def test_that_any_kind_of_screen_will_do(name, linux):
    linux.setenv(name, "offscreen")
    system.need_screen()


def _misses(monkeypatch: pytest.MonkeyPatch, soname: str, uid: int = 1000) -> None:
    qt = project.qt_libraries()
    absent = tuple(library for library in (*qt.LIBRARIES, qt.FONTS) if library.soname == soname)
    monkeypatch.setattr(qt, "missing", lambda: absent)
    monkeypatch.setattr(qt, "this_linux", lambda: "debian")
    monkeypatch.setattr(os, "geteuid", lambda: uid, raising=False)
    monkeypatch.setattr(system, "_apt", lambda command: False)


def test_that_a_person_without_rights_is_told_the_command(linux):
    _misses(linux, "libEGL.so.1")
    with pytest.raises(StartError, match=r"sudo apt-get install -y --no-install-recommends libegl1"):
        system.need_libraries(window=False)


@pytest.mark.parametrize(("soname", "platform"), [("a font", "xcb"), ("libxcb-cursor.so.0", "offscreen")])
def test_that_what_this_screen_does_not_need_is_only_mentioned(soname, platform, linux, capsys):
    linux.setenv("QT_QPA_PLATFORM", platform)
    _misses(linux, soname)
    system.need_libraries(window=True)
    assert soname in capsys.readouterr().err


def test_that_x11_needs_its_own_libraries(linux):
    linux.setenv("DISPLAY", ":0")
    _misses(linux, "libxcb-cursor.so.0")
    with pytest.raises(StartError, match="libxcb-cursor0"):
        system.need_libraries(window=True)


def test_that_root_installs_what_is_missing_after_an_update_if_need_be(linux):
    _misses(linux, "libEGL.so.1", uid=0)
    called: list[list[str]] = []
    linux.setattr(system, "_apt", lambda command: called.append(command) or len(called) > 1)
    with pytest.raises(StartError):  # it is still missing: nothing was really installed
        system.need_libraries(window=False)
    assert [command[1] for command in called] == ["install", "update", "install"]


def test_that_one_failed_check_fails_them_all(monkeypatch, capsys):
    failing = ("ruff", "check", ".")
    monkeypatch.setattr(
        checks, "_command", lambda check: [sys.executable, "-c", f"import sys; sys.exit({check == failing})"]
    )
    assert checks.run_all([]) == 1
    assert "FAILED  ruff check ." in capsys.readouterr().err
    assert checks.run_all(["tests/core"]) == 0


WAITS = """
import pathlib, sys
if any(pathlib.Path(sys.argv[1]).exists() for _ in range(10_000_000)):
    sys.exit("two errors")
"""


def test_that_types_are_looked_at_beside_the_tests(tmp_path, monkeypatch, capsys):
    begun = tmp_path / "begun"
    scripts = {
        checks.TYPES: WAITS, checks.OTHER_TESTS: "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()",
    }  # fmt: skip
    monkeypatch.setattr(
        checks, "_command", lambda check: [sys.executable, "-c", scripts.get(check, ""), str(begun)]
    )
    assert checks.run_all([]) == 1
    told = capsys.readouterr().err
    assert "— mypy\ntwo errors\n" in told
    assert "FAILED  mypy (beside the tests)" in told and told.count("ok    ") == 4


def test_that_what_runs_beside_ends_with_what_was_stopped(monkeypatch):
    monkeypatch.setattr(checks, "_command", lambda check: [sys.executable, "-c", "while True: pass"])
    with pytest.raises(KeyboardInterrupt), checks._begun(checks.TYPES) as process:
        raise KeyboardInterrupt
    assert process.returncode


def test_that_checks_keep_bytecode_whatever_the_person_does(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    command = [sys.executable, "-c", "import sys; sys.exit(sys.dont_write_bytecode)"]
    monkeypatch.setattr(checks, "_command", lambda check: command)
    assert checks.run_quick() == 0


def test_that_every_file_that_takes_long_is_there():
    assert [name for name in LONG if not (ROOT / "tests" / name).is_file()] == []


def test_that_an_unknown_command_shows_the_usage(capsys):
    assert commands.main(["fly"]) == 2
    assert "run [PATH ...]" in capsys.readouterr().err


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def test_that_every_requirement_is_pinned():
    lines = [line for line in project.CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = described["optional-dependencies"].values()
    wanted = [*described["dependencies"], *(name for extra in extras for name in extra)]
    assert {_name(requirement) for requirement in wanted} <= {_name(line) for line in lines}


def test_that_integration_runs_the_command_of_the_readme():
    assert "python3 packaging/bootstrap.py test\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert '"$python" packaging/bootstrap.py test' in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "run: python3 packaging/bootstrap.py test\n" in workflow
    versions = [f'"3.{minor}"' for minor in range(bootstrap.OLDEST[1], bootstrap.NEWEST[1] + 1)]
    assert f"python: [{', '.join(versions)}]" in workflow
    assert all(f"{system}-" in workflow for system in ("ubuntu", "macos", "windows"))


def test_that_a_commit_is_checked_by_the_same_commands():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = re.findall(r"entry: python3 packaging/bootstrap.py (\w+)", hooks)
    assert entries == ["check", "test"]


def test_that_check_is_all_of_test_but_the_tests(monkeypatch):
    ran: list[str] = []
    monkeypatch.setattr(environment, "prepare", lambda extras: [])
    monkeypatch.setattr(
        checks, "_run", lambda check: ran.append(check[0]) or checks.Outcome(check[0], True, "0.1 s")
    )
    assert commands.main(["check"]) == 0
    assert ran == ["ruff", "ruff", "mypy"]
    assert commands.main(["check", "tests"]) == 1


def test_that_every_library_that_is_imported_is_required():
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = described["optional-dependencies"]
    people = [requirement for extra in extras.keys() - {"test"} for requirement in extras[extra]]
    required = {_name(requirement) for requirement in (*described["dependencies"], *people)}
    required |= {"pydantic-core", "shiboken6"}  # parts of pydantic and PySide6
    imported = {
        name.partition(".")[0]
        for path in (ROOT / "diffusion_studio").rglob("*.py")
        for name in _imports(path)
    }
    known = packages_distributions()
    others = {name for name in imported if name in known and name != "diffusion_studio"}
    assert {name for name in others if not {_name(d) for d in known[name]} & required} == set()


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_that_the_changelog_tells_of_this_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.*?)\](?: - \d{4}-\d\d-\d\d)?$", changes, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == __version__


def test_that_the_wheel_holds_the_package_and_its_resources(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    resources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "resources").rglob("*.svg")}
    icons = {path.relative_to(ROOT).as_posix() for path in (ROOT / "diffusion_studio").rglob("*.svg")}
    assert icons | {f"diffusion_studio/{name}" for name in resources} <= names
    assert icons
    files = (path for ending in ("*.py", "*.svg") for path in (ROOT / "diffusion_studio").rglob(ending))
    assert {path.relative_to(ROOT).as_posix() for path in files} <= names
    assert "diffusion_studio/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "packaging/")) for name in names)
    for name in (
        "applications/diffusion-studio.desktop", "icons/hicolor/scalable/apps/diffusion-studio.svg",
        "man/man1/diffusion-studio.1", "metainfo/diffusion-studio.metainfo.xml",
    ):  # fmt: skip
        assert f"diffusion_studio-{__version__}.data/data/share/{name}" in names
    assert "diffusion_studio/data/digits.npz" in names


def test_that_the_manual_and_the_metadata_tell_of_this_version_and_its_commands():
    manual = (ROOT / "packaging" / "linux" / "diffusion-studio.1").read_text(encoding="utf-8")
    listed = re.findall(r"^\.TP\n\.B ([a-z-]+)$", manual, re.MULTILINE)
    assert sorted(listed) == sorted(ALL)
    metadata = (ROOT / "packaging" / "linux" / "diffusion-studio.metainfo.xml").read_text(encoding="utf-8")
    (newest, *_) = (release.get("version") for release in ElementTree.fromstring(metadata).iter("release"))
    assert newest == __version__


def test_that_icons_of_every_system_are_drawn_from_one(tmp_path):
    pytest.importorskip("PySide6")
    command = [sys.executable, str(ROOT / "packaging" / "icons.py"), str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, "QT_QPA_PLATFORM": "offscreen"})
    with Image.open(tmp_path / "icon.ico") as icon:
        assert icon.info["sizes"] >= {(16, 16), (256, 256)}
    assert (tmp_path / "icon.icns").stat().st_size > 10_000


def test_that_the_lowest_versions_are_those_that_are_allowed():
    lowest = install_check.lowest_versions("gui")
    assert {"typer==0.19", "safetensors==0.8", "PySide6-Essentials==6.8.3"} <= set(lowest)
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", requirement) for requirement in lowest)


def test_that_the_wheel_is_installed_in_integration_with_and_without_the_window():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "python packaging/install_check.py${{ matrix.how }}" in workflow
    assert 'how: ["", " --extras gui,onnx,video", " --extras gui --lowest"]' in workflow


def test_that_a_bundle_is_made_and_used_by_the_same_commands_everywhere():
    workflow = (ROOT / ".github" / "workflows" / "bundle.yml").read_text(encoding="utf-8")
    for script in re.findall(r"python (packaging/[\w.]+)", workflow):
        assert (ROOT / script).is_file()
    assert all(f"{system}-" in workflow for system in ("ubuntu", "macos", "windows"))


def test_that_a_bundle_takes_along_what_is_looked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle.subprocess, "run", lambda *_, **__: None)
    words = bundle.arguments(tmp_path / "out", tmp_path)
    pairs = set(itertools.pairwise(words))
    for name in ("latex2mathml", "ziafont", "ziamath"):
        assert ("--collect-data", name) in pairs
    assert {("--recursive-copy-metadata", "diffusers"), ("--collect-submodules", "diffusion_studio")} <= pairs


@pytest.mark.skipif(sys.platform != "linux", reason="an AppImage is of Linux alone")
def test_that_one_file_for_linux_holds_a_bundle_that_starts(tmp_path):
    program = tmp_path / "bundle" / "diffusion-studio"
    (program.parent / "_internal").mkdir(parents=True)
    program.write_text("#!/bin/sh\necho started $1\n")
    program.chmod(0o755)
    tools = tmp_path / "tools"
    tools.mkdir()
    tool = tools / appimage.TOOL
    tool.write_text('#!/bin/sh\n"$2/AppRun" --version > "$3"\nls -a "$2" >> "$3"\n')
    tool.chmod(0o755)
    made = tmp_path / "one.AppImage"
    command = [sys.executable, str(ROOT / "packaging" / "appimage.py"), str(program.parent), str(made)]
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    subprocess.run(command, check=True, env={**os.environ, "PATH": path})
    started, *names = made.read_text().splitlines()
    assert started == "started --version"
    assert {"AppRun", ".DirIcon", "diffusion-studio.desktop", "diffusion-studio.svg", "usr"} <= set(names)
    done = subprocess.run(command, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "appimagetool is not on the path for programs.\n")
