"""The command line: the same engine without a window."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from typer.core import TyperCommand

import diffusion_studio
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.files.log import kept_log

app = typer.Typer(
    name="diffusion-studio",
    help="A desktop laboratory for diffusion models. Without a command it opens the window: "
    "diffusion-studio [PATH], where PATH is a folder of images or a run.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class _WithKeys(TyperCommand):
    """A command whose help lists every key of --set; the list is made only when it is read."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from diffusion_studio.engine.runs.config import RunConfig

        _write_choices(formatter, RunConfig())


class _WithClassifierKeys(TyperCommand):
    """The same for the keys of a classifier."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from diffusion_studio.engine.classifier.training import ClassifierSpec

        _write_choices(formatter, ClassifierSpec())


class _WithSamplers(TyperCommand):
    """A command whose help lists every sampler, every rule for τ and every key of --set."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`--classifier` may stand alone; it acts on ε̂ then."""
        given = [
            f"{arg}=eps" if arg == "--classifier" and after not in ("eps", "mean") else arg
            for arg, after in zip(args, [*args[1:], ""], strict=True)
        ]
        return super().parse_args(ctx, given)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from diffusion_studio.engine.chains.sample_spec import SampleSpec

        _write_choices(
            formatter, SampleSpec(), {"sampler": "--sampler", "spacing": "--tau", "clip": "--clip"}
        )


def _write_choices(formatter: Any, choice: Any, options: Mapping[str, str] = MappingProxyType({})) -> None:
    """Every member of every family that `choice` takes one of, and every key of --set.

    `options` are those that choose from a family, by its path; the others are chosen by --set PATH.kind=….
    """
    from diffusion_studio.core.describe import every_knob, families, members

    for path, base in families(choice).items():
        with formatter.section(f"{base.family}, by {options.get(path, f'--set {path}.kind=')}"):
            found = members(base).items()
            formatter.write_dl([(kind, f"{cls.title}: {cls.summary}") for kind, cls in found])
    with formatter.section("Keys of --set, with bounds and defaults"):
        formatter.write_dl([(k.path, _describe(k)) for k in every_knob(choice)], col_max=32)


def _describe(k: Any) -> str:
    low = "-∞" if k.low is None else f"{k.low:g}"
    high = "∞" if k.high is None else f"{k.high:g}"
    bounds = f" {low} … {high}" if k.low is not None or k.high is not None else ""
    options = f" one of {', '.join(str(v) for v, _ in k.options)}" if k.options else ""
    unit = f" {k.unit}" if k.unit else ""
    default = "empty" if k.default in ("", ()) else k.default
    return f"{k.help} [{k.type}{options}{bounds}{unit}; default {default}]"


def _fail(sentence: str, code: int = 1) -> NoReturn:
    raise typer.Exit(_complain(sentence, code))


def _complain(sentence: str, code: int = 1) -> int:
    errors.print(sentence, style="red" if code == 1 else "yellow")
    return code


@contextlib.contextmanager
def _usage() -> Iterator[None]:
    """Options that are refused are wrong usage."""
    try:
        yield
    except Refused as error:
        _fail(str(error), 2)


Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], typer.Option("--device", help="What to compute on.")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, max=2**31 - 1, help="Same seed, same numbers.")]


@app.command(cls=_WithKeys)
def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder of images, or the word digits.")],
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="The run folder; a new one by default.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Stop after so many steps in all.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.001, help="Stop after so much training time in all.")
    ] = None,
    seed: Seed = None,
    device: Device = "auto",
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a parameter; see the keys below."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR.")] = False,
) -> None:
    """Train a model on DATA. Ctrl+C stops and saves; without --steps or --seconds it trains until then."""
    from diffusion_studio.engine.runs.config import RunConfig
    from diffusion_studio.engine.runs.run import Run

    if resume and run is None:
        _fail("--resume needs --run DIR.", 2)
    config = Run.open(run).config if resume and run else RunConfig()
    changes = {"training.steps": steps, "training.seconds": seconds, "seed": seed}
    with _usage():
        config = _changed(
            config, [f"{k}={v}" for k, v in changes.items() if v is not None] + list(sets or [])
        )
        if resume and (steps or seconds):  # the given limit replaces the earlier one
            config = _changed(config, [f"training.steps={steps or 0}", f"training.seconds={seconds or 0}"])
    _train(_with_source(config, data, resume), run, device, resume)


def _changed(config: Any, pairs: list[str]) -> Any:
    from diffusion_studio.core.describe import with_value

    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise Refused(f"--set takes KEY=VALUE; got {pair!r}.")
        config = with_value(config, key.strip(), value.strip())
    return config


def _with_source(config: Any, data: str, resume: bool) -> Any:
    from diffusion_studio.core.describe import with_value
    from diffusion_studio.data.spec import DIGITS

    source = data if data == DIGITS else str(Path(data).expanduser().absolute())
    if resume and source != config.data.source:
        raise Refused(f"This run was trained on {config.data.source}, not on {source}.")
    return with_value(config, "data.source", source)


def _train(config: Any, path: Path | None, device_name: str, resume: bool) -> None:
    from diffusion_studio.engine.files.places import runs_dir
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.machine.devices import choose_device
    from diffusion_studio.engine.runs.run import new_run_path
    from diffusion_studio.engine.training.session import new_session, resumed_session
    from diffusion_studio.engine.training.trainer import train as training

    control, device = Control(), choose_device(device_name)
    path = path or new_run_path(runs_dir(), Path(config.data.source).name)
    with _bar() as bar, _stopping_on_signals(control):
        reading = bar.add_task("reading images", total=None)
        reader = lambda done, total: bar.update(reading, completed=done, total=total)  # noqa: E731
        if resume:
            session = resumed_session(path, device, config, reader, lambda: control.stopped)
        else:
            session = new_session(path, config, device, reader, lambda: control.stopped)
        bar.remove_task(reading)
        _watch(training(session, control), bar, control)
    skipped = len(session.images.skipped)
    if skipped:
        what = "1 file was" if skipped == 1 else f"{skipped} files were"
        errors.print(f"{what} skipped; see {path / 'data.json'} for the reasons.")
    typer.echo(path)


def _bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), _Detail(), console=errors)


class _Detail(TextColumn):
    """What stands behind the bar; empty for tasks that have none."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Any) -> Any:
        from rich.text import Text

        return Text(str(task.fields.get("detail", "")))


def _watch(stream: Iterator[Any], bar: Progress, control: Any) -> None:
    """Shows the events of a training; raises Refused with the sentence of a failure."""
    from diffusion_studio.engine.jobs import events

    task = bar.add_task("training", total=None)
    failure = ""
    for event in stream:
        match event:
            case events.Progress():
                total = event.fraction or None
                bar.update(
                    task, completed=event.fraction, total=1.0 if total else None, detail=_detail(event)
                )
            case events.Warned(message=message):
                errors.print(message, style="yellow")
            case events.Paused(reason=reason) if reason:
                failure = reason
                control.stop()
            case events.Finished(outcome="failed", message=message):
                failure = message
            case events.Finished(message=message):
                errors.print(message)
    if failure:
        raise Refused(failure)


def _detail(event: Any) -> str:
    left = event.seconds_left
    ending = f" · {left:.0f} s left" if left is not None else ""
    loss = float(event.losses[-1])
    return f"step {event.step} · {event.images_per_second:.0f} images/s · loss {loss:.4f}{ending}"


@contextlib.contextmanager
def _stopping_on_signals(control: Any) -> Iterator[None]:
    """The first Ctrl+C or SIGTERM stops in good order; a second one interrupts at once."""

    def stop(number: int, frame: Any) -> None:
        if control.stopped:
            raise KeyboardInterrupt
        errors.print("Stopping and saving …")
        control.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@app.command(cls=_WithSamplers)
def sample(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run, a checkpoint, a model folder, or memorising:DATA."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="A .png (grid), .gif, .webp, .apng (chain) or .npz."),
    ],
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="The rule of each reverse step; see below.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Reverse steps S.")] = 50,
    eta: Annotated[float | None, typer.Option("--eta", help="Stochasticity η of DDIM, 0 … 1.")] = None,
    tau: Annotated[
        str | None,
        typer.Option("--tau", metavar="RULE|TIMES", help="Visited times: a rule, or rising numbers 1,50,…"),
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option("--sigma", metavar="σ|t:σ,…", help="Noise of the steps by hand: one number or a curve."),
    ] = None,
    clip: Annotated[str | None, typer.Option("--clip", help="What is done to x̂_0; see below.")] = None,
    invert: Annotated[
        list[Path] | None,
        typer.Option("--invert", metavar="IMAGE", help="Begin at the noise that DDIM finds for it."),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Number of images; 16, or those to invert.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="CLASS",
            help="The class, by number or name; −2 for none. All in turn by default.",
        ),
    ] = None,
    guidance: Annotated[
        float, typer.Option("--guidance", help="γ: 0 no class, 1 the class, more exaggerates it.")
    ] = 1.0,
    classifier: Annotated[
        str | None,
        typer.Option(
            "--classifier",
            metavar="[eps|mean]",
            help="Let the classifier of RUN guide: ε̂ (when left out), or the mean of each step.",
        ),
    ] = None,
    negative: Annotated[
        str | None,
        typer.Option("--negative", metavar="CLASS", help="Guide away from this class: “not a 3”."),
    ] = None,
    guidance_curve: Annotated[
        str | None,
        typer.Option(
            "--guidance-curve",
            metavar="CURVE",
            help="γ over the chain: constant, interval or drawn; 0.2-0.8 is an interval of t/T, "
            "0:1,0.5:2,1:0 a curve of t/T:share of γ.",
        ),
    ] = None,
    seed: Seed = 0,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set any other parameter; see the keys below."),
    ] = None,
    trajectory: Annotated[
        bool, typer.Option("--trajectory", help="Also write every state of the chain (.npz).")
    ] = False,
    device: Device = "auto",
) -> None:
    """Sample from a trained model."""
    from diffusion_studio.engine.chains.command import spec_of
    from diffusion_studio.engine.chains.export import check_suffix
    from diffusion_studio.engine.chains.source import class_names_of

    with _usage():
        check_suffix(out)
        if trajectory and out.suffix.lower() != ".npz":
            raise Refused(f"--trajectory writes numbers, so {out.name} should end in .npz.")
        spec = spec_of(
            sampler=sampler, steps=steps, eta=eta, tau=tau, sigma=sigma, clip=clip, invert=invert or [],
            count=count, label=label, guidance=guidance, classifier=classifier, negative=negative,
            guidance_curve=guidance_curve, seed=seed, sets=sets or [], names=lambda: class_names_of(run),
        )  # fmt: skip
    _sample(run, out, spec, trajectory, device)
    typer.echo(out)


def _sample(name: str, out: Path, spec: Any, trajectory: bool, device_name: str) -> None:
    from diffusion_studio.engine.chains.chain import Chain
    from diffusion_studio.engine.chains.export import run_chain, save_samples
    from diffusion_studio.engine.chains.source import open_named
    from diffusion_studio.engine.files.pictures import ANIMATIONS
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.machine.devices import choose_device

    device, control = choose_device(device_name), Control()
    source = open_named(name, device)
    for note in source.notes:
        errors.print(note, style="yellow")
    chain = Chain(source, spec, device)
    with _bar() as bar, _stopping_on_signals(control):
        task = bar.add_task("sampling", total=None)
        show = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
        samples = run_chain(chain, trajectory or out.suffix.lower() in ANIMATIONS, show, control)
    if samples is None:
        raise Refused("Stopped; nothing was written.")
    settings = {"model": source.name, "step": source.step, "sample": spec.model_dump(mode="json")}
    save_samples(out, samples, settings, trajectory)


@app.command("train-classifier", cls=_WithClassifierKeys)
def train_classifier(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run that has a checkpoint.")],
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Stop after so many steps.")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.001, help="Stop after so much training time; 30 s.")
    ] = None,
    seed: Seed = 0,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a parameter; see the keys below."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Train a classifier of noisy images on the data of RUN, and keep it there: it can guide the chains of
    RUN to a class, even where the model itself knows none. Ctrl+C stops and saves."""
    from diffusion_studio.engine.classifier.training import ClassifierSpec

    limit = {"steps": steps or 0, "seconds": seconds or 0} if steps or seconds else {}
    given = [f"{key}={value}" for key, value in ({"seed": seed or 0} | limit).items()]
    with _usage():
        spec = _changed(ClassifierSpec(), [*given, *(sets or [])])
    typer.echo(_train_classifier(run, spec, device))


def _train_classifier(path: Path, spec: Any, device_name: str) -> str:
    """What the trained classifier knows, in words."""
    from diffusion_studio.engine.classifier.accuracy import accuracy_sentence
    from diffusion_studio.engine.classifier.training import AccuracyMeasured, train_classifier
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.machine.devices import choose_device

    control, device, known = Control(), choose_device(device_name), ""

    def stream() -> Iterator[Any]:
        nonlocal known
        for event in train_classifier(path, spec, device, control):
            if isinstance(event, AccuracyMeasured) and event.final:
                known = accuracy_sentence(event.curve, event.classes)
            yield event

    with _bar() as bar, _stopping_on_signals(control):
        _watch(stream(), bar, control)
    if not known:
        raise Refused("Stopped; nothing was written.")
    return known


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run that has a checkpoint.")],
    elbo: Annotated[bool, typer.Option("--elbo", help="Measure the bound on −log p, term by term.")] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="Draw samples and compare them with the training images.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write every number to this .json file.")
    ] = None,
    images: Annotated[int, typer.Option("--images", min=2, help="Images of the bound, at most.")] = 64,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Draws of noise for each of them.")] = 2,
    samples: Annotated[int, typer.Option("--samples", min=2, help="Samples of the quality.")] = 500,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Measure a trained model; without --elbo or --quality, both. The run keeps images apart for the bound
    if it was trained with --set data.held_out=0.1."""
    from diffusion_studio.engine.evaluation.evaluation import EvaluationSpec

    if out is not None and out.suffix.lower() != ".json":
        _fail(f"{out.name} should end in .json.", 2)
    both = not elbo and not quality
    spec = EvaluationSpec(elbo or both, quality or both, images, draws, samples, seed or 0)
    _evaluate(run, spec, out, device)


def _evaluate(path: Path, spec: Any, out: Path | None, device_name: str) -> None:
    from diffusion_studio.engine.evaluation.evaluation import Evaluated, evaluate
    from diffusion_studio.engine.evaluation.text import lines
    from diffusion_studio.engine.files.files import to_json, write_atomically
    from diffusion_studio.engine.jobs import events
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.machine.devices import choose_device

    device, control = choose_device(device_name), Control()
    found = None
    with _bar() as bar, _stopping_on_signals(control):
        task = bar.add_task("opening", total=None)
        for event in evaluate(path, spec, device, control):
            match event:
                case events.Preparing(what=what, done=done, total=total):
                    bar.update(task, description=what, completed=done, total=total or None)
                case Evaluated():
                    found = event
    if found is None:
        raise Refused("Stopped; nothing was written.")
    for note in found.notes:
        errors.print(note, style="yellow")
    for line in lines(found.evaluation):
        typer.echo(line)
    if out is not None:
        write_atomically(out, to_json(found.evaluation.to_dict()))
        typer.echo(out)


@app.command()
def doctor() -> None:
    """Show versions, devices and missing libraries, and what to do about each."""
    from diffusion_studio.engine.machine.doctor import diagnose, report

    findings = diagnose()
    typer.echo(report(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(diffusion_studio.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit code: 0 done, 1 failed with a sentence, 2 wrong usage."""
    with kept_log("commands.log"):
        try:
            app(arguments)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        except Cancelled:
            return _complain("Stopped; nothing was written.")
        except Exception as error:
            from diffusion_studio.engine.jobs.failures import words_for

            return _complain(words_for(error))
    return 0
