"""Several processes take the steps that one would take, and say in a sentence why they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion_studio.core.describe import members, with_value
from diffusion_studio.core.objective.time_density import TimeDensity
from diffusion_studio.core.process.schedules import LearnedSchedule
from diffusion_studio.data.errors import DataError
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop import loop
from diffusion_studio.engine.machine import ranks as ranks_module
from diffusion_studio.engine.machine.ranks import ALONE, RankError, Ranks
from diffusion_studio.engine.runs.checkpoints import newest_sound
from diffusion_studio.engine.runs.config import ObjectiveSpec, RunConfig
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training import run_data
from diffusion_studio.engine.training.session import Session, new_session, resumed_session
from diffusion_studio.engine.training.together import follow, join, lead
from diffusion_studio.engine.training.trainer import train
from support.ranks import in_threads
from support.tiny import (
    CPU,
    begin,
    differing,
    everything,
    finish,
    only,
    tiny_config,
    with_training,
    write_pictures,
)

Tensors = dict[str, Tensor]
STEPS = 6


def trained_together(count: int, path: Path, config: RunConfig, resumed: bool = False) -> list[Tensors]:
    """What each of several processes has learned in the end."""

    def one(ranks: Ranks) -> Tensors:
        if ranks.is_first:
            begun = resumed_session if resumed else new_session
            session = begun(path, *((CPU, config) if resumed else (config, CPU)), ranks=ranks)
            lead(session, ranks)
            told = list(train(session, Control()))
            assert told[-1].outcome == "done", told[-1]
            ranks.tell({"end": True})
        else:
            joined = join(config.data.source, CPU, ranks)
            assert joined is not None
            session = joined
            follow(session)
        return everything(session)

    return in_threads(count, one)


def apart(one: Tensors, other: Tensors) -> float:
    """‖a − b‖ / ‖a‖ of the weights and their averages."""
    assert one.keys() == other.keys()
    names = sorted(name for name in one if not name.startswith("optimizer."))
    a, b = (torch.cat([x[name].double().flatten() for name in names]) for x in (one, other))
    return float((a - b).norm() / a.norm())


def config_of(pictures: Path, **values: Any) -> RunConfig:
    """Two channels in each group of the normalisation: of a single one its mean says nothing, so that the
    weights before it have no gradient but rounding, and AdamW follows that at full length.
    """
    return with_value(tiny_config(pictures, **values), "model.width", 16)


def everything_of(path: Path, config: RunConfig) -> Tensors:
    session = begin(path, config)
    finish(session)
    return everything(session)


CASES: dict[str, dict[str, Any]] = {
    **{f"density {kind}": {"objective": {"density": cls()}} for kind, cls in members(TimeDensity).items()},
    "density by hand": {"objective": {"density": {"kind": "curve", "points": (1.0, 3.0, 0.5)}}},
    "density that has learned": {"objective": {"density": {"kind": "importance"}}, "T": 4},
    "learned schedule": {"schedule": LearnedSchedule()},
    "learned variance": {"objective": {"variance": "hybrid"}},
    "the bound": {"objective": {"variance": "vlb"}},
    "Muon, mirrored": {"optimizer": "muon", "flip": True},
    "no classes": {"conditional": False},
}
SAME = {name: CASES[name] for name in ("density that has learned", "the bound", "Muon, mirrored")}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_that_processes_together_learn_what_one_learns(
    case: dict[str, Any], pictures: Path, tmp_path: Path
) -> None:
    """A batch of 16 among three: 5, 5 and 6 rows."""
    config = config_of(pictures, steps=STEPS, **case)
    alone = everything_of(tmp_path / "alone", config)
    first, *others = trained_together(3, tmp_path / "together", config)
    for other in others:
        assert differing(first, other) == []
    assert apart(alone, first) < 1e-5


def test_that_a_training_goes_on_with_another_number_of_processes(pictures: Path, tmp_path: Path) -> None:
    config = config_of(pictures, steps=9, objective={"density": {"kind": "importance"}})
    alone = everything_of(tmp_path / "alone", config)
    path = tmp_path / "run"
    for count, steps in ((2, 3), (1, 6), (4, 9)):
        known = Run.open(path).config if steps > 3 else config
        found = trained_together(count, path, with_training(known, steps=steps, parts=1), resumed=steps > 3)
        for other in found[1:]:
            assert differing(found[0], other) == []
    assert apart(alone, found[0]) < 1e-5


@pytest.mark.parametrize("case", SAME.values(), ids=list(SAME))
def test_that_the_parts_of_a_batch_have_one_sum_whoever_computes_them(
    case: dict[str, Any], pictures: Path, tmp_path: Path
) -> None:
    """1 × 8, 2 × 4 and 4 × 2 parts, to the bit: the bound and Muon carry rounding far."""
    config = config_of(pictures, steps=STEPS, parts=8, **case)
    alone = everything_of(tmp_path / "alone", config)
    for count in (2, 4):
        first, *_ = trained_together(count, tmp_path / f"{count}", config)
        assert differing(alone, first) == []


def test_that_parts_are_shared_among_processes_that_they_are_no_multiple_of(
    pictures: Path, tmp_path: Path
) -> None:
    config = config_of(pictures, steps=STEPS, parts=8)
    alone = everything_of(tmp_path / "alone", config)
    first, *_ = trained_together(3, tmp_path / "together", config)
    assert apart(alone, first) < 1e-5


def test_that_another_objective_reaches_all_processes(pictures: Path, tmp_path: Path) -> None:
    config = config_of(pictures, steps=STEPS)

    def one(ranks: Ranks) -> tuple[ObjectiveSpec, Tensors]:
        if not ranks.is_first:
            session = join(str(pictures), CPU, ranks)
            assert session is not None
            follow(session)
            return session.config.objective, everything(session)
        session = new_session(tmp_path / "run", config, CPU, ranks=ranks)
        lead(session, ranks)
        control = Control()
        control.ask(with_value(config.objective, "density.kind", "importance"))
        list(train(session, control))
        ranks.tell({"end": True})
        return session.config.objective, everything(session)

    (asked, first), (heard, other) = in_threads(2, one)
    assert asked.density.kind == "importance"
    assert heard == asked
    assert differing(first, other) == []


def refused(count: int, config: RunConfig, path: Path, sources: dict[int, str]) -> list[str]:
    """What each process says of why there is no training; `sources` are the folders of some of them."""

    def one(ranks: Ranks) -> str:
        with pytest.raises(RankError) as said:
            if ranks.is_first:
                new_session(path, config, CPU, ranks=ranks)
            else:
                join(sources.get(ranks.number, config.data.source), CPU, ranks)
        return str(said.value)

    return in_threads(count, one)


def test_that_other_images_are_refused_before_anything_is_made(pictures: Path, tmp_path: Path) -> None:
    other = write_pictures(tmp_path / "other", seed=7)
    said = refused(3, tiny_config(pictures), tmp_path / "run", {2: str(other)})
    assert said == ["Process 3 of 3 reads other images than the first one: give all the same folder."] * 3
    assert not (tmp_path / "run").exists()


def test_that_a_process_without_the_folder_is_named(pictures: Path, tmp_path: Path) -> None:
    said = refused(2, tiny_config(pictures), tmp_path / "run", {1: str(tmp_path / "nowhere")})
    assert len(set(said)) == 1
    assert said[0].startswith("Process 2 of 2: There is no folder")


def test_that_other_versions_are_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = ["0.0.1", "2.6"]

    def one(ranks: Ranks) -> str:
        with pytest.raises(RankError) as said:
            if ranks.is_first:
                new_session(tmp_path / "run", tiny_config(pictures), CPU, ranks=ranks)
            else:
                ranks.hear()
                ranks.gathered(None)
                ranks.gathered({"versions": theirs, "trouble": "", "images": ""})
                raise RankError("another version")
        return str(said.value)

    first, _ = in_threads(2, one)
    versions = " with torch ".join(run_data.VERSIONS)
    assert first == (
        f"Process 2 of 2 runs Diffusion Studio 0.0.1 with torch 2.6, the first one {versions}: install the "
        "same for all."
    )


def test_that_a_batch_too_small_for_the_processes_is_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(RankError, match="batch of 2 images"):
        new_session(tmp_path / "run", tiny_config(pictures, batch_size=2), CPU, ranks=Ranks(0, 3))
    assert not (tmp_path / "run").exists()


def test_that_the_first_process_may_end_before_the_others_begin(pictures: Path) -> None:
    def one(ranks: Ranks) -> Session | None:
        if ranks.is_first:
            ranks.tell({"end": True})
            return None
        return join(str(pictures), CPU, ranks)

    assert in_threads(2, one) == [None, None]


def test_that_a_process_that_dies_ends_the_training_with_everything_saved(
    pictures: Path, tmp_path: Path
) -> None:
    config = config_of(pictures, steps=1000)
    finished: list[events.Finished] = []

    def one(ranks: Ranks) -> None:
        if ranks.is_first:
            session = new_session(tmp_path / "run", config, CPU, ranks=ranks)
            lead(session, ranks)
            finished.extend(only(train(session, Control()), events.Finished))
            return
        session = join(str(pictures), CPU, ranks)
        assert session is not None
        for _ in range(3):
            said = ranks.hear()
            session.step(said["step"], said["position"])
        ranks.hear()  # the fourth is told once the first process has finished its third
        raise DataError("this process died")

    with pytest.raises(DataError, match="died"):
        in_threads(2, one)
    (last,) = finished
    assert (last.outcome, last.step) == ("failed", 3)
    assert last.message == "Training stopped after step 3. Another process of this training ended."
    sound, complaints = newest_sound(tmp_path / "run" / "checkpoints")
    assert sound is not None
    assert (sound.name, complaints) == ("step-00000003", ())


def test_that_the_others_wait_for_a_first_process_that_rests(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks_module, "_STILL_EVERY", 0.0)
    monkeypatch.setattr(loop, "CHECK_EVERY", 0.001)
    control, config = Control(), config_of(pictures, steps=STEPS)
    control.pause()
    heard: list[Any] = []

    def one(ranks: Ranks) -> Tensors:
        if ranks.is_first:
            session = new_session(tmp_path / "run", config, CPU, ranks=ranks)
            lead(session, ranks)
            list(train(session, control))
            ranks.tell({"end": True})
            return everything(session)
        joined = join(str(pictures), CPU, ranks)
        assert joined is not None
        heard.extend(ranks.hear() for _ in range(3))
        control.resume()
        follow(joined)
        return everything(joined)

    first, other = in_threads(2, one)
    assert heard == [{"still": True}] * 3
    assert differing(first, other) == []


def test_that_one_process_alone_needs_no_others(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    lead(session, ALONE)
    assert finish(session)[-1].outcome == "done"
