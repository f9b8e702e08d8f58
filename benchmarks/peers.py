"""How good are one's own pictures after equal time: the product, and others beside it.

    python -m benchmarks.peers PICTURES [--side 32] [--seconds 180] [--unconditional] [--peers NAMES]
                               [--guidance 1.3] [--seed 0] [--count 1000] [--set key=value ...]
                               [--save FILE.png]

PICTURES is an .npz with x, uint8 (n, H, W), and y, the class of each; or a folder of pictures, which are put
on white and brought to --side. The product trains from a folder of them with its defaults through the command
line and draws 1,000 samples by DPM++ (2M) with 50 calls of its network for each: 50 steps, or, where there
are classes, 25 with guidance (γ = 1.3), each of which takes two; `--peers all`, or some names, does the same
with the networks and loops of benchmarks/peer_loops.py. Judged by the squared Fréchet distance, beside that
of 1,000 real pictures to the rest: of pictures with classes in the 128 features of a small classifier that is
trained once on the real ones, with the share that it recognises as the class asked for; of others in the
features of a fixed random network.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmarks.measuring import say_machine, table
from benchmarks.peer_loops import CALLS, PEERS


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


def write_folder(folder: Path, x: NDArray[np.uint8], y: NDArray[np.int64] | None) -> None:
    """A PNG for each picture, in a folder for each class where there are classes."""
    for number, pixels in enumerate(x):
        place = folder if y is None else folder / str(y[number])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number:05}.png")


def product(
    folder: Path, seconds: float, sets: list[str], where: Path, guidance: float, count: int
) -> tuple[Tensor, Tensor, int]:
    """Samples, classes and steps of the product; guidance takes two calls a step, none (1) takes one."""
    run, out = where / "run", where / "samples.npz"
    command = [sys.executable, "-m", "diffusion_studio"]
    given = [part for pair in sets for part in ("--set", pair)]
    train = ["train", str(folder), "--run", str(run), "--seconds", str(seconds), *given]
    steps = CALLS if guidance == 1 else CALLS // 2
    sample = ["sample", str(run), "--out", str(out), "--count", str(count), "--sampler", "dpm2m"]
    sample += ["--steps", str(steps), "--guidance", str(guidance)]
    for arguments in (train, sample):
        subprocess.run([*command, *arguments], check=True, capture_output=True)
    with np.load(out) as data:
        x, y = torch.from_numpy(data["samples"]), torch.from_numpy(data["labels"])
    trained = max(int(path.name.rpartition("-")[2]) for path in (run / "checkpoints").glob("step-*"))
    return x, y, trained


class Fixed(nn.Module):
    """Random, but always the same: what pictures look like at four sizes, (n, 480)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        widths = (channels, 32, 64, 64, 80)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        with torch.no_grad():
            for layer in self.layers:
                assert isinstance(layer, nn.Conv2d) and layer.bias is not None
                fan = layer.weight[0].numel()
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * (2 / fan) ** 0.5)
                layer.bias.copy_(0.1 * torch.randn(layer.bias.shape, generator=generator))

    @torch.inference_mode()
    def of(self, x: Tensor) -> NDArray[np.float64]:
        """Mean and spread of each channel of each layer."""
        return torch.cat([self._of(part) for part in torch.split(x, 500)]).double().numpy()

    def _of(self, x: Tensor) -> Tensor:
        found = []
        for layer in self.layers:
            x = F.relu(layer(x))
            found += [x.mean((2, 3)), x.std((2, 3))]
            x = F.avg_pool2d(x, 2)
        return torch.cat(found, 1)


def pictures_of(place: Path, side: int) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """(n, H, W) or (n, H, W, 3), and classes, if there are some."""
    if place.suffix == ".npz":
        with np.load(place) as data:
            return data["x"], data["y"]
    found = []
    for file in sorted(place.iterdir()):
        with Image.open(file) as image:
            drawn = image.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
            found.append(
                np.asarray(Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn))[..., :3]
            )
    return np.stack(found), None


def saved(samples: Tensor, file: Path) -> None:
    """The first hundred as one picture."""
    from diffusion_studio.data.imageset import to_uint8
    from diffusion_studio.engine.files.pictures import save_grid

    save_grid(file, to_uint8(samples[:100].numpy()).transpose(0, 2, 3, 1), {})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--unconditional", action="store_true")
    parser.add_argument("--guidance", type=float, default=1.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000, help="samples of each: slow networks take long")
    parser.add_argument("--peers", nargs="*", default=[])
    parser.add_argument("--without", action="store_true", help="the peers alone, without the product")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    pixels, labels = pictures_of(options.pictures, options.side)
    x = (
        torch.from_numpy(pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)).float()
        / 127.5
        - 1
    )
    count = options.count
    judge = Fixed(x.shape[1]) if labels is None else judge_of(x, torch.from_numpy(labels))
    real = judge.of(x)
    mixed = np.random.default_rng(0).permutation(len(x))
    rows = [("real pictures", "", f"{frechet(real[mixed[:count]], real[mixed[count:]]):.3g}", "")]

    def row(name: str, steps: int, samples: Tensor, asked: Tensor | None) -> None:
        near = F.interpolate(samples.float(), x.shape[-1], mode="bilinear").clamp(-1, 1)
        share = ""
        if asked is not None and isinstance(judge, Judge):
            with torch.inference_mode():
                share = f"{float((judge(near).argmax(1) == asked).float().mean()):.3f}"
        rows.append((name, str(steps), f"{frechet(judge.of(near), real):.3g}", share))
        print(*rows[-1], flush=True)
        if options.save:
            saved(near, options.save.with_stem(f"{options.save.stem}-{name.replace(' ', '-')}"))

    sets = [
        f"seed={options.seed}",
        *options.set,
        *(["model.conditional=false"] if options.unconditional else []),
    ]
    if not options.without:
        with tempfile.TemporaryDirectory() as where:
            folder = Path(where) / "pictures"
            write_folder(folder, pixels, labels)
            without = labels is None or options.unconditional
            guidance = 1.0 if without else options.guidance
            samples, asked, steps = product(folder, options.seconds, sets, Path(where), guidance, count)
            row("the product", steps, samples, None if without else asked)
    for name in PEERS if options.peers == ["all"] else options.peers:
        torch.manual_seed(options.seed)
        try:
            drawn, taken = PEERS[name](x, options.seconds, count)
        except ModuleNotFoundError as missing:
            rows.append((name, "", f"needs {missing.name}", ""))
        else:
            row(name, taken, drawn, None)
    table((f"{options.seconds:.0f} s", "steps", "Fréchet distance", "recognised as asked"), rows)


if __name__ == "__main__":
    say_machine()
    main()
