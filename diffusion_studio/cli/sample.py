"""`sample`: reverse chains of a trained model, as pictures or numbers."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from diffusion_studio.cli.bar import bar
from diffusion_studio.cli.codes import check_plain, holds_code, sample_code
from diffusion_studio.cli.options import Device, Force, Seed, named_path, plain_app
from diffusion_studio.cli.sentences import note, tell, usage
from diffusion_studio.cli.sets import write_choices
from diffusion_studio.cli.signals import stopping_on_signals
from diffusion_studio.cli.target import check_target
from diffusion_studio.core.guidance.guides import ClassifierFree
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.command import spec_of, taken_by_number
from diffusion_studio.engine.chains.export import check_suffix, run_chain, save_samples
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import class_names_of, open_named
from diffusion_studio.engine.files.pictures import ANIMATIONS
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device

app = plain_app()

Model = Annotated[
    str, typer.Argument(metavar="RUN", help="A run, a checkpoint, a model folder, or memorising:DATA.")
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FILE",
        parser=named_path,
        help="A .png (grid), .gif, .webp, .apng, .mp4 (chain) or .npz.",
    ),
]
SamplerName = Annotated[
    str | None, typer.Option("--sampler", help="The rule of each reverse step; see below.")
]
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, help="Reverse steps S; 50, or T where that is less.")
]
Eta = Annotated[float | None, typer.Option("--eta", help="Stochasticity η of DDIM, 0 … 1.")]
Tau = Annotated[
    str | None,
    typer.Option("--tau", metavar="RULE|TIMES", help="Visited times: a rule, or rising numbers 1,50,…"),
]
Sigma = Annotated[
    str | None,
    typer.Option("--sigma", metavar="σ|t:σ,…", help="Noise of the steps by hand: one number or a curve."),
]
Clip = Annotated[str | None, typer.Option("--clip", help="What is done to x̂_0; see below.")]
Invert = Annotated[
    list[Path] | None,
    typer.Option(
        "--invert", metavar="IMAGE", parser=named_path, help="Begin at the noise that DDIM finds for it."
    ),
]
Count = Annotated[
    int | None, typer.Option("--count", min=1, help="Number of images; 16, or those to invert.")
]
Label = Annotated[
    str | None,
    typer.Option(
        "--label", metavar="CLASS", help="The class, by name or number; −2 for none. All in turn by default."
    ),
]
Gamma = Annotated[float, typer.Option("--guidance", help="γ: 0 no class, 1 the class, more exaggerates it.")]
Classifier = Annotated[
    str | None,
    typer.Option(
        "--classifier",
        metavar="[eps|mean]",
        help="Let the classifier of RUN guide: ε̂ (when left out), or the mean of each step.",
    ),
]
Negative = Annotated[
    str | None, typer.Option("--negative", metavar="CLASS", help="Guide away from this class: “not a 3”.")
]
GammaCurve = Annotated[
    str | None,
    typer.Option(
        "--guidance-curve",
        metavar="CURVE",
        help="γ over the chain: a kind, see below; 0.2-0.8 is an interval of t/T, "
        "0:1,0.5:2,1:0 a curve of t/T:share of γ.",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any other parameter; see the keys below."),
]
WithStates = Annotated[bool, typer.Option("--trajectory", help="Also write every state of the chain (.npz).")]


class _Sample(TyperCommand):
    """Its help lists every sampler, every rule for τ and every key of --set."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`--classifier` may stand alone; it acts on ε̂ then."""
        given = [
            f"{arg}=eps" if arg == "--classifier" and after not in ("eps", "mean") else arg
            for arg, after in pairwise([*args, ""])
        ]
        return super().parse_args(ctx, given)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        options = {"sampler": "--sampler", "spacing": "--tau", "clip": "--clip"}
        write_choices(formatter, SampleSpec(), options)


@app.command(cls=_Sample)
def sample(
    run: Model,
    out: Out,
    sampler: SamplerName = None,
    steps: Steps = None,
    eta: Eta = None,
    tau: Tau = None,
    sigma: Sigma = None,
    clip: Clip = None,
    invert: Invert = None,
    count: Count = None,
    label: Label = None,
    guidance: Gamma = 1.0,
    classifier: Classifier = None,
    negative: Negative = None,
    guidance_curve: GammaCurve = None,
    seed: Seed = 0,
    sets: Sets = None,
    trajectory: WithStates = False,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Sample from a trained model."""
    with usage():
        if not run.strip():
            raise Refused("Name a run, a checkpoint or a model folder; nothing is named here.")
        check_suffix(out)
        check_target(out, force)
    if holds_code(Path(run)):
        chain = {"--sampler": sampler, "--eta": eta, "--tau": tau, "--sigma": sigma, "--clip": clip,
                 "--invert": invert, "--label": label, "--classifier": classifier, "--negative": negative,
                 "--guidance-curve": guidance_curve, "--set": sets, "--trajectory": trajectory}  # fmt: skip
        check_plain(out, chain | {"--steps": steps, "--guidance": guidance != 1})
        sample_code(Path(run), out, count or 16, seed or 0, choose_device(device))
        tell(out)
        return
    with usage():
        if trajectory and out.suffix.lower() != ".npz":
            raise Refused(f"--trajectory writes numbers, so {out.name} should end in .npz.")
        spec = spec_of(
            sampler=sampler, steps=steps or SampleSpec().steps, eta=eta, tau=tau, sigma=sigma, clip=clip,
            invert=invert or [], count=count, label=label, guidance=guidance, classifier=classifier,
            negative=negative, guidance_curve=guidance_curve, seed=seed, sets=sets or [],
            names=lambda: _names(run),
        )  # fmt: skip
    for asked in (label, negative):
        if sentence := taken_by_number(asked, lambda: _names(run)):
            note(sentence)
    _sample(run, out, spec, trajectory, device, fitted=steps is None)
    tell(out)


@cache
def _names(name: str) -> tuple[str, ...]:
    """The names of the classes; none where there is nothing that can be opened, which is said later."""
    try:
        return class_names_of(name)
    except Refused:
        return ()


def _without_classes(name: str, spec: SampleSpec) -> None:
    """Says what cannot act where a network was told no classes."""
    if spec.guide.other_classes:
        raise Refused(f"{name} was trained without labels, so there is no class to lead to or away from.")
    if spec.guidance != 1:
        note(f"{name} was trained without labels, so --guidance does nothing.")


def _sample(name: str, out: Path, spec: SampleSpec, trajectory: bool, device_name: str, fitted: bool) -> None:
    device, control = choose_device(device_name), Control()
    source = open_named(name, device)
    for sentence in source.notes:
        note(sentence)
    if fitted:
        spec = spec.model_copy(update={"steps": min(spec.steps, source.tables.steps)})
    chain = Chain(source, spec, device)
    if isinstance(spec.guide, ClassifierFree) and not chain.class_names:
        _without_classes(source.name, spec)
    if isinstance(spec.guide, ClassifierFree) and spec.guide.negative >= 0 and spec.guidance == 1:
        note("With --guidance 1 the class alone counts, so --negative does nothing; 3 is a usual number.")
    with bar() as shown, stopping_on_signals(control):
        task = shown.add_task("sampling", total=None)

        def show(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total)

        samples = run_chain(chain, trajectory or out.suffix.lower() in ANIMATIONS, show, control)
    if samples is None:
        raise Cancelled
    settings = {"model": source.name, "step": source.step, "sample": spec.model_dump(mode="json")}
    save_samples(out, samples, settings, trajectory)
