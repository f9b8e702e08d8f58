"""What guidance is worth on the built-in digits.

    python -m benchmarks.guidance trade [--run RUN] [--seconds 60] [--count 1000]
    python -m benchmarks.guidance cost
    python -m benchmarks.guidance classifier [--run RUN] [--unconditional RUN] [--seconds 60]

trade       classifier-free: share that an SVM takes for the class asked for, recall, variety and Fréchet
            distance over γ.
cost        a guided chain ÷ an unguided one, at γ = 3 (budget 2.1) and γ = 1 (1.05).
classifier  a classifier of noisy images is trained beside a class-conditional run, and its accuracy on images
            that it never saw printed over t. Then one is trained beside an unconditional run and guides 500
            of its chains to a class each; an SVM (RBF, fitted on the real digits) says how many it recognises
            as asked for.

Runs that are not given are trained first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from benchmarks.digits import command, frechet
from benchmarks.measuring import against, interleaved, paired_ratio, say_machine, table
from benchmarks.sampling import CASES, CPU, chain_loop, source_for
from diffusion_studio.core.guidance.guides import ByClassifier
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.export import run_chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import open_source, training_images
from diffusion_studio.engine.classifier.files import read_card
from diffusion_studio.engine.evaluation.guidance_sweep import Judge, sweep
from diffusion_studio.engine.runs.quality import QualitySpace

KNOWS, GUESSES, OBEYS = 0.95, 0.20, 0.85  # budgets
GAMMAS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
COSTS = {3.0: 2.1, 1.0: 1.05}
STRENGTHS = (0, 1, 2, 4, 8, 16)
SHOWN = 8  # times whose accuracy is printed
COUNT, STEPS = 500, 50


def run_of(given: Path | None, folder: Path, name: str, seconds: float, *sets: str) -> Path:
    """The run that is given, or a new one in `folder`."""
    if given is not None:
        return given
    options = [word for pair in sets for word in ("--set", pair)]
    command("train", "digits", "--run", str(folder / name), "--seconds", str(seconds), *options)
    return folder / name


def trade(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        show_trade(run_of(options.run, Path(folder), "digits", options.seconds), options.count)


def show_trade(run: Path, count: int) -> None:
    images, source = training_images(str(run)), open_source(run, CPU)
    judge, space = Judge(images), QualitySpace(images.images)
    print(f"step {source.step}, {count} samples for each γ, 50 DDIM steps; judge: {judge.accuracy:.3f}")
    rows = []
    for found in sweep(Chain(source, SampleSpec(), CPU), judge, space, count, GAMMAS):
        if found is not None:
            numbers = (found.adherence, found.recall, found.precision, found.diversity, found.frechet)
            rows.append((f"{found.gamma:g}", *(f"{number:.3f}" for number in numbers)))
    table(("γ", "as asked", "recall", "precision", "variety", "Fréchet"), rows)


def cost(options: argparse.Namespace) -> None:
    rows = []
    for name, resolution, channels, _, count, _ in CASES:
        source = source_for(resolution, channels, 10)
        chains = {
            gamma: Chain(source, SampleSpec(count=count, steps=25, guidance=gamma), CPU)
            for gamma in (0.0, *COSTS)
        }
        rounds = interleaved([chain_loop(chain) for chain in chains.values()], 20 if resolution == 8 else 8)
        for values, (gamma, budget) in zip(rounds[1:], COSTS.items(), strict=True):
            ratio = paired_ratio(values, rounds[0])
            rows.append((name, count, f"{gamma:g}", f"{ratio:.3f}", f"≤ {budget}", against(ratio, budget)))
    table(("model", "images", "γ", "÷ unguided", "budget", ""), rows)


def accuracy_over_t(run: Path, seconds: float) -> None:
    command("train-classifier", str(run), "--seconds", str(seconds))
    card = read_card(run)
    assert card is not None
    t, accuracy = np.array(card.accuracy.t), np.array(card.accuracy.accuracy)
    places = np.linspace(0, len(t) - 1, SHOWN).round().astype(int)
    table(("t", *(str(t[k]) for k in places)), [("right", *(f"{accuracy[k]:.3f}" for k in places))])
    first, last = accuracy[0], accuracy[-1]
    print(f"at the lowest noise {first:.3f}  ≥ {KNOWS}  {against(first, KNOWS, least=True)}")
    print(f"at t = T            {last:.3f}  ≤ {GUESSES}  {against(last, GUESSES)}")


def guided_digits(run: Path, seconds: float) -> None:
    command("train-classifier", str(run), "--seconds", str(seconds))
    digits = load_digits()
    svm, real = SVC().fit(digits.data / 16, digits.target), digits.data / 16
    space = QualitySpace((digits.images[:, None] / 16 * 255).round().astype(np.uint8))
    source = open_source(run, CPU)
    assert source.classifier is not None and not source.class_names
    rows, best = [], 0.0
    for name, guide, sampler in (
        ("ε̂, DDIM", ByClassifier(), DDIM()),
        ("ε̂, η = 1", ByClassifier(), DDIM(eta=1)),
        ("mean, η = 1", ByClassifier(form="mean"), DDIM(eta=1)),
    ):
        for gamma in STRENGTHS:
            spec = SampleSpec(guide=guide, sampler=sampler, guidance=gamma, count=COUNT, steps=STEPS)
            found = run_chain(Chain(source, spec, CPU), False)
            assert found is not None
            pixels = (found.samples.reshape(COUNT, -1) + 1) / 2
            obeyed = float((svm.predict(pixels) == np.arange(COUNT) % 10).mean())
            quality = space.measure((255 * pixels.reshape(COUNT, 1, 8, 8)).round().astype(np.uint8))
            best = max(best, obeyed)
            rows.append((
                name, gamma, f"{obeyed:.3f}", f"{frechet(pixels, real):.3f}",
                f"{quality.precision:.2f}", f"{quality.recall:.2f}",
            ))  # fmt: skip
    table(("form, sampler", "γ", "as asked", "Frechet", "precision", "recall"), rows)
    print(f"best                {best:.3f}  ≥ {OBEYS}  {against(best, OBEYS, least=True)}")


def classifier(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        accuracy_over_t(run_of(options.run, folder, "digits", options.seconds), options.seconds)
        unconditional = run_of(
            options.unconditional, folder, "unconditional", options.seconds, "model.conditional=false"
        )
        guided_digits(unconditional, options.seconds)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parts = parser.add_subparsers(dest="what", required=True)
    for part in (trade, cost, classifier):
        one = parts.add_parser(part.__name__)
        one.set_defaults(part=part)
        one.add_argument("--run", type=Path)
        one.add_argument("--unconditional", type=Path)
        one.add_argument("--seconds", type=float, default=60)
        one.add_argument("--count", type=int, default=1000)
    options = parser.parse_args(arguments)
    options.part(options)


if __name__ == "__main__":
    say_machine()
    main(sys.argv[1:])
