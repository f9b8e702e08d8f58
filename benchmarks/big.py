"""Folders of very many pictures: reading, cancelling and going on, the first preview, memory.

    python -m benchmarks.big [--pictures 250000] [--side 64] [--place /tmp]

A folder of so many names for 64 files (hard links, which take no room), pictures of smooth noise in ten
classes. Each row is a process of its own; its memory is that of its own pages (RssAnon) above what it had
before, so neither the map of the pixels nor what the system keeps of files counts. Exit code 1 where anything
takes more than 1.5 GB.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

KINDS, CLASSES = 64, 10  # different pictures; folders that they lie in
MOST_MEMORY = 1.5e9  # bytes
SHOWN = 64  # samples of a preview: the fewest that get a number


def build(folder: Path, count: int, side: int) -> None:
    """A folder of `count` names in ten folders."""
    random = np.random.default_rng(0)
    first = []
    for number in range(KINDS):
        place = folder / f"class-{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        path = place / f"{number:07d}.png"
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(path)
        first.append(path)
    for number in range(KINDS, count):
        of = first[number % KINDS]
        os.link(of, of.with_name(f"{number:07d}.png"))


class Watch:
    """The most memory of a process's own while it works, in bytes above what it had before; and how long."""

    def __enter__(self) -> Watch:
        self._before, self._most, self._over = _own(), 0, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        self._began, self._used = time.perf_counter(), time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.busy = time.perf_counter() - self._began, time.thread_time() - self._used
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.005):
            self._most = max(self._most, _own())

    @property
    def memory(self) -> int:
        return max(self._most - self._before, 0)


def _own() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    return 0


# --- what is measured, each in a process of its own --------------------------------------------------------


def told(name: str, watch: Watch, note: str = "") -> None:
    print(f"{name}|{watch.seconds:.2f}|{watch.memory / 1e9:.2f}|{note}", flush=True)


def reading(folder: str, cache: Path) -> None:
    """Reads a third, is cancelled, and goes on; then once more, from the cache."""
    from diffusion_studio.data.errors import Cancelled
    from diffusion_studio.data.load import load
    from diffusion_studio.data.spec import DataSpec

    seen = [0, 0]

    def progress(done: int, total: int) -> None:
        seen[:] = done, total

    with Watch() as watch, contextlib.suppress(Cancelled):
        load(DataSpec(source=folder), cache, progress, lambda: bool(seen[1]) and 3 * seen[0] >= seen[1])
    told("read and cancelled", watch, f"{seen[0]} of {seen[1]}")
    first: list[int] = []
    with Watch() as watch:
        load(DataSpec(source=folder), cache, lambda done, total: first.extend([done] * bool(total)))
    told("read on", watch, f"from {first[0]}")


def again(folder: str, cache: Path) -> None:
    """From the cache, with the time after which there is something to show."""
    from diffusion_studio.data.load import load
    from diffusion_studio.data.spec import DataSpec

    shown: list[float] = []
    with Watch() as watch:
        began = time.perf_counter()
        load(DataSpec(source=folder), cache, known=lambda _: shown.append(time.perf_counter() - began))
    told("read again", watch, f"shown after {shown[0]:.2f} s")


def preview(folder: str, cache: Path) -> None:
    """From images that are read to the first samples with their numbers, the network left out."""
    from diffusion_studio.engine.runs.quality import QualitySpace

    images = _loaded(folder, cache)
    samples = np.random.default_rng(0).integers(0, 256, (SHOWN, *images.images.shape[1:]), dtype=np.uint8)
    with Watch() as watch:
        QualitySpace(images.images, np.arange(images.count)).measure(samples)
    told("numbers of the first preview", watch, f"{watch.busy:.2f} s of a processor, with one thread")


def yardstick(folder: str, cache: Path) -> None:
    from diffusion_studio.engine.evaluation.yardsticks import yardsticks

    images = _loaded(folder, cache)
    with Watch() as watch:
        yardsticks(images.images, images.images[:256], np.arange(images.count))
    told("yardsticks of an evaluation", watch)


def nearest_images(folder: str, cache: Path) -> None:
    from diffusion_studio.engine.chains.neighbours import nearest

    images = _loaded(folder, cache)
    samples = np.random.default_rng(0).uniform(-1, 1, (4, *images.images.shape[1:])).astype(np.float32)
    with Watch() as watch:
        nearest(samples, images)
    told("nearest images of 4", watch)


def memorised(folder: str, cache: Path) -> None:
    import torch

    from diffusion_studio.engine.chains.source import memorising_source
    from diffusion_studio.engine.runs.config import DiffusionSpec

    images = _loaded(folder, cache)
    with Watch() as watch:
        source = memorising_source(images, DiffusionSpec().tables(), torch.device("cpu"))
        source.denoiser(torch.randn(4, *images.images.shape[1:]), 500, None)
    told("memorising denoiser, one step of 4", watch)


def _loaded(folder: str, cache: Path):  # type: ignore[no-untyped-def]
    from diffusion_studio.data.load import load
    from diffusion_studio.data.spec import DataSpec

    return load(DataSpec(source=folder), cache)


PARTS: dict[str, Callable[[str, Path], None]] = {
    part.__name__: part for part in (reading, again, preview, yardstick, nearest_images, memorised)
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=250_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--place", default=None)
    parser.add_argument("--parts", nargs="*", default=[*PARTS])
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        PARTS[options.part[0]](options.part[1], Path(options.part[2]))
        return 0
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        folder, cache = f"{place}/pictures", f"{place}/cache"
        build(Path(folder), options.pictures, options.side)
        sound = [_measured(part, folder, cache) for part in options.parts]
    return 0 if all(sound) else 1


def _measured(part: str, folder: str, cache: str) -> bool:
    """Prints what a process measures, and says whether it keeps to the bounds."""
    words = [sys.executable, "-m", "benchmarks.big", "--part", part, folder, cache]
    rows = [
        line.split("|")
        for line in subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    ]
    for what, seconds, memory, note in rows:
        print(f"{what:36} {seconds:>8} s {memory:>6} GB  {note}", flush=True)
    return all(1e9 * float(row[2]) <= MOST_MEMORY for row in rows)


if __name__ == "__main__":
    sys.exit(main())
