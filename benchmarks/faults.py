"""Kills and faults of the disk in every command: what is kept, what is said, and whether it goes on.

    python -m benchmarks.faults kills [--count 500] [--seed 0] [--only "first start" …]
    python -m benchmarks.faults disk [--every 1] [--only "first start" …]

`kills` runs each command in a process that ends by SIGKILL, half of them at a random time and half at one of
its changes of the disk (a file opened to be written, each single write, a flush, a rename, a folder made or
removed; those of SQLite too), and looks at what it left: nothing that was saved is lost, a file is the one of
before or the new one, and the same command, asked again, comes to its end. `disk` lets each of these changes
fail once, one after another, half of them as on a full disk and half as on a broken one: the command ends
well or with a sentence, says “saved” only of what is, and comes to its end when asked again (trainings make
one save in it, and three in `kills`). Exit code 1 where something was lost, a traceback was written or a
sentence was missing.

Processes are forks of one that has imported everything, so that hundreds of them take minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.crashes import newest_complete, newest_named
from benchmarks.failing_disk import Disk, forget, run_under_it
from benchmarks.measuring import table

TINY = [
    word
    for pair in (
        "model.width=8", "model.multipliers=1,2", "model.layers=1", "model.attention=0", "diffusion.steps=20",
        "data.resolution=8", "training.batch_size=8", "training.checkpoint_every=2", "data.held_out=0.2",
        "training.preview_count=4", "training.preview_share=0.5",
    )
    for word in ("--set", pair)
]  # fmt: skip
SLOWEST = 60.0  # seconds that a command may take
SWEEP = "sweep"
MANY, ONE = 6, 2  # steps of a training, with a save after every second


def begin(arguments: list[str], disk: Disk, said: Path) -> int:
    """Runs a command in a fork; what it prints goes into a file. The process's id."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb"), "utf-8", write_through=True)
        from diffusion_studio.cli.sentences import errors

        errors.file = io.TextIOWrapper(os.fdopen(2, "wb"), "utf-8", write_through=True)
        disk.install()
        code = run(arguments)
    finally:
        (said.with_suffix(".seen")).write_text(str(disk.seen()))
        os._exit(code)


def run(arguments: list[str]) -> int:
    """One command, or the sweep over γ, which only the window has; its exit code."""
    from diffusion_studio.cli.program import main
    from diffusion_studio.cli.sentences import complain
    from diffusion_studio.engine.jobs.failures import words_for

    if arguments[0] != SWEEP:
        return main(arguments)
    try:
        sweep_over(Path(arguments[1]))
    except Exception as error:
        return complain(words_for(error))
    return 0


def sweep_over(path: Path) -> None:
    """What guidance trades, measured with a run and its images."""
    import torch

    from diffusion_studio.engine.chains.chain import Chain
    from diffusion_studio.engine.chains.sample_spec import SampleSpec
    from diffusion_studio.engine.chains.source import open_source, training_images
    from diffusion_studio.engine.evaluation.guidance_sweep import Judge, sweep
    from diffusion_studio.engine.runs.quality import QualitySpace

    cpu = torch.device("cpu")
    images = training_images(str(path))
    chain = Chain(open_source(path, cpu), SampleSpec(steps=2), cpu)
    for _ in sweep(chain, Judge(images), QualitySpace(images.images), 8, (1.0, 2.0)):
        pass


def ended(pid: int, patience: float = SLOWEST) -> int:
    """The exit code of a process, negative for a signal; 98 when it does not end."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 98


# --- the commands, and what must be true of what they leave -----------------------------------------------


@dataclass
class Stage:
    """One command, on a copy of what it needs.

    Args:
        arguments: the command.
        sound: sentences about what it left and should not have.
        beside: another command that runs at the same time.
    """

    place: Path
    arguments: Callable[[Path], list[str]]
    sound: Callable[[Path], list[str]]
    beside: Callable[[Path], list[str]] | None = None


def picture(path: Path) -> list[str]:
    """A picture that is there is whole."""
    if not path.exists():
        return []
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:
        return [f"{path.name}: {error}"]
    return []


def runs_sound(place: Path) -> list[str]:
    """Every folder with a config.json opens, and its last checkpoint is whole."""
    import torch

    from diffusion_studio.core.refused import Refused
    from diffusion_studio.engine.autoencoder.model import open_model
    from diffusion_studio.engine.chains.source import open_source
    from diffusion_studio.engine.evaluation.evaluation import read_evaluation
    from diffusion_studio.engine.runs.config import RunConfig, TrainingConfig
    from diffusion_studio.engine.runs.run import Run, list_runs

    found = []
    for path in list_runs(place):
        try:
            run, saved = Run.open_as(path, TrainingConfig), newest_complete(path) >= 0
            if newest_named(path) != newest_complete(
                path
            ):  # then more is lost than since the last checkpoint
                found.append(f"{path.name}: step {newest_named(path)} bears its name and is not whole")
            if saved and isinstance(run.config, RunConfig):
                open_source(path, torch.device("cpu"))
                read_evaluation(Run.open(path))
            elif saved:
                open_model(path, torch.device("cpu"))
            run.metrics.segments(), run.metrics.quality()
            found += [run.metrics.problem] if run.metrics.problem else []
        except Refused as error:
            found.append(str(error))
    return found


def anew(folder: Path) -> Path:
    """The folder of an export, which another one must not have filled."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def model_sound(place: Path) -> list[str]:
    """An exported folder that bears its name is whole."""
    import torch

    from diffusion_studio.core.refused import Refused
    from diffusion_studio.engine.chains.source import open_source

    found = runs_sound(place)
    if (place / "model").exists():
        try:
            open_source(place / "model", torch.device("cpu"))
        except Refused as error:
            found.append(str(error))
    return found


def train(place: Path, run: str = "run", steps: int = MANY) -> list[str]:
    here = place / run
    more = ["--steps", str(steps), *TINY]
    if (here / "config.json").exists():
        more = ["--resume", "--steps", str(max(newest_complete(here), 0) + steps)]
    return ["train", str(place / "zoo"), "--run", str(here), *more]


def autoencoder(place: Path, steps: int = MANY) -> list[str]:
    here, sets = place / "code", ("code.width=16", "data.resolution=8", "training.checkpoint_every=2")
    more = ["--kind", "ae", "--steps", str(steps), *(word for each in sets for word in ("--set", each))]
    if (here / "config.json").exists():
        more = ["--resume", "--steps", str(max(newest_complete(here), 0) + steps)]
    return ["train-autoencoder", str(place / "zoo"), "--run", str(here), *more]


def stages(trained: Path, steps: int = MANY) -> dict[str, Stage]:
    run = trained / "run"
    assert run.is_dir()
    sample = ["--count", "4", "--steps", "4", "--force"]
    return {
        "first start": Stage(trained, partial(train, run="new", steps=steps), runs_sound),
        "two at one run": Stage(trained, train, runs_sound, beside=train),
        "training and saving": Stage(trained, partial(train, steps=steps), runs_sound),
        "reading a folder": Stage(
            trained, lambda p: ["sample", f"memorising:{p / 'zoo'}", "--out", str(p / "out.png"), *sample],
            lambda p: picture(p / "out.png"),
        ),
        "sampling": Stage(
            trained, lambda p: ["sample", str(p / "run"), "--out", str(p / "out.png"), *sample],
            lambda p: runs_sound(p) + picture(p / "out.png"),
        ),
        "evaluating": Stage(
            trained,
            lambda p: ["evaluate", str(p / "run"), "--images", "4", "--samples", "64", "--force", "--out",
                       str(p / "out.json")],
            runs_sound,
        ),
        "sampling an autoencoder": Stage(
            trained, lambda p: ["sample", str(p / "code"), "--out", str(p / "code.png"), "--count", "4",
                                "--force"],
            lambda p: runs_sound(p) + picture(p / "code.png"),
        ),
        "evaluating an autoencoder": Stage(
            trained,
            lambda p: ["evaluate", str(p / "code"), "--images", "4", "--samples", "64", "--force", "--out",
                       str(p / "code.json")],
            runs_sound,
        ),
        "exporting": Stage(
            trained, lambda p: ["export", str(p / "run"), str(anew(p / "model"))], model_sound,
        ),
        "a sweep over γ": Stage(trained, lambda p: [SWEEP, str(p / "run")], runs_sound),
        "an autoencoder": Stage(trained, partial(autoencoder, steps=steps), runs_sound),
        "a classifier": Stage(
            trained, lambda p: ["train-classifier", str(p / "run"), "--steps", "2", "--set", "width=8"],
            runs_sound,
        ),
    }  # fmt: skip


def prepared(place: Path) -> Path:
    """A folder of pictures and a trained run; every library is imported by this."""
    from diffusion_studio.cli.program import main

    zoo, chance = place / "zoo", np.random.default_rng(0)
    for name in ("ape", "bee", "cat"):
        (zoo / name).mkdir(parents=True)
        for number in range(40):
            Image.fromarray(chance.integers(0, 256, (8, 8), np.uint8)).save(zoo / name / f"{number}.png")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(train(place)) == 0 and main(autoencoder(place)) == 0
        for stage in stages(place).values():
            assert run(stage.arguments(place)) == 0, stage.arguments(place)
    for made in ("new", "model"):
        shutil.rmtree(place / made)
    return place


@contextlib.contextmanager
def copied(original: Path) -> Iterator[Path]:
    """The same place anew, with a home and a cache of its own."""
    place = original.parent / "attacked"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(original, place)
    # the images of the run lie in the copy
    for config in place.glob("*/config.json"):
        config.write_text(config.read_text().replace(str(original), str(place)))
    os.environ["DIFFUSION_STUDIO_HOME"] = str(place / "home")
    yield place


def complaints(place: Path, said: Path, code: int, *, killed: bool) -> list[str]:
    """What a command should not have said or done."""
    found = []
    words = said.read_text("utf-8", "replace") if said.exists() else ""
    log = place / "home" / "logs" / "commands.log"
    if "Traceback" in words or (log.exists() and "Traceback" in log.read_text("utf-8", "replace")):
        found.append(f"a traceback: {(words + (log.read_text() if log.exists() else ''))[-400:]!r}")
    if code == 98:
        found.append("it did not end")
    if not killed and code not in (0, 1):
        found.append(f"exit code {code}: {words[-200:]!r}")
    if not killed and code == 1 and not any(line.strip().endswith(".") for line in words.splitlines()):
        found.append(f"no sentence: {words[-200:]!r}")
    return found


def saved_steps(place: Path) -> dict[str, int]:
    """The newest complete checkpoint of each run."""
    return {path.parent.name: newest_complete(path.parent) for path in place.glob("*/config.json")}


def lost(place: Path, before: dict[str, int]) -> list[str]:
    now = saved_steps(place)
    return [f"step {step} of {name} was lost" for name, step in before.items() if now.get(name, -1) < step]


def again(stage: Stage, place: Path) -> list[str]:
    """Whether the same command, asked again without a fault, comes to its end."""
    said = place.parent / "again.txt"
    code = ended(begin(stage.arguments(place), Disk(str(place)), said))
    return [] if code == 0 else [f"asked again it ended with {code}: {said.read_text()[-300:]!r}"]


def kill_once(stage: Stage, place: Path, chance: random.Random, changes: int, usual: float) -> list[str]:
    before, said = saved_steps(place), place.parent / "said.txt"
    at = chance.randint(1, max(changes, 1)) if chance.random() < 0.5 else 0
    disk = Disk(str(place), at)
    other = begin(stage.beside(place), Disk(str(place)), place.parent / "other.txt") if stage.beside else 0
    pid = begin(stage.arguments(place), disk, said)
    if not at:
        time.sleep(chance.uniform(0, usual))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    code = ended(pid)
    found = complaints(place, said, code, killed=code < 0)
    if other:
        found += complaints(place, place.parent / "other.txt", ended(other), killed=False)
    found += lost(place, before)
    return [*found, *stage.sound(place), *again(stage, place), *stage.sound(place)]


def measure(stage: Stage, original: Path) -> tuple[int, float]:
    """How many changes of the disk a command makes, and how long it takes."""
    with copied(original) as place:
        start, said = time.monotonic(), place.parent / "said.txt"
        code = ended(begin(stage.arguments(place), Disk(str(place)), said))
        assert code == 0, said.read_text()
        return int(said.with_suffix(".seen").read_text()), time.monotonic() - start


def kills(original: Path, count: int, seed: int, known: dict[str, Stage]) -> int:
    chance = random.Random(seed)
    usual = {name: measure(stage, original) for name, stage in known.items()}
    done: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for number in range(count):
        name = list(known)[number % len(known)]
        with copied(original) as place:
            found = kill_once(known[name], place, chance, *usual[name])
        done[name] += 1
        failed[name] += bool(found)
        for line in found:
            print(f"{name}: {line}", flush=True)
    rows = [(name, done[name], usual[name][0], f"{usual[name][1]:.2f} s", failed[name]) for name in known]
    table(("killed while", "kills", "changes of the disk", "takes", "lost or wrong"), rows)
    print(f"{sum(done.values())} kills, {sum(failed.values())} of them lost something")
    return 1 if failed.total() else 0


def disk_faults(original: Path, every: int, chosen: dict[str, Stage]) -> int:
    rows, wrong = [], 0
    for name, stage in chosen.items():
        if stage.beside:  # two fail like one
            continue
        changes, _ = measure(stage, original)
        outcomes: Counter[str] = Counter()
        for at in range(1, changes + 1, every):
            with copied(original) as place:
                found = fail_once(stage, place, at, outcomes)
            wrong += bool(found)
            for line in found:
                print(f"{name}, change {at}: {line}", flush=True)
        rows.append((name, changes, outcomes.total(), outcomes["done"], outcomes["refused"]))
        print(f"{name}: {changes} changes", flush=True)
    heads = ("fault while", "changes of the disk", "faults", "done all the same", "ended with a sentence")
    table(heads, rows)
    print(f"{sum(row[2] for row in rows)} faults, {wrong} of them lost something or were not told")
    return 1 if wrong else 0


def fail_once(stage: Stage, place: Path, at: int, outcomes: Counter[str]) -> list[str]:
    fault = errno.ENOSPC if at % 2 else errno.EIO
    before, said = saved_steps(place), place.parent / "said.txt"
    arguments = stage.arguments(place)
    code = ended(begin(arguments, Disk(str(place), at, fault), said))
    outcomes["done" if code == 0 else "refused"] += 1
    found = complaints(place, said, code, killed=False)
    if code == 0 and arguments[0] == "train":
        wanted = int(arguments[arguments.index("--steps") + 1])
        there = newest_complete(Path(arguments[arguments.index("--run") + 1]))
        found += [f"it ended well, but step {there} is on disk, not {wanted}"] if there != wanted else []
    found += lost(place, before)
    return [*found, *stage.sound(place), *again(stage, place)]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["kills", "disk"])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--every", type=int, default=1, help="of the changes of the disk")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=(), metavar="STAGE", help="while these are done")
    options = parser.parse_args()
    run_under_it()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(folder) / "home")
        original = prepared(Path(folder) / "original")
        known = stages(original, MANY if options.what == "kills" else ONE)
        chosen = {name: stage for name, stage in known.items() if name in (options.only or (name,))}
        if options.what == "kills":
            code = kills(original, options.count, options.seed, chosen)
        else:
            code = disk_faults(original, options.every, chosen)
    forget()
    return code


if __name__ == "__main__":
    sys.exit(main())
