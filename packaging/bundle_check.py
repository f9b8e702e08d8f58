"""Uses a bundle as on a machine without Python: bundle_check.py FOLDER/diffusion-studio [PICTURES].

The path for programs is empty, and nothing of this environment is told: help, doctor, a training of 20 steps,
samples, and the window with its Train and Theory pages, whose pictures are left in the folder PICTURES where
one is named. Ends with 1 at the first thing that does not work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TINY = (
    "model.width=8", "model.multipliers=1,2", "model.layers=1", "model.attention=0",
    "training.batch_size=16",
)  # fmt: skip


def main() -> int:
    program = Path(sys.argv[1]).resolve()
    program = program / (program.name + (".exe" if os.name == "nt" else "")) if program.is_dir() else program
    with tempfile.TemporaryDirectory() as place:
        pictures = (Path(sys.argv[2]) if len(sys.argv) > 2 else Path(place) / "pictures").resolve()
        known = ("SYSTEMROOT", "HOME", "USERPROFILE", "TEMP", "TMP")
        bare = {name: os.environ[name] for name in known if name in os.environ}
        bare |= {"PATH": "", "DIFFUSION_STUDIO_HOME": place, "QT_QPA_PLATFORM": "offscreen"}
        sets = [word for pair in TINY for word in ("--set", pair)]
        run = str(Path(place) / "first")
        commands = (
            ["--help"], ["doctor"], ["train", "digits", "--run", run, "--steps", "20", *sets],
            ["sample", run, "--steps", "5", "--out", str(Path(place) / "grid.png")],
            ["screenshots", str(pictures), "--seconds", "1", "--page", "train", "--page", "theory"],
        )  # fmt: skip
        for words in commands:
            began = time.monotonic()
            done = subprocess.run(
                [str(program), *words], env=bare, capture_output=True, text=True, errors="replace"
            )
            print(f"{time.monotonic() - began:6.1f} s  {words[0]}", flush=True)
            if done.returncode:
                print(f"{done.stdout}{done.stderr}", file=sys.stderr)
                return 1
        made = {path.name.partition("-")[0] for path in pictures.glob("*.png")}
        if not made >= {"train", "theory"}:
            print(f"Pictures of {sorted(made)} alone.", file=sys.stderr)
            return 1
    print("The bundle runs.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
