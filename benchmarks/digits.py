"""How good are the digits after a minute of training?

    python benchmarks/digits.py [--seconds 60] [--seed 0] [--sampler ddim] [--set key=value ...]

Trains through the command line, draws 1,000 class-conditional samples with 50 steps (of DDIM, or of another
sampler) and prints

- the share of samples that an SVM (RBF), fitted on the real digits, recognises as the class asked for;
- the Fréchet distance √(‖μ₁−μ₂‖² + tr(C₁ + C₂ − 2(C₁C₂)^½)) in pixel space, pixels in [0, 1], to the real
  set, beside the one between two random halves of the real set;
- the median distance to the nearest training image, beside the same of real images to other real ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two Gaussians fitted to (n, D) and (m, D)."""
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    ca, cb = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(ca)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ cb @ root).clip(0)).sum()
    return float(np.sqrt(max(mean + np.trace(ca) + np.trace(cb) - 2 * overlap, 0)))


def nearest(a: np.ndarray, b: np.ndarray, skip_self: bool) -> float:
    """Median over a of the distance to the nearest of b."""
    distances = np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0))
    if skip_self:
        np.fill_diagonal(distances, np.inf)
    return float(np.median(distances.min(1)))


def command(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "diffusion_studio", *arguments], check=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guidance", default="1")
    parser.add_argument("--sampler", default="ddim")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run, out = str(Path(folder) / "run"), str(Path(folder) / "samples.npz")
        sets = [part for pair in options.set for part in ("--set", pair)]
        command(
            "train",
            "digits",
            "--run",
            run,
            "--seconds",
            str(options.seconds),
            "--seed",
            str(options.seed),
            *sets,
        )
        command(
            "sample", run, "--out", out, "--count", "1000", "--steps", "50", "--guidance", options.guidance,
            "--sampler", options.sampler,
        )  # fmt: skip
        with np.load(out) as data:
            samples, labels = data["samples"].reshape(1000, -1), data["labels"]
    digits = load_digits()
    real = digits.data / 16
    fake = (samples + 1) / 2
    svm = SVC().fit(real, digits.target)
    shuffled = np.random.default_rng(0).permutation(len(real))
    half = len(real) // 2
    print(f"SVM, held out, on real digits   {cross_val_score(SVC(), real, digits.target, cv=5).mean():.3f}")
    print(f"recognised as asked             {(svm.predict(fake) == labels).mean():.3f}")
    print(f"Frechet distance                {frechet(fake, real):.3f}")
    print(f"  two halves of the real set    {frechet(real[shuffled[:half]], real[shuffled[half:]]):.3f}")
    print(f"  in [-1, 1], squared           {4 * frechet(fake, real) ** 2:.3f}")
    print(f"nearest training image          {nearest(fake, real, False):.3f}")
    print(f"  real to another real          {nearest(real, real, True):.3f}")


if __name__ == "__main__":
    main()
