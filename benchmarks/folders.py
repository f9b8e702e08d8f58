"""Trains on a folder of at least 500 real pictures in every format, with 40 broken files among them.

    python -m benchmarks.folders [--sound 520] [--broken 40]

Nothing may stop the training, and `data.json` must list exactly the broken ones, each with its reason.
Exit code 1 when it does not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.measuring import table
from tests.support.image_folders import Sound, add_broken_files, build_mixed_folder

SMALL = ("model.width=32", "training.batch_size=16", "training.preview_count=4")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sound", type=int, default=520)
    parser.add_argument("--broken", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        folder, run = Path(place) / "pictures", Path(place) / "run"
        sound = build_mixed_folder(folder, options.sound)
        broken = add_broken_files(folder, options.broken)
        sets = [part for pair in SMALL for part in ("--set", pair)]
        command = [
            sys.executable,
            "-m",
            "diffusion_studio",
            "train",
            str(folder),
            "--run",
            str(run),
            "--steps",
            "3",
        ]
        done = subprocess.run([*command, *sets], capture_output=True, text=True)
        print(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "")
        manifest = json.loads((run / "data.json").read_bytes()) if (run / "data.json").exists() else {}
    return judge(done.returncode, manifest, sound, broken)


def judge(code: int, manifest: dict[str, Any], sound: dict[str, Sound], broken: dict[str, str]) -> int:
    used = {entry["file"] for entry in manifest.get("images", ())}
    skipped = {entry["file"]: entry["reason"] for entry in manifest.get("skipped", ())}
    reasons: dict[str, Counter[str]] = {}
    for file, reason in skipped.items():
        reasons.setdefault(broken.get(file, "NOT BROKEN"), Counter())[reason] += 1
    rows = [(kind, sum(count.values()), next(iter(count))) for kind, count in sorted(reasons.items())]
    table(("broken how", "skipped", "reason"), rows)
    named_png = {name for name, picture in sound.items() if picture.kind == "jpeg named png"}
    checks = {
        "the training ended well": code == 0,
        f"{len(sound)} sound pictures of {len({p.kind for p in sound.values()})} kinds are used": used
        == set(sound),
        f"exactly the {len(broken)} broken ones are skipped": set(skipped) == set(broken),
        "each has a reason": all(skipped.values()),
        f"the {len(named_png)} JPEGs named .png are used": bool(named_png) and named_png <= used,
    }
    for what, holds in checks.items():
        print(f"{'ok  ' if holds else 'FAIL'} {what}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
