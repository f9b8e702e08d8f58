"""Diffusion in a code and in pixels after the same time: how good the samples are, and how fast they come.

    python -m benchmarks.code PICTURES [--seconds 600] [--share 0.3] [--samples 500] [--set KEY=VALUE ...]
        [--set-code KEY=VALUE ...]

PICTURES is a folder of them; `--emoji PACKAGE.tgz` makes one of the 64 px pictures in the npm package
emoji-datasource-twitter instead. In a code: an autoencoder for `--share` of the time, the encoding of all
images, and diffusion for what is left of it. In pixels: diffusion for all of it. Both by the command line
with its defaults, and no label. Judged by the Fréchet distance in the features of a fixed random network,
beside that of as many real pictures to the rest, and by images a second with 50 DDIM steps, decoding
included.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.measuring import say_machine, table
from diffusion_studio.core.describe import validated
from diffusion_studio.data.imageset import ImageSet, to_model_range
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.export import run_chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import open_source
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.runs.quality import frechet_distance
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.codes import encoded, find_code

STEPS, AT_ONCE = 50, 100
WIDTHS = (32, 64, 96)  # of the network whose features are compared
CODE = ("code.network=kl", "code.width=128", "training.batch_size=32")
CPU = torch.device("cpu")


class Features:
    """Mean and spread of each channel of three random convolutions, each at half the size."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        layers: list[nn.Module] = []
        for before, width in zip((3, *WIDTHS), WIDTHS, strict=False):
            layer = nn.Conv2d(before, width, 3, 2, 1, bias=False)
            layer.weight.data = torch.randn(layer.weight.shape, generator=random) / (3 * before**0.5)
            layers += [layer, nn.LeakyReLU(0.2)]
        self._layers = layers

    @torch.inference_mode()
    def of(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of pictures (n, 1 or 3, H, W) in [−1, 1]. (n, 384)"""
        return np.concatenate([self._part(part) for part in torch.split(torch.from_numpy(x), AT_ONCE)])

    def _part(self, x: Tensor) -> NDArray[np.float64]:
        x, found = x.expand(-1, 3, -1, -1), []
        for layer in self._layers:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                found += [x.mean((2, 3)), x.std((2, 3))]
        return torch.cat(found, 1).double().numpy()


@dataclass(frozen=True)
class Trained:
    """A run, and how long it took."""

    run: Path
    what: str


def studio(*arguments: str) -> None:
    """One command of the product."""
    subprocess.run([sys.executable, "-m", "diffusion_studio", *arguments], check=True, capture_output=True)


def pairs(values: list[str] | tuple[str, ...]) -> list[str]:
    return [part for value in values for part in ("--set", value)]


def in_pixels(pictures: Path, where: Path, seconds: float, sets: list[str]) -> Trained:
    run = where / "pixels"
    studio("train", str(pictures), "--run", str(run), "--seconds", f"{seconds}", *pairs(sets))
    return Trained(run, "in pixels")


def in_a_code(
    pictures: Path, images: ImageSet, where: Path, seconds: float, learning: float, sets: list[str],
    sets_of_code: list[str],
) -> Trained:  # fmt: skip
    """With `learning` of all seconds for the autoencoder."""
    code, run = where / "code", where / "in_a_code"
    studio(
        "train-autoencoder", str(pictures), "--run", str(code), "--kind", "vae",
        *pairs([f"training.seconds={learning}", *CODE, *sets_of_code]),
    )  # fmt: skip
    start = time.perf_counter()
    encoded(images, find_code(str(code), CPU).code, False)  # kept in the cache, where the training finds it
    encoding = time.perf_counter() - start
    left = seconds - learning - encoding
    if left <= 0:
        sys.exit(f"Encoding took {encoding:.0f} s, so that no time is left for diffusion in the code.")
    studio(
        "train", str(pictures), "--run", str(run), "--seconds", f"{left}",
        *pairs([f"model.code={code}", *sets]),
    )  # fmt: skip
    return Trained(run, f"in a code ({learning:.0f} s autoencoder, {encoding:.0f} s encoding)")


def judged(trained: Trained, features: Features, real: NDArray[np.float64], count: int) -> tuple[str, ...]:
    """Steps, distance and speed of one."""
    source, parts, seconds = open_source(trained.run, CPU), [], 0.0
    for seed in range(-(-count // AT_ONCE)):
        spec = validated(SampleSpec, {"steps": STEPS, "count": AT_ONCE, "seed": seed})
        start = time.perf_counter()
        found = run_chain(Chain(source, spec, CPU), False)
        seconds += time.perf_counter() - start
        assert found is not None
        parts.append(found.samples)
    samples = np.concatenate(parts)[:count]
    distance = frechet_distance(features.of(samples), real)
    speed = AT_ONCE * len(parts) / seconds
    return trained.what, f"{Run.open(trained.run).step:,}", f"{distance:.3f}", f"{speed:.2f}"


def unpacked(package: Path, folder: Path) -> Path:
    """The pictures of 64 × 64 pixels in the npm package emoji-datasource-twitter."""
    folder.mkdir()
    with tarfile.open(package) as archive:
        for member in archive:
            path = Path(member.name)
            if path.parts[1:4] == ("img", "twitter", "64") and path.suffix == ".png":
                content = archive.extractfile(member)
                assert content is not None
                (folder / path.name).write_bytes(content.read())
    return folder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=Path, nargs="?")
    parser.add_argument("--emoji", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--set-code", action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        pictures = unpacked(options.emoji, where / "emoji") if options.emoji else options.pictures
        images = load(DataSpec(source=str(pictures.absolute())), cache_dir())
        features, sets = Features(), ["model.conditional=false", *options.set]
        of_all = features.of(to_model_range(images.images))
        mixed = np.random.default_rng(0).permutation(images.count)
        here, rest = of_all[mixed[: options.samples]], of_all[mixed[options.samples :]]
        rows: list[tuple[str, ...]] = [
            (f"{options.samples} real pictures", "", f"{frechet_distance(here, rest):.3f}", "")
        ]
        learning = options.share * options.seconds
        for trained in (
            in_pixels(pictures, where, options.seconds, sets),
            in_a_code(pictures, images, where, options.seconds, learning, sets, options.set_code),
        ):
            rows.append(judged(trained, features, of_all, options.samples))
        size = f"{images.count:,} pictures, {images.resolution} px, {options.seconds:.0f} s"
        table((size, "steps", "Fréchet distance", "images/s"), rows)


if __name__ == "__main__":
    say_machine()
    main()
