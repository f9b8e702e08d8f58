"""Installs the wheel as a stranger would, outside the checkout, and uses it: in a new environment each time.

    python packaging/install_check.py [--extras gui] [--lowest] [--keep FOLDER]

Ends with 1 at the first thing that does not work.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WINDOW = """
import sys
from diffusion_studio import app
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
application = QApplication([])
sys.excepthook = lambda *error: (sys.__excepthook__(*error), application.exit(1))
window = app.App()
window.ready.connect(lambda: QTimer.singleShot(500, window.close))
QTimer.singleShot(300_000, lambda: application.exit(1))
window.show()
sys.exit(application.exec())
"""
TINY = (
    "model.width=8", "model.multipliers=1,2", "model.layers=1", "model.attention=0",
    "training.batch_size=16",
)  # fmt: skip


class FailedError(Exception):
    """What did not work."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--extras", default="", help="of the package, separated by commas")
    parser.add_argument("--lowest", action="store_true", help="the lowest versions that are allowed")
    parser.add_argument("--keep", type=Path, help="work in this folder, and leave it there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = asked.keep or Path(temporary)
        try:
            check(place.resolve(), asked.extras, asked.lowest)
        except FailedError as error:
            print(error, file=sys.stderr)
            return 1
    print("Installed and used without a fault.")
    return 0


def check(place: Path, extras: str, lowest: bool) -> None:
    """
    Raises:
        FailedError: something did not work.
    """
    wheel = built(place / "dist")
    program = installed(place / "env", wheel, extras, lowest)
    os.environ["DIFFUSION_STUDIO_HOME"] = str(place / "home")
    os.environ.pop("PYTHONPATH", None)  # or what is checked could be the checkout
    use(program, place, extras.split(","))


def built(folder: Path) -> Path:
    """The wheel of the checkout."""
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], ROOT)
    return next(folder.glob("*.whl"))


def installed(place: Path, wheel: Path, extras: str, lowest: bool) -> Path:
    """The Python of a new environment that holds the wheel."""
    venv.create(place, with_pip=True, clear=True)
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    target = f"{wheel}[{extras}]" if extras else str(wheel)
    pins = lowest_versions(extras) if lowest else []
    run([str(python), "-m", "pip", "install", "--quiet", target, *pins], place)
    size = sum(path.lstat().st_size for path in place.rglob("*") if not path.is_dir())
    print(f"{size / 1e6:,.0f} MB installed", flush=True)
    return python


def lowest_versions(extras: str) -> list[str]:
    """Every requirement at the lowest version that it allows."""
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(described["dependencies"])
    for extra in filter(None, extras.split(",")):
        wanted += described["optional-dependencies"][extra]
    return [requirement.partition(",")[0].replace(">=", "==") for requirement in wanted]


def use(python: Path, place: Path, extras: list[str]) -> None:
    """Help, doctor, a training, samples; the window and each other extra, or the sentence in its place."""
    program = [str(python), "-m", "diffusion_studio"]
    sets = [word for pair in TINY for word in ("--set", pair)]
    run([*program, "--help"], place)
    run([*program, "doctor"], place)
    run([*program, "train", "digits", "--run", "first", "--steps", "20", *sets], place)
    run([*program, "sample", "first", "--steps", "5", "--out", "grid.png"], place)
    run([*program, "export", "first", "model"], place)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if "gui" in extras:
        run([str(python), "-c", WINDOW], place)
    else:
        refused(program, place, "gui")
    video = [*program, "sample", "first", "--steps", "5", "--out", "chain.mp4"]
    for extra, command in (("onnx", [*program, "export", "first", "first.onnx"]), ("video", video)):
        if extra in extras:
            run(command, place)
        else:
            refused(command, place, extra)


def refused(command: list[str], place: Path, extra: str) -> None:
    """
    Raises:
        FailedError: a command that needs an extra does not say so in a sentence.
    """
    said = run(command, place, code=2 if extra == "video" else 1)
    if f"diffusion-studio[{extra}]" not in said or "Traceback" in said:
        raise FailedError(f"Without {extra} a sentence was expected, not:\n{said}")


def run(command: list[str], place: Path, code: int = 0) -> str:
    """What a command says.

    Raises:
        FailedError: it does not end with `code`.
    """
    began = time.monotonic()
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, errors="replace", timeout=1800)
    shown = " ".join(" ".join(command[1:4]).split())[:70]
    print(f"{time.monotonic() - began:6.1f} s  {shown}", flush=True)
    if done.returncode != code:
        raise FailedError(f"{shown} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
