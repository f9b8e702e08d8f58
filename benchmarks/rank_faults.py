"""What goes wrong where several processes train one network: each in a sentence, and nothing lost.

    python -m benchmarks.rank_faults [--cases versions images folder port killed away …]

Processes of the digits and of small folders over gloo on this machine, with the variables that torchrun sets;
all of them are forks of this one, which has imported everything. Exit code 1 where something else happens
than what is written here.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import diffusers.models.unets.unet_2d  # noqa: F401 - once, for all forks
import numpy as np
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

from benchmarks.measuring import table
from diffusion_studio.cli.program import main as command
from diffusion_studio.engine.runs.checkpoints import checkpoint_step, newest_sound
from diffusion_studio.engine.training import run_data, together
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.engine.training.learner import Learner
from diffusion_studio.engine.training.minimised import StepResult

LONGEST = 600.0  # seconds until anything must have come back
ENDED = 10.0  # seconds after which the others must have ended
SETS = {
    "model.width": 16, "model.multipliers": "1,2", "model.layers": 1, "model.attention": 0,
    "diffusion.steps": 50, "data.resolution": 8, "training.batch_size": 33, "training.preview_count": 0,
    "training.optimizer": "adamw", "training.precision": "fp32", "training.checkpoint_every": 3,
    "training.parts": 1,
}  # fmt: skip
Before = Callable[[], None]


@dataclass
class Process:
    """One of those that train together."""

    pid: int
    said: Path
    code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            gone, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if gone else None
        return self.code

    @property
    def errors(self) -> str:
        """What it complained of, its lines in one."""
        return " ".join(self.said.read_text().split())


def start(place: Path, number: int, count: int, port: int, words: Sequence[str], before: Before) -> Process:
    said = place / f"said-{number}-{time.time_ns()}"
    pid = os.fork()
    if pid:
        return Process(pid, said)
    code = 70
    try:
        shared = {"WORLD_SIZE": count, "MASTER_PORT": port, "MASTER_ADDR": "127.0.0.1"}
        for name, value in ({"RANK": number, "LOCAL_RANK": number} | shared).items():
            os.environ[name] = str(value)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
        torch.set_num_threads(1)
        before()
        code = command(list(words))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def nothing() -> None:
    """What is different about a process like the others."""


class Training:
    """Processes that train one run, killed when they are left."""

    def __init__(
        self, place: Path, run: Path, count: int, *options: str, port: int = 0,
        sources: dict[int, Path] | None = None, before: dict[int, Before] | None = None,
    ) -> None:  # fmt: skip
        sets = [] if "--resume" in options else [w for k, v in SETS.items() for w in ("--set", f"{k}={v}")]
        place.mkdir(exist_ok=True)
        words = [["train", str((sources or {}).get(n, "digits")), "--run", str(run), "--device", "cpu",
                  "--quiet", *sets, *options] for n in range(count)]  # fmt: skip
        port = port or free_port()
        self.processes = [
            start(place, n, count, port, words[n], (before or {}).get(n, nothing)) for n in range(count)
        ]

    def __enter__(self) -> Training:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                os.waitpid(process.pid, 0)

    def ended(self, of: Sequence[int] = ()) -> float:
        """Waits for all, or these; the seconds it took."""
        began = time.perf_counter()
        wanted = [self.processes[n] for n in of] or self.processes
        _wait(lambda: all(process.poll() is not None for process in wanted))
        return time.perf_counter() - began

    def until(self, come: Callable[[], bool]) -> None:
        def there() -> bool:
            ended = [process.errors for process in self.processes if process.poll() is not None]
            assert not ended, ended
            return come()

        _wait(there)


def _wait(come: Callable[[], bool]) -> None:
    began = time.perf_counter()
    while not come():
        if time.perf_counter() - began > LONGEST:
            raise TimeoutError
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def saved(run: Path) -> int:
    """Step of the newest sound checkpoint; −1 for none."""
    found, complaints = newest_sound(run / "checkpoints")
    assert not complaints, complaints
    return checkpoint_step(found) if found else -1


def lines(run: Path) -> int:
    try:
        return (run / "metrics.jsonl").read_text().count('"kind":"loss"')
    except OSError:
        return 0


def pictures(folder: Path, seed: int) -> Path:
    random = np.random.default_rng(seed)
    folder.mkdir()
    for number in range(40):
        Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


# --- what goes wrong: (what happened, in words; whether that is right) ------------------------------------

Found = tuple[str, bool]


def _refused(place: Path, sentence: str, **different: dict[int, Before] | dict[int, Path]) -> Found:
    """Both processes end with the sentence, and no run was made."""
    run = place / "run"
    with Training(place, run, 2, "--steps", "3", **different) as training:  # type: ignore[arg-type]
        took = training.ended()
    right = [process.code == 1 and sentence in process.errors for process in training.processes]
    return f"{took:.1f} s: {training.processes[0].errors}", all(right) and not run.exists()


def versions(place: Path) -> Found:
    def other() -> None:
        for module in (run_data, together):
            vars(module)["VERSIONS"] = ["0.0.1", "2.6"]

    return _refused(place, "Process 2 of 2 runs Diffusion Studio 0.0.1", before={1: other})


def images(place: Path) -> Found:
    sources = {n: pictures(place / f"pictures-{n}", n) for n in range(2)}
    return _refused(place, "Process 2 of 2 reads other images than the first one", sources=sources)


def folder(place: Path) -> Found:
    sources = {0: pictures(place / "pictures", 0), 1: place / "gone"}
    return _refused(place, "Process 2 of 2: There is no folder", sources=sources)


def small(place: Path) -> Found:
    """Fewer images in a batch than processes."""
    run = place / "run"
    with Training(place, run, 3, "--steps", "3", "--set", "training.batch_size=2") as training:
        took = training.ended()
    first = training.processes[0]
    right = first.code == 1 and "cannot be shared by 3 processes" in first.errors and not run.exists()
    return f"{took:.1f} s: {first.errors}", right and not any(p.errors for p in training.processes[1:])


def port(place: Path) -> Found:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = int(other.getsockname()[1])
        with Training(place, place / "run", 2, "--steps", "3", port=taken) as training:
            took = training.ended([0])
            first = training.processes[0]
            return f"{took:.1f} s: {first.errors}", first.code == 1 and "is in use" in first.errors


def killed(place: Path) -> Found:
    """One of three that is killed; then it goes on with two."""
    run = place / "run"
    with Training(place, run, 3) as training:
        training.until(lambda: saved(run) >= 3)
        os.kill(training.processes[1].pid, signal.SIGKILL)
        took = training.ended()
    first, _, third = training.processes
    newest = saved(run)
    right = took < ENDED and first.code == third.code == 1 and f"after step {newest}." in first.errors
    with Training(place, run, 2, "--resume", "--steps", str(newest + 2)) as training:
        training.ended()
    right = right and [process.code for process in training.processes] == [0, 0]
    return f"{took:.1f} s: {first.errors} Gone on to {saved(run)}.", right and saved(run) == newest + 2


def first_killed(place: Path) -> Found:
    run = place / "run"
    with Training(place, run, 2) as training:
        training.until(lambda: saved(run) >= 3)
        os.kill(training.processes[0].pid, signal.SIGKILL)
        took = training.ended()
    other = training.processes[1]
    right = took < ENDED and other.code == 1 and "ended or cannot be reached" in other.errors
    return f"{took:.1f} s: {other.errors} Saved: step {saved(run)}.", right and saved(run) >= 3


def memory(place: Path) -> Found:
    """The first process has no room for its fifth step."""
    return _without_room(place, 0, "", "ended or cannot be reached")


def other_memory(place: Path) -> Found:
    said = "Process 2 of 2 has run out of memory."
    return _without_room(place, 1, said, said)


def _without_room(place: Path, number: int, first_says: str, other_says: str) -> Found:
    """Both end at once; the first one has saved four steps, and offers more parts."""
    run, step = place / "run", Learner.step

    def failing(learner: Learner, batch: Batch, done: int) -> StepResult:
        if done == 4:
            raise MemoryError
        return step(learner, batch, done)

    def prepare() -> None:
        setattr(Learner, "step", failing)  # noqa: B010 - a method that mypy lets nobody replace

    with Training(place, run, 2, before={number: prepare}) as training:
        _wait(lambda: saved(run) >= 3)
        took = training.ended()
    first, other = training.processes
    right = first_says in first.errors and "parts, which needs less" in first.errors
    right = right and other_says in other.errors and first.code == other.code == 1
    return f"{took:.1f} s: {first.errors}", right and took < ENDED and saved(run) == 4


def uneven(place: Path) -> Found:
    """33 images among 2, 1 and then 4 processes, against one that trains to the end."""
    with Training(place, place / "alone", 1, "--steps", "18") as training:
        training.ended()
    for count, steps in ((2, "6"), (1, "12"), (4, "18")):
        going_on = ["--resume"] if steps != "6" else []
        with Training(place, place / "run", count, *going_on, "--steps", steps) as training:
            training.ended()
        codes = [process.code for process in training.processes]
        assert not any(codes), [process.errors for process in training.processes]
    one, other = (weights(place / name) for name in ("alone", "run"))
    apart = float((one - other).norm() / one.norm())
    return f"2, 1 and 4 processes, 6 steps each: {apart:.1e} from one with 18", apart < 1e-5


def weights(run: Path) -> Tensor:
    assert saved(run) == 18
    found = safetensors.torch.load_file(run / "checkpoints/step-00000018/trainer/raw.safetensors")
    return torch.cat([found[name].double().flatten() for name in sorted(found)])


def away(place: Path) -> Found:
    """The folder of the run is not there for ten seconds."""
    run, elsewhere = place / "run", place / "elsewhere"
    with Training(place, run, 2) as training:
        training.until(lambda: saved(run) >= 3)
        run.rename(elsewhere)
        time.sleep(10)
        assert all(process.poll() is None for process in training.processes), "it did not go on"
        elsewhere.rename(run)
        before = lines(run)
        training.until(lambda: lines(run) > before + 3)
        os.kill(training.processes[0].pid, signal.SIGTERM)
        training.ended()
    first = training.processes[0]
    right = [process.code for process in training.processes] == [0, 0]
    right = right and "is not there now" in first.errors and "is there again" in first.errors
    return f"{lines(run)} losses, saved step {saved(run)}: {first.errors}", right and saved(run) == lines(run)


CASES: dict[str, Callable[[Path], Found]] = {
    case.__name__: case
    for case in (
        versions, images, folder, small, port, killed, first_killed, memory, other_memory, uneven, away,
    )
}  # fmt: skip


def tried(names: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            os.environ["DIFFUSION_STUDIO_HOME"] = f"{place}/home"
            try:
                what, right = CASES[name](Path(place))
            except (AssertionError, TimeoutError, OSError) as error:
                what, right = f"{type(error).__name__}: {error}", False
        print(f"{name}: {what}", "" if right else "NOT AS IT SHOULD BE", flush=True)
        yield name, what, right


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    rows = list(tried(parser.parse_args().cases))
    table(("case", "right"), [(name, str(right)) for name, _, right in rows])
    return 0 if all(right for *_, right in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
