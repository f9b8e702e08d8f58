"""What the benchmarks share: interleaved timing, tables, the machine in words."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median


def interleaved(sides: Sequence[Callable[[], int]], rounds: int) -> list[list[float]]:
    """Seconds per unit of work of each side in each round; a side does its work and says how many units.

    All sides run in every round, so that a disturbance of the machine hits them alike; the first round,
    in which caches are cold, is left out.
    """
    seconds: list[list[float]] = [[] for _ in sides]
    for number in range(rounds + 1):
        for k in range(len(sides)):
            k = (k + number) % len(sides)
            start = time.perf_counter()
            units = sides[k]()
            if number:
                seconds[k].append((time.perf_counter() - start) / units)
            else:
                seconds[k] = []
    return seconds


def in_step(sides: Sequence[Callable[[], Iterator[int]]], seconds: float, least: int) -> list[list[float]]:
    """The same for sides that do their work in pieces and say how many units each piece was.

    The sides take turns piece by piece, so that a disturbance of a tenth of a second hits them alike. There
    are as many rounds as fit into `seconds`, and at least `least`.
    """
    found: list[list[float]] = [[] for _ in sides]
    _round(sides, 0)
    end, number = time.perf_counter() + seconds, 0
    while number < least or time.perf_counter() < end:
        number += 1
        for k, each in enumerate(_round(sides, number)):
            found[k].append(each)
    return found


def pieced(work: Callable[[], int], pieces: int) -> Callable[[], Iterator[int]]:
    """A side for `in_step` whose rounds are so many pieces of `work`, which says how many units it did."""
    return lambda: (work() for _ in range(pieces))


def _round(sides: Sequence[Callable[[], Iterator[int]]], turn: int) -> list[float]:
    """Seconds per unit of each side; which of them begins changes from piece to piece."""
    running, spent, units = [side() for side in sides], [0.0] * len(sides), [0] * len(sides)
    going = set(range(len(sides)))
    while going:
        for k in sorted(going, key=lambda k: (k + turn) % len(sides)):
            start = time.perf_counter()
            done = next(running[k], None)
            spent[k] += time.perf_counter() - start
            units[k] += done or 0
            if done is None:
                going.remove(k)
        turn += 1
    return [each / count for each, count in zip(spent, units, strict=True)]


def paired_ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """Median over the rounds of a ÷ b."""
    return median(x / y for x, y in zip(a, b, strict=True))


def share_within(values: Sequence[float], percent: float) -> float:
    """The percentile of `values`: so much of them is not greater."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints columns, the first one left-aligned."""
    cells = [[str(c) for c in row] for row in [headers, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    for row in cells:
        first, *others = (
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())


def against(value: float, budget: float, least: bool = False) -> str:
    """ "ok" or "MISSED"."""
    return "ok" if (value >= budget if least else value <= budget) else "MISSED"


def write_photo_crops(folder: Path, count: int, side: int) -> Path:
    """Cut-outs of scikit-learn's two photographs, PNG, `side` pixels wide, in RGB."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photographs, random = load_sample_images().images, np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        photo = photographs[number % len(photographs)]
        top, left = random.integers(photo.shape[0] - side), random.integers(photo.shape[1] - side)
        crop = np.ascontiguousarray(photo[top : top + side, left : left + side])
        Image.fromarray(crop).save(folder / f"{number:04d}.png")
    return folder


def say_machine() -> None:
    """One line about processor and libraries; what is measured runs as it does in the program."""
    import torch

    from diffusion_studio.engine.machine.devices import choose_device

    choose_device()
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
