"""What a training tells, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffusion_studio.core import chain
from diffusion_studio.engine.files.pictures import read_settings
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop import loop, run_keeper
from diffusion_studio.engine.machine.ranks import RankMemoryError, Ranks
from diffusion_studio.engine.runs.checkpoints import newest_sound
from diffusion_studio.engine.runs.quality import FEWEST
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training import previews
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.engine.training.events import Preview, PreviewMeasured
from diffusion_studio.engine.training.learner import Learner
from diffusion_studio.engine.training.session import Session
from diffusion_studio.engine.training.trainer import train
from support.clock import Clock
from support.processors import processors
from support.tiny import (
    begin,
    differing,
    everything,
    finish,
    losses_told,
    only,
    resume,
    tiny_config,
    write_pictures,
)


@pytest.fixture(autouse=True)
def every_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast the machine is, so that each can be acted upon."""
    monkeypatch.setattr(loop, "TELL_EVERY", 0.0)


def trained(
    path: Path, pictures: Path, act: Callable[[events.Event, Session, Control], None], **training: object
) -> tuple[list[events.Event], Session]:
    """All events of a training in which `act` sees each event first."""
    session, control = begin(path, tiny_config(pictures, **training)), Control()
    told = []
    for event in train(session, control):
        told.append(event)
        act(event, session, control)
    return told, session


def at_step(step: int, do: Callable[[Control], None]) -> Callable[[events.Event, Session, Control], None]:
    done = []

    def act(event: events.Event, session: Session, control: Control) -> None:
        if session.counters.step >= step and not done:
            done.append(True)
            do(control)

    return act


def nothing(event: events.Event, session: Session, control: Control) -> None:
    pass


def pause_then(rest: Callable[[Control], None]) -> Callable[[events.Event, Session, Control], None]:
    """Pauses after the third step; once it is told, another thread does the rest."""
    pause = at_step(3, Control.pause)

    def act(event: events.Event, session: Session, control: Control) -> None:
        pause(event, session, control)
        if isinstance(event, events.Paused):
            threading.Thread(target=rest, args=[control]).start()

    return act


ENDINGS = {
    "done": (nothing, "done"),
    "stopped": (at_step(3, Control.stop), "stopped"),
    "stopped at once": (at_step(0, Control.stop), "stopped"),
    "stopped while paused": (pause_then(Control.stop), "stopped"),
    "paused and resumed": (pause_then(Control.resume), "done"),
}


@pytest.mark.parametrize("ending", list(ENDINGS))
def test_that_finished_comes_last_and_once(ending: str, pictures: Path, tmp_path: Path) -> None:
    act, outcome = ENDINGS[ending]
    told, session = trained(tmp_path / "run", pictures, act, steps=9)
    assert [event.outcome for event in only(told, events.Finished)] == [outcome]
    assert isinstance(told[-1], events.Finished)
    assert isinstance(told[0], events.Started)
    assert told[-1].step == session.counters.step == resume(tmp_path / "run").counters.step
    assert differing(everything(resume(tmp_path / "run")), everything(session)) == []


def test_that_a_failure_ends_with_its_sentence_and_traceback(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, 3, ZeroDivisionError("a strange thing"))
    told, session = trained(tmp_path / "run", pictures, nothing, steps=6)
    assert isinstance(told[-1], events.Finished)
    assert len(only(told, events.Finished)) == 1
    assert told[-1].outcome == "failed"
    assert told[-1].message.startswith("Training stopped after step 3. Something went wrong in the program;")
    assert "a strange thing" not in told[-1].message
    assert "ZeroDivisionError" in told[-1].traceback
    assert [event.step for event in only(told, events.Saved)] == [3]
    monkeypatch.undo()
    finish(resume(tmp_path / "run"))
    whole = begin(tmp_path / "whole", session.config)
    finish(whole)
    assert differing(everything(resume(tmp_path / "run")), everything(whole)) == []


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """The step with this number raises."""
    step = Learner.step

    def failing(self: Learner, batch: Batch, n: int) -> torch.Tensor:
        if n == number:
            raise error
        return step(self, batch, n)

    monkeypatch.setattr(Learner, "step", failing)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: ..."),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["accelerator", "processor", "python"])
@pytest.mark.parametrize(("size", "smaller"), [(16, 8), (7, 3), (1, 0)])
def test_that_too_little_memory_for_single_images_offers_half_the_batch(
    error: Exception, size: int, smaller: int, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, 2, error)
    told, session = trained(tmp_path / "run", pictures, nothing, steps=4, batch_size=size, parts=size)
    last = told[-1]
    assert isinstance(last, events.Finished)
    assert (last.outcome, last.parts, last.smaller_batch, last.step) == ("failed", 0, smaller, 2)
    assert f"not enough memory for a batch of {size} images" in last.message
    assert (f"a batch of {smaller}." if smaller else "smaller network") in last.message
    assert last.traceback
    assert session.run.step == 2, "the work before is kept"


@pytest.mark.parametrize(("size", "parts", "finer"), [(16, 1, 6), (16, 3, 6), (16, 6, 12), (16, 12, 16)])
def test_that_too_little_memory_offers_the_same_step_in_more_parts(
    size: int, parts: int, finer: int, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three processors each works on one part: fewer than four parts need as much memory as one."""
    fail_at(monkeypatch, 2, MemoryError())
    with processors(3):
        told, _ = trained(tmp_path / "run", pictures, nothing, steps=4, batch_size=size, parts=parts)
    last = told[-1]
    assert isinstance(last, events.Finished)
    assert (last.outcome, last.parts, last.smaller_batch) == ("failed", finer, 0)
    assert f"in {finer} parts" in last.message


def test_that_too_little_memory_in_another_process_is_said_and_offers_more_parts(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, 2, RankMemoryError("Process 2 of 2 has run out of memory."))
    monkeypatch.setattr(Learner, "ranks", Ranks(0, 2))
    monkeypatch.setattr(Ranks, "tell", lambda ranks, said: None)
    monkeypatch.setattr(Ranks, "add", lambda ranks, tensors: None)
    with processors(3):
        told, session = trained(tmp_path / "run", pictures, nothing, steps=4, batch_size=16, parts=1)
    last = told[-1]
    assert isinstance(last, events.Finished)
    assert (last.outcome, last.parts, session.run.step) == ("failed", 12, 2)
    assert last.message.startswith("Process 2 of 2 has run out of memory. There is not enough memory for a")
    assert "in 12 parts" in last.message


def test_that_a_step_out_of_memory_at_once_leaves_no_checkpoint(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, 0, torch.OutOfMemoryError("CUDA out of memory"))
    told, session = trained(tmp_path / "run", pictures, nothing)
    assert told[-1].parts == 2
    assert newest_sound(session.run.checkpoint_folder) == (None, ())


def test_that_a_failure_while_saving_after_a_failure_still_ends_well(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, 2, ValueError("first"))

    def broken(*_: object) -> None:
        raise RuntimeError("second")

    monkeypatch.setattr(run_keeper, "save_checkpoint", broken)
    told, _ = trained(tmp_path / "run", pictures, nothing)
    assert isinstance(told[-1], events.Finished)
    assert "ValueError: first" in told[-1].traceback
    assert "Saving after the failure failed too: second" in told[-1].traceback


@pytest.mark.parametrize("wish", ["stop", "pause"])
def test_that_a_wish_that_cannot_be_removed_is_said_before_a_training(
    wish: str, pictures: Path, tmp_path: Path
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    (tmp_path / "run" / wish).mkdir()
    (refused,) = finish(session)
    assert isinstance(refused, events.Finished)
    assert refused.outcome == "failed"
    assert refused.message.startswith(f"{tmp_path / 'run' / wish} asks every training of this run to end or")
    (tmp_path / "run" / wish).rmdir()
    assert finish(resume(tmp_path / "run"))[-1].outcome == "done"


def test_that_one_run_is_trained_once_at_a_time(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, checkpoint_every=1))
    first = train(session, Control())
    for event in first:
        if isinstance(event, events.Saved):
            break
    (refused,) = finish(resume(tmp_path / "run"))
    assert isinstance(refused, events.Finished)
    assert refused.outcome == "failed"
    assert refused.message == "run is already being trained by another window or command."
    assert list(first)[-1].outcome == "done"
    assert finish(resume(tmp_path / "run"))[-1].outcome == "done"


@pytest.mark.parametrize("tell_every", [0.0, 0.033, 100.0])
def test_that_every_loss_is_told_once_and_in_order(
    tell_every: float, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_EVERY", tell_every)
    told, session = trained(
        tmp_path / "run", pictures, pause_then(Control.resume), steps=17, checkpoint_every=7
    )
    step = 0
    for event in only(told, events.Progress):
        assert event.first_loss_step == step + 1
        step += len(event.losses)
        assert event.step == step
        assert event.losses.dtype == np.float32
    assert step == 17
    stored = session.run.metrics.losses()
    assert stored.steps.tolist() == list(range(1, 18))
    assert np.array_equal(stored.losses.astype(np.float32), losses_told(told))


def test_that_progress_is_not_told_more_often_than_the_eye_sees(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_EVERY", 0.033)
    Clock(monkeypatch, tick=0.001)
    told, _ = trained(tmp_path / "run", pictures, nothing, steps=40)
    progress = only(told, events.Progress)
    gaps = np.diff([event.seconds for event in progress[:-1]])
    assert len(progress) >= 2
    assert gaps.min(initial=1.0) >= 0.033


def test_that_progress_knows_how_far_it_is() -> None:
    def progress(step: int, steps: int, seconds: float, limit: float) -> events.Progress:
        return events.Progress(step, steps, seconds, limit, 1.0, 1, np.zeros(0, np.float32))

    assert progress(5, 10, 8, 0).fraction == 0.5
    assert progress(5, 10, 8, 0).seconds_left == 8
    assert progress(5, 10, 8, 10).fraction == 0.8
    assert progress(5, 0, 8, 0).seconds_left is None
    assert progress(12, 10, 8, 0).seconds_left == 0


def test_that_a_pause_saves_keeps_the_model_and_is_not_counted(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    kept: dict[str, torch.Tensor] = {}

    def act(event: events.Event, session: Session, control: Control) -> None:
        if isinstance(event, events.Paused):
            assert session.run.step == event.step
            kept.update(everything(session))
            clock.seconds += 1000
            threading.Thread(target=control.resume).start()
        elif isinstance(event, events.Resumed):
            assert differing(kept, everything(session)) == []
            assert session.run.step == event.step
        elif session.counters.step >= 3 and not kept:
            control.pause()

    told, session = trained(tmp_path / "run", pictures, act, steps=9)
    assert [type(e).__name__ for e in told if isinstance(e, events.Paused | events.Resumed)] == [
        "Paused",
        "Resumed",
    ]
    assert only(told, events.Paused)[0].reason == ""
    assert clock.seconds > 1000
    assert session.counters.seconds < 100


def test_that_the_time_limit_ends_a_training(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, tick=0.01)
    told, session = trained(tmp_path / "run", pictures, nothing, steps=0, seconds=0.2)
    assert told[-1].outcome == "done"
    assert 0.2 <= session.counters.seconds < 0.3
    assert only(told, events.Progress)[-1].total_seconds == 0.2
    again = resume(tmp_path / "run")
    assert again.counters.seconds == session.counters.seconds
    assert len(losses_told(finish(again))) == 0


def test_that_checkpoints_also_come_by_time(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, tick=1.0)
    told, _ = trained(tmp_path / "run", pictures, nothing, steps=20, checkpoint_minutes=0.1)
    saved = [event.step for event in only(told, events.Saved)]
    assert saved[-1] == 20
    assert len(saved) >= 3


@pytest.mark.parametrize("thread", ["same", "other"])
def test_that_closing_early_releases_everything(thread: str, pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, checkpoint_every=2))
    job = train(session, Control())
    started: list[events.Event] = []
    if thread == "same":
        started.append(next(job))
    else:
        worker = threading.Thread(target=lambda: started.append(next(job)))
        worker.start()
        worker.join()
    assert isinstance(started[0], events.Started)
    job.close()
    with Run.open(tmp_path / "run").lock():
        pass
    assert finish(resume(tmp_path / "run"))[-1].outcome == "done"


def test_that_a_failure_between_steps_closes_the_database(pictures: Path, tmp_path: Path) -> None:
    job = train(begin(tmp_path / "run", tiny_config(pictures)), Control())
    next(job)
    last = job.throw(ValueError("from outside"))
    told = [last, *job]
    assert isinstance(told[-1], events.Finished)
    assert told[-1].outcome == "failed"
    (tmp_path / "run" / "metrics.sqlite").unlink()
    assert not (tmp_path / "run" / "metrics.sqlite-wal").exists()


def test_that_a_damaged_metrics_database_does_not_stop_anything(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    session.run.metrics_path.write_bytes(b"no database" * 1000)
    told = finish(session)
    assert told[-1].outcome == "done"
    assert [
        event for event in only(told, events.Warned) if "metrics.sqlite cannot be written" in event.message
    ]
    assert len(session.run.metrics.losses().steps) == 0


def test_that_a_run_folder_that_cannot_be_locked_fails_in_good_order(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    (tmp_path / "run" / ".lock").mkdir()
    told = finish(session)
    assert [type(event) for event in told] == [events.Finished]
    assert told[0].outcome == "failed"


# Previews


@pytest.fixture
def previews_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(previews, "FIRST_AFTER", 0.0)
    yield


def test_that_previews_carry_pictures_classes_and_settings(
    tmp_path: Path, pictures: Path, previews_at_once: None
) -> None:
    told, session = trained(tmp_path / "run", pictures, nothing, steps=3, preview_count=previews.FEW)
    found = only(told, Preview)
    assert found
    for preview in found:
        assert preview.images.shape == (4, 8, 8, 1)
        assert preview.images.dtype == np.uint8
        assert preview.labels == ("ape", "bee", "cat", "ape")
        assert preview.path == session.run.sample_folder / f"step-{preview.step:08d}.png"
        settings = read_settings(preview.path)
        assert settings is not None
        assert settings["step"] == preview.step
        assert settings["config"] == session.config.model_dump(mode="json")
    assert found[-1].step == 3


def test_that_a_preview_is_shown_before_it_is_measured(pictures: Path, tmp_path: Path) -> None:
    told, session = trained(tmp_path / "run", pictures, nothing, steps=1, preview_count=FEWEST)
    kinds = [type(event) for event in told if isinstance(event, (Preview, PreviewMeasured))]
    assert kinds == [Preview, PreviewMeasured]
    (measured,) = only(told, PreviewMeasured)
    assert session.run.metrics.quality() == [(1, measured.quality)]


def test_that_large_samples_are_drawn_one_after_the_other_and_are_the_same(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, preview_count=5))
    together = previews.Previewer(session).draw(session.counters, Control())
    monkeypatch.setattr(previews, "AT_ONCE", 2 * 64)
    apart = previews.Previewer(session).draw(session.counters, Control())
    assert together is not None and apart is not None
    assert np.abs(together.images.astype(int) - apart.images).max() <= 1
    assert apart.labels == together.labels


def test_that_previews_without_labels_name_no_class(tmp_path: Path, previews_at_once: None) -> None:
    zoo = write_pictures(tmp_path / "zoo")
    session = begin(tmp_path / "run", tiny_config(zoo, conditional=False, steps=1, preview_count=2))
    assert only(finish(session), Preview)[-1].labels == ("", "")


def test_that_previews_always_come_from_the_same_noise_and_change_nothing(
    pictures: Path, tmp_path: Path, previews_at_once: None
) -> None:
    told, session = trained(tmp_path / "run", pictures, nothing, steps=4, preview_count=3, preview_share=0.5)
    _, without = trained(tmp_path / "without", pictures, nothing, steps=4)
    assert differing(everything(session), everything(without)) == []
    last = only(told, Preview)[-1]
    again = previews.Previewer(resume(tmp_path / "run")).draw(session.counters, Control())
    assert again is not None
    assert np.array_equal(again.images, last.images)


def test_that_a_stop_ends_a_preview_quickly(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, previews_at_once: None
) -> None:
    control, walked = Control(), []
    walk = chain.reverse_chain

    def stopping(*args: object) -> Iterator[chain.ChainStep]:
        for step in walk(*args):
            walked.append(step.t)
            if len(walked) == 3:
                control.stop()
            yield step

    monkeypatch.setattr(previews, "reverse_chain", stopping)
    told = finish(begin(tmp_path / "run", tiny_config(pictures, steps=9, preview_count=4)), control)
    assert len(walked) == 3
    assert only(told, Preview) == []
    assert told[-1].outcome == "stopped"


def test_that_previews_stay_within_their_share_of_the_time(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, preview_count=1, preview_share=0.01))
    previewer = previews.Previewer(session)
    assert not previewer.due(1, previews.FIRST_AFTER - 0.1)
    assert previewer.due(1, previews.FIRST_AFTER)
    session.counters.seconds = previews.FIRST_AFTER
    clock = Clock(monkeypatch, tick=0.0)
    sample = previewer._sample

    def slow(*arguments: Any) -> Any:
        clock.seconds += 2
        return sample(*arguments)

    monkeypatch.setattr(previewer, "_sample", slow)
    previewer.draw(session.counters, Control())
    assert not previewer.due(1, previews.FIRST_AFTER + 199.9)
    assert previewer.due(1, previews.FIRST_AFTER + 200)


@pytest.mark.parametrize("off", [{"preview_count": 0}, {"preview_share": 0.0}])
def test_that_previews_can_be_switched_off(off: dict[str, float], pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, **({"preview_count": 4} | off)))
    assert not previews.Previewer(session).due(1000, 1e9)


def test_that_a_preview_that_cannot_be_saved_does_not_stop_anything(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, previews_at_once: None
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(previews, "save_grid", full)
    told, _ = trained(tmp_path / "run", pictures, nothing, steps=3, preview_count=1, preview_share=0.5)
    assert told[-1].outcome == "done"
    assert {event.message for event in only(told, events.Warned)} == {
        "A preview could not be saved: No space left on device. Training goes on."
    }
