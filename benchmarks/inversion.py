"""Does a picture come back that was carried to its noise, with the settings that a person finds?

    python -m benchmarks.inversion [--steps 600] [--seconds 30] [--count 8] [--pictures FOLDER]

Two trainings: the digits, and 400 colour pictures of 16 × 16 that are made here, a disc on a ground; or one
of a folder. Then pictures are inverted and brought back through the command line's own spec, without further
calls, with one as by default, and with two beyond that. The figure is the root mean square in grey levels of
256, over all pictures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measuring import say_machine, table

SIDE = 16


def discs(folder: Path, count: int = 400) -> Path:
    """Colour pictures of a disc on a ground."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    folder.mkdir()
    for number in range(count):
        cx, cy, r = *random.uniform(4, 12, 2), random.uniform(2, 6)
        inside = ((x - cx) ** 2 + (y - cy) ** 2 < r**2)[..., None]
        disc, ground = random.integers(0, 256, (2, 3))
        pixels = np.where(inside, disc, ground)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:03}.png")
    return folder


def digits(folder: Path, count: int) -> list[Path]:
    """Some digits as files."""
    from diffusion_studio.data.digits import digits as built_in
    from diffusion_studio.data.spec import DataSpec

    folder.mkdir()
    images = built_in(DataSpec()).images[:: 1797 // count][:count, 0]
    files = [folder / f"{number}.png" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file)
    return files


def lost(run: Path, files: list[Path], rounds: int) -> float:
    """Root mean square between the pictures and what comes back, in grey levels."""
    import torch

    from diffusion_studio.engine.chains.chain import Chain
    from diffusion_studio.engine.chains.sample_spec import SampleSpec
    from diffusion_studio.engine.chains.source import open_source
    from diffusion_studio.engine.chains.starts import InvertedStart

    device = torch.device("cpu")
    source = open_source(run, device)
    names = tuple(map(str, files))
    spec = SampleSpec(count=len(files), start=InvertedStart(images=names, rounds=rounds))
    chain = Chain(source, spec, device)
    *_, last = chain.steps()
    assert chain.given is not None
    return float((127.5 * (last.x_s - chain.given)).square().mean().sqrt())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--pictures", type=Path, help="train on this folder alone")
    options = parser.parse_args()
    length = ("--steps", str(options.steps)) if options.steps else ("--seconds", str(options.seconds))
    say_machine()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if options.pictures:
            colour = options.pictures
            data = {colour.name: sorted(colour.iterdir())}
        else:
            colour = discs(folder / "discs")
            some = digits(folder / "some", options.count)
            data = {"digits": some, "colour discs": sorted(colour.iterdir())}
        rows = []
        for name, files in data.items():
            run, source = folder / name.replace(" ", "-"), "digits" if name == "digits" else str(colour)
            train = [sys.executable, "-m", "diffusion_studio", "train", source, "--run", str(run), *length]
            subprocess.run(train, check=True, capture_output=True)
            found = [lost(run, files[: options.count], rounds) for rounds in (0, 1, 3)]
            rows.append((name, *(f"{value:.3f}" for value in found)))
        table(("run", "no further call", "1, the default", "2 more than that"), rows)


if __name__ == "__main__":
    main()
