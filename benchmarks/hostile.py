"""Mutated pictures, and mutated files of runs, models, states and settings: a result or a sentence.

    python -m benchmarks.hostile pictures [--count 50000] [--seed 0]
    python -m benchmarks.hostile files [--count 5000] [--seed 0] [--keep FOLDER]

Counts what became of each: read, refused with a sentence, or a fault (any other exception, a wait of more
than five seconds, a file opened outside of the folder, a program started). Each fault is told at once, with
the line that raised it, and `--keep` keeps the folder that made it. Exit code 1 after a fault.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import torch

from diffusion_studio.core.refused import Refused
from diffusion_studio.data.decode import Frame, decode_file
from diffusion_studio.data.errors import BadImage
from tests.support.image_folders import WRITERS, crops

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # what tests share finds itself there
SLOW = 5.0  # seconds of work without a word
WAITED = 60.0  # seconds by the clock, in which it must have waited for something
NESTED = "nested"  # stands for brackets in brackets
NUMBERS = [0, -1, 1, 7, 1e308, -1e308, 2**31, 2**63, 10**30, 0.5, float("nan"), float("inf")]
ODD: list[Any] = [
    None, True, "", "x" * 10_000, [], {}, [[]], "../../etc/passwd", "/dev/zero", "\0", "é\ud800"
]  # fmt: skip


class Watch:
    """What a process does beside its task: files opened elsewhere, programs started."""

    def __init__(self) -> None:
        self.home = ""
        self.seen: list[str] = []
        places = (sys.prefix, sys.base_prefix, Path.cwd(), "/proc", "/sys", "/usr", "/etc")
        self._allowed = tuple(str(Path(place).resolve()) for place in places)
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.home:
            return
        if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pickle.find_class"):
            self.seen.append(f"{event} {args[:1]}")
        if event == "open" and isinstance(args[0], str | bytes):
            path = os.path.realpath(os.fsdecode(args[0]))
            if not path.startswith((self.home, *self._allowed)) and path != os.devnull:
                self.seen.append(f"open {path}")

    @contextmanager
    def over(self, home: Path) -> Iterator[list[str]]:
        self.home, self.seen = str(home.resolve()), []
        try:
            yield self.seen
        finally:
            self.home = ""


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, inserted or cut out; most of them near the beginning or the end."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        if len(found) < 2:
            break
        size = len(found) if chance.random() < 0.5 else min(len(found), 300)
        place = chance.randrange(size) if chance.random() < 0.8 else len(found) - 1 - chance.randrange(size)
        kind = chance.random()
        if kind < 0.7:
            found[place] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
        elif kind < 0.85:
            del found[place : place + chance.randrange(1, 9)]
        else:
            found[place:place] = chance.randbytes(chance.randrange(1, 9))
    return bytes(found[: chance.randrange(len(found) + 1)]) if chance.random() < 0.05 else bytes(found)


# --- pictures --------------------------------------------------------------------------------------------


def sound_pictures() -> dict[str, bytes]:
    """One picture of every kind that is read."""
    found, source = {}, crops(seed=5, low=24, high=32)
    with tempfile.TemporaryDirectory() as place:
        for kind, (ending, write) in WRITERS.items():
            path = Path(place) / f"picture{ending}"
            write(next(source), path)
            found[kind] = path.read_bytes()
    values = np.asarray(next(source)).astype(np.uint16) * 257
    planar = np.moveaxis(values, 2, 0).copy()
    deep: dict[str, dict[str, Any]] = {
        "planar 16-bit tiff": {"data": planar, "photometric": "rgb", "planarconfig": "separate"},
        "LZW 16-bit tiff": {"data": values, "photometric": "rgb", "compression": "lzw"},
        "half-float tiff": {"data": (values / 65535).astype(np.float16), "photometric": "rgb"},
        "32-bit tiff": {"data": values[..., 0].astype(np.uint32) << 16, "photometric": "minisblack"},
    }
    for kind, options in deep.items():
        memory = io.BytesIO()
        tifffile.imwrite(memory, **options)
        found[kind] = memory.getvalue()
    found["16-bit colour png"] = bytes(imagecodecs.png_encode(values))
    memory = io.BytesIO()
    next(source).save(memory, "AVIF")
    found["avif"] = memory.getvalue()
    return found


def read_picture(data: bytes) -> str:
    try:
        decode_file(io.BytesIO(data), Frame(16, 3))
    except BadImage as error:
        return f"refused: {error.reason[:60]}"
    return "read"


def attack_pictures(count: int, chance: random.Random) -> Iterator[tuple[str, Callable[[], str], Path]]:
    known = sound_pictures()
    place = Path(tempfile.gettempdir())
    for _ in range(count):
        kind = chance.choice(list(known))
        data = mutated(known[kind], chance)
        yield kind, partial(read_picture, data), place


# --- files of a run --------------------------------------------------------------------------------------


def a_run(place: Path) -> Path:
    """A small run with all that a run can hold, a model folder beside it, a state of the plane, a picture."""
    from diffusion_studio.engine.chains.chain_tree import ChainTree, save_tree
    from diffusion_studio.engine.chains.export import run_chain, save_samples
    from diffusion_studio.engine.chains.sample_spec import SampleSpec
    from diffusion_studio.engine.plane.export import save_state
    from diffusion_studio.engine.plane.spec import PlaneSpec
    from tests.support.classifiers import train_on
    from tests.support.tiny import begin, finish, tiny_config

    run = place / "run"
    finish(begin(run, tiny_config(steps=4, preview_count=4, preview_share=0.5, held_out=0.2)))
    train_on(run)
    save_tree(run, ChainTree(spec=SampleSpec(steps=3, count=2)).branched(20))
    save_state(run / "plane.json", {"spec": PlaneSpec().model_dump(mode="json")})
    chain = _chain(run)
    samples = run_chain(chain, False, None, _control())
    assert samples is not None
    save_samples(run / "out.png", samples, {"spec": chain.spec.model_dump(mode="json")}, False)
    shutil.copytree(run / "checkpoints" / "step-00000004", run / "model")
    (run / "model" / "manifest.json").unlink()
    return run


def _control() -> Any:
    from diffusion_studio.engine.jobs.control import Control

    return Control()


def _chain(run: Path) -> Any:
    from diffusion_studio.engine.chains.chain import Chain
    from diffusion_studio.engine.chains.sample_spec import SampleSpec
    from diffusion_studio.engine.chains.source import open_source

    return Chain(open_source(run, torch.device("cpu")), SampleSpec(steps=2, count=2), torch.device("cpu"))


def read_everything(run: Path) -> str:
    """Everything that the window and the command line read of a run."""
    from diffusion_studio.engine.chains.chain_tree import load_tree
    from diffusion_studio.engine.chains.export import run_chain
    from diffusion_studio.engine.evaluation.evaluation import read_evaluation
    from diffusion_studio.engine.evaluation.exported_model import export_model
    from diffusion_studio.engine.files.pictures import read_settings
    from diffusion_studio.engine.plane.export import read_state
    from diffusion_studio.engine.runs.run import Run
    from diffusion_studio.viewmodels.runs.summary import summary_of
    from tests.support.tiny import CPU, resume

    refusals: list[str] = []

    def attempt(work: Callable[[], Any]) -> None:
        try:
            work()
        except Refused as error:
            refusals.append(str(error))

    def metrics() -> None:
        reader = Run.open(run).metrics
        reader.losses(), reader.segments(), reader.timestep_history(), reader.quality(), reader.marks()

    attempt(lambda: run_chain(_chain(run), False, None, _control()))
    attempt(lambda: run_chain(_chain(run / "model"), False, None, _control()))
    attempt(lambda: read_evaluation(Run.open(run)))
    attempt(lambda: resume(run))
    shutil.rmtree(run.with_name("exported"), ignore_errors=True)
    attempt(lambda: export_model(run, run.with_name("exported")))
    attempt(metrics)
    attempt(lambda: load_tree(run))
    attempt(lambda: summary_of(run))
    attempt(lambda: read_state(run / "plane.json"))
    attempt(lambda: read_settings(run / "out.png"))
    assert CPU.type == "cpu"
    return f"refused: {refusals[0][:60]}" if refusals else "read"


def attack_files(count: int, chance: random.Random) -> Iterator[tuple[str, Callable[[], str], Path]]:
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        original = a_run(Path(place))
        run = Path(place) / "attacked"
        for _ in range(count):
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(original, run)
            files = sorted(path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
            path = chance.choice(files)
            if path.suffix == ".json" and chance.random() < 0.8:
                path.write_text(mutated_json(path.read_text("utf-8"), chance), "utf-8", "surrogatepass")
            else:
                path.write_bytes(mutated(path.read_bytes(), chance))
            yield path.relative_to(run).as_posix(), lambda: read_everything(run), Path(place)


def mutated_json(text: str, chance: random.Random) -> str:
    """The same document with one or two of its values, keys or depths changed."""
    document = json.loads(text)
    for _ in range(chance.randint(1, 2)):
        places = list(_places(document))
        if not places:
            break
        owner, key = chance.choice(places)
        kind = chance.random()
        if kind < 0.1:
            del owner[key]
        elif kind < 0.15:
            owner[key] = NESTED
        else:
            owner[key] = chance.choice(ODD if kind < 0.6 else NUMBERS)
    return json.dumps(document).replace(json.dumps(NESTED), "[" * 5_000 + "]" * 5_000)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value in a document; of long lists the first few."""
    items: Any = enumerate(value[:20] if isinstance(value, list) else ())
    items = value.items() if isinstance(value, dict) else items
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


ATTACKS = {"pictures": (attack_pictures, 50_000), "files": (attack_files, 5_000)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=ATTACKS)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where folders that made a fault are kept")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    attack, usual = ATTACKS[options.what]
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    slowest, watch = 0.0, Watch()
    for number, (kind, work, home) in enumerate(attack(options.count or usual, random.Random(options.seed))):
        start, worked = time.monotonic(), time.process_time()
        found: list[str] = []
        with watch.over(home) as seen:
            try:
                outcome = work()
            except Exception as error:
                outcome, place = "fault", traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(place.filename).name}:{place.lineno}"
                found.append(f"{kind}: {type(error).__name__}: {str(error)[:150]} ({where})")
        seconds = time.process_time() - worked  # other programs do not count, unless nothing is done at all
        seconds = seconds if time.monotonic() - start < WAITED else time.monotonic() - start
        slowest = max(slowest, seconds)
        found += [f"{kind}: {what}" for what in seen]
        found += [f"{kind}: {seconds:.1f} s"] if seconds > SLOW else []
        outcomes[outcome.split(":")[0]] += 1
        faults += found
        for line in found:
            print(f"{number}: {line}", flush=True)
        if found and options.keep is not None and options.what == "files":
            shutil.copytree(home / "attacked", options.keep / str(number))
    told = f"{sum(outcomes.values())} {options.what}: {dict(outcomes)}; slowest {slowest:.2f} s"
    print(f"{told}; {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
