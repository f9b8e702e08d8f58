"""Makes one file for Linux of a bundle: python packaging/appimage.py FOLDER/diffusion-studio FILE.AppImage.

The folder that goes into it is laid out here; `appimagetool`, which must be on the path for programs, packs
it behind the program that unfolds it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = "diffusion-studio"
TOOL = "appimagetool"


def lay_out(bundle: Path, folder: Path) -> None:
    """An AppDir of a bundle: what starts, the entry of the menu, the icon, and all of the bundle."""
    shutil.copytree(bundle, folder / "usr" / "lib" / NAME, symlinks=True)
    (folder / "AppRun").symlink_to(f"usr/lib/{NAME}/{NAME}")
    shutil.copy(ROOT / "packaging" / "linux" / f"{NAME}.desktop", folder)
    shutil.copy(ROOT / "resources" / "icon.svg", folder / f"{NAME}.svg")
    (folder / ".DirIcon").symlink_to(f"{NAME}.svg")
    metadata = folder / "usr" / "share" / "metainfo"
    metadata.mkdir(parents=True)
    shutil.copy(ROOT / "packaging" / "linux" / f"{NAME}.metainfo.xml", metadata)


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    tool = shutil.which(TOOL)
    if tool is None:
        print(f"{TOOL} is not on the path for programs.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / f"{NAME}.AppDir"
        lay_out(Path(sys.argv[1]).resolve(), folder)
        return subprocess.run([tool, "--no-appstream", str(folder), sys.argv[2]]).returncode


if __name__ == "__main__":
    sys.exit(main())
