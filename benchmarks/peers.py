"""How good are one's own pictures after equal time: the product, and the loop of a course beside it.

    python -m benchmarks.peers PICTURES.npz [--seconds 180] [--unconditional] [--peers] [--set key=value ...]

PICTURES.npz holds x, uint8 (n, H, W), and y, the class of each. The product trains from a folder of them with
its defaults through the command line and draws 1,000 samples with 50 DDIM steps; so does, with `--peers`, the
network and loop of the Hugging Face diffusion course (UNet2DModel 32-64-64 at 32 px, AdamW 1e-3, batches of
128, 1,000 linear levels). Judged by the squared Fréchet distance in the 128 features of a small classifier
that is trained once on the real pictures, beside the distance of 1,000 real ones to the rest; and by the
share that this classifier recognises as the class asked for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmarks.measuring import say_machine, table

COUNT, STEPS = 1000, 50


class Judge(nn.Module):
    """A classifier of pictures (n, 1, H, W) in [−1, 1]; distances are taken in its last layer but one."""

    def __init__(self, side: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(64 * (side // 4) ** 2, 128), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        said: Tensor = self.head(self.features(x))
        return said

    @torch.inference_mode()
    def of(self, x: Tensor) -> NDArray[np.float64]:
        """(n, 128)"""
        return torch.cat([self.features(part) for part in torch.split(x, 500)]).double().numpy()


def judge_of(x: Tensor, y: Tensor) -> Judge:
    """Trained for eight rounds of the real pictures."""
    torch.manual_seed(0)
    judge = Judge(x.shape[-1], int(y.max()) + 1)
    optimizer = torch.optim.Adam(judge.parameters(), 1e-3)
    for _ in range(8):
        for part in torch.split(torch.randperm(len(x)), 100):
            loss = F.cross_entropy(judge(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return judge.eval()


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """‖μ₁−μ₂‖² + tr(C₁ + C₂ − 2(C₁C₂)^½)."""
    ca, cb = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(ca)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ cb @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * overlap)


def write_folder(folder: Path, x: NDArray[np.uint8], y: NDArray[np.int64]) -> None:
    """A PNG for each picture, in a folder for each class."""
    for number, (pixels, label) in enumerate(zip(x, y, strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number:05}.png")


def product(folder: Path, seconds: float, sets: list[str], where: Path) -> tuple[Tensor, Tensor, int]:
    """Samples, classes and steps of the product."""
    run, out = where / "run", where / "samples.npz"
    command = [sys.executable, "-m", "diffusion_studio"]
    given = [part for pair in sets for part in ("--set", pair)]
    train = ["train", str(folder), "--run", str(run), "--seconds", str(seconds), *given]
    sample = ["sample", str(run), "--out", str(out), "--count", str(COUNT), "--steps", str(STEPS)]
    for arguments in (train, sample):
        subprocess.run([*command, *arguments], check=True, capture_output=True)
    with np.load(out) as data:
        x, y = torch.from_numpy(data["samples"]), torch.from_numpy(data["labels"])
    steps = max(int(path.name.rpartition("-")[2]) for path in (run / "checkpoints").glob("step-*"))
    return x, y, steps


def course(x: Tensor, seconds: float) -> tuple[Tensor, int]:
    """Samples and steps of the course's loop: no classes, no average of the weights."""
    from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=32, in_channels=1, out_channels=1, layers_per_block=2, block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    x, noising = F.interpolate(x, 32, mode="bilinear"), DDPMScheduler(1000)
    optimizer = torch.optim.AdamW(unet.parameters(), 1e-3)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        x_0 = x[torch.randint(len(x), (128,))]
        noise, t = torch.randn_like(x_0), torch.randint(1000, (128,))
        said = unet(noising.add_noise(x_0, noise, t), t, return_dict=False)[0]
        optimizer.zero_grad()
        F.mse_loss(said, noise).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        steps += 1
    scheduler = DDIMScheduler(1000)
    scheduler.set_timesteps(STEPS)
    parts = []
    with torch.inference_mode():
        for part in torch.split(torch.randn(COUNT, 1, 32, 32), 100):
            for time_ in scheduler.timesteps:
                part = scheduler.step(unet(part, time_, return_dict=False)[0], time_, part).prev_sample
            parts.append(part)
    return torch.cat(parts), steps


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--unconditional", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    with np.load(options.pictures) as data:
        pixels, labels = data["x"], data["y"]
    x, y = torch.from_numpy(pixels)[:, None].float() / 127.5 - 1, torch.from_numpy(labels)
    judge = judge_of(x, y)
    real = judge.of(x)
    mixed = np.random.default_rng(0).permutation(len(x))
    rows = [("real pictures", "", f"{frechet(real[mixed[:COUNT]], real[mixed[COUNT:]]):.1f}", "")]

    def row(name: str, steps: int, samples: Tensor, asked: Tensor | None) -> None:
        near = F.interpolate(samples.float(), x.shape[-1], mode="bilinear").clamp(-1, 1)
        with torch.inference_mode():
            known = judge(near).argmax(1)
        share = "" if asked is None else f"{float((known == asked).float().mean()):.3f}"
        rows.append((name, str(steps), f"{frechet(judge.of(near), real):.1f}", share))

    sets = [*options.set, *(["model.conditional=false"] if options.unconditional else [])]
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where) / "pictures"
        write_folder(folder, pixels, labels)
        samples, asked, steps = product(folder, options.seconds, sets, Path(where))
        row("the product", steps, samples, None if options.unconditional else asked)
    if options.peers:
        drawn, taken = course(x, options.seconds)
        row("the diffusion course's loop", taken, drawn, None)
    table((f"{options.seconds:.0f} s", "steps", "Fréchet distance", "recognised as asked"), rows)


if __name__ == "__main__":
    say_machine()
    main()
