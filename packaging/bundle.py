"""Makes a folder that runs on a machine without Python: python packaging/bundle.py FOLDER.

PyInstaller must be installed beside the program and its window, with a torch for processors alone where the
folder is to stay below a gigabyte or so. What is inside is what this environment has.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ICONS = ROOT / "packaging" / "icons.py"
NAME = "diffusion-studio"
START = """
import multiprocessing, sys
multiprocessing.freeze_support()
from diffusion_studio.__main__ import main
sys.exit(main())
"""
DATA = ("latex2mathml", "ziafont", "ziamath", "diffusion_studio")  # packages with files beside their code
ALL_OF = ("diffusion_studio", "safetensors", "imagecodecs")  # found by name, as they are asked for
METADATA = (
    "diffusers", "torch", "numpy", "Pillow", "safetensors", "PySide6_Essentials", "pyqtgraph", "ziamath",
)  # fmt: skip
LEFT_OUT = (
    "sklearn", "scipy", "matplotlib", "pandas", "IPython", "tkinter", "pytest", "tensorboard",
    "onnx", "onnxscript", "onnxruntime",  # extras that write files for other programs
    "av",  # its encoder of H.264 is under the GPL
)  # fmt: skip
KEPT_OF_BIN = "torch_shm_manager"  # torch looks for it when it is imported; beside it lie its own tests


def arguments(folder: Path, work: Path) -> list[str]:
    """The words of the command that makes the bundle."""
    (work / "start.py").write_text(START, encoding="utf-8")
    subprocess.run([sys.executable, str(ICONS), str(work)], check=True)
    icon = work / {"win32": "icon.ico", "darwin": "icon.icns"}.get(sys.platform, "icon.png")
    words = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--onedir", "--name", NAME]
    words += ["--icon", str(icon), "--distpath", str(folder), "--workpath", str(work / "build")]
    words += ["--specpath", str(work), "--recursive-copy-metadata", "diffusers"]
    words += _each("--collect-data", DATA) + _each("--collect-submodules", ALL_OF)
    words += _each("--copy-metadata", METADATA) + _each("--exclude-module", LEFT_OUT)
    return [*words, "--add-data", f"{ROOT / 'resources'}:diffusion_studio/resources", str(work / "start.py")]


def _each(option: str, names: tuple[str, ...]) -> list[str]:
    return [word for name in names for word in (option, name)]


def prune(program: Path) -> None:
    """Takes away what torch brings along for its own tests: 130 MB."""
    for torch in program.glob("*/torch"):
        shutil.rmtree(torch / "test", ignore_errors=True)
        for path in (torch / "bin").glob("*"):
            if path.is_file() and path.stem != KEPT_OF_BIN:
                path.unlink()


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(arguments(folder, Path(work)))
    place = folder / NAME
    if done.returncode == 0:
        prune(place)
        size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        print(f"{place}: {size / 1e6:,.0f} MB")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
