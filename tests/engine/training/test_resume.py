"""Going on after a stop or a crash is exactly the training that was never interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_precision
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.session import Session
from diffusion_studio.engine.training.trainer import train
from support.tiny import (
    CPU,
    begin,
    differing,
    everything,
    finish,
    losses_told,
    only,
    resume,
    tiny_config,
    with_training,
    write_pictures,
)

STEPS, FEW = 12, 6
PLAIN = {"steps": STEPS, "checkpoint_every": 4}
VARIANTS = {
    "digits": {},
    "mirrored": {"flip": True},
    "half of the labels hidden": {"label_dropout": 0.5},
    "without labels": {"conditional": False},
    "batch larger than the data": {"batch_size": 29},
    "other seed, weight decay": {"seed": 7, "weight_decay": 0.1},
    "cosine, T odd": {"T": 37},
}


@pytest.fixture(params=list(VARIANTS))
def config(request: pytest.FixtureRequest, pictures: Path) -> RunConfig:
    changes = {"steps": FEW, "checkpoint_every": 1000} | VARIANTS[request.param]
    return tiny_config(**changes) if request.param == "digits" else tiny_config(pictures, **changes)


@pytest.fixture
def plain(pictures: Path) -> RunConfig:
    return tiny_config(pictures, **PLAIN)


@pytest.fixture(scope="module")
def whole(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A training that was never interrupted."""
    session = begin(tmp_path_factory.mktemp("whole") / "run", tiny_config(pictures, **PLAIN))
    finish(session)
    return session


def steps_of(session: Session, limit: int) -> Iterator[events.Event]:
    """The events of a training, until a step is reached; the rest is never asked for."""
    for event in train(session, Control()):
        yield event
        if session.counters.step >= limit:
            return


def same_training(a: Session, b: Session) -> None:
    assert differing(everything(a), everything(b)) == []
    assert (a.counters.step, a.counters.position) == (b.counters.step, b.counters.position)
    assert a.counters.skipped_steps == b.counters.skipped_steps
    one, other = a.run.metrics.losses(), b.run.metrics.losses()
    assert np.array_equal(one.steps, other.steps)
    assert np.array_equal(one.losses, other.losses)
    assert np.array_equal(a.averages.count, b.averages.count)
    np.testing.assert_allclose(a.averages.error(), b.averages.error(), rtol=1e-9)
    np.testing.assert_allclose(a.averages.spread(), b.averages.spread(), rtol=1e-6, atol=1e-9)


def test_that_two_halves_equal_the_whole(config: RunConfig, tmp_path: Path) -> None:
    whole = begin(tmp_path / "whole", config)
    told = finish(whole)
    finish(begin(tmp_path / "halves", with_training(config, steps=FEW // 2)))
    halves = resume(tmp_path / "halves", with_training(begin_config(tmp_path / "halves"), steps=FEW))
    assert halves.counters.step == FEW // 2
    assert halves.counters.seconds > 0
    finish(halves)
    same_training(whole, halves)
    assert np.array_equal(losses_told(told), whole.run.metrics.losses().losses.astype(np.float32))


def begin_config(path: Path) -> RunConfig:
    return resume(path).config


def test_that_resuming_reads_back_exactly_what_was_there(config: RunConfig, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", with_training(config, steps=3))
    finish(session)
    again = resume(tmp_path / "run")
    assert differing(everything(session), everything(again)) == []
    assert again.counters == session.counters
    assert again.averages.state() == session.averages.state()
    assert again.notes == ()


def test_that_many_short_pieces_equal_the_whole(plain: RunConfig, whole: Session, tmp_path: Path) -> None:
    pieces = begin(tmp_path / "pieces", with_training(plain, steps=1))
    finish(pieces)
    for limit in (2, 3, 7, STEPS):
        pieces = resume(tmp_path / "pieces", with_training(pieces.config, steps=limit))
        finish(pieces)
    same_training(whole, pieces)
    assert len(pieces.run.metrics.segments()) == 5


def test_that_a_training_cut_off_in_the_middle_ends_as_if_nothing_had_happened(
    plain: RunConfig, whole: Session, tmp_path: Path
) -> None:
    cut = begin(tmp_path / "cut", plain)
    told = list(steps_of(cut, 7))
    assert cut.run.step == 4
    again = resume(tmp_path / "cut")
    assert (again.counters.step, again.counters.position) == (4, 4 * 16)
    finish(again)
    same_training(whole, again)
    assert len(losses_told(told)) >= 4


def test_that_losses_of_an_abandoned_branch_stay_readable(plain: RunConfig, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", plain)
    finish(session)
    newest = session.run.checkpoint_folder / "step-00000012"
    (newest / "trainer" / "raw.safetensors").write_bytes(b"")
    changed = with_training(session.config, learning_rate=1e-4)
    again = resume(tmp_path / "run", changed)
    assert again.counters.step == 8
    assert [note for note in again.notes if "step-00000012" in note]
    told = finish(again)
    assert any("step-00000012" in event.message for event in only(told, events.Warned))
    first, second = again.run.metrics.segments()
    assert first.steps.tolist() == list(range(1, 13))
    assert second.steps.tolist() == [9, 10, 11, 12]
    line = again.run.metrics.losses()
    assert line.steps.tolist() == list(range(1, 13))
    assert np.array_equal(line.losses, [*first.losses[:8], *second.losses])
    assert first.losses[8] == second.losses[0], "the loss of step 9 comes before the new rate acts"
    assert not np.array_equal(first.losses[9:], second.losses[1:])


def test_that_a_run_without_a_checkpoint_begins_again_and_says_so(
    plain: RunConfig, whole: Session, tmp_path: Path
) -> None:
    cut = begin(tmp_path / "cut", plain)
    list(steps_of(cut, 2))
    again = resume(tmp_path / "cut")
    assert again.counters.step == 0
    assert any("begins again at step 0" in note for note in again.notes)
    finish(again)
    same_training(whole, again)


def test_that_a_stop_before_the_first_step_can_be_resumed(
    plain: RunConfig, whole: Session, tmp_path: Path
) -> None:
    control = Control()
    control.stop()
    assert finish(begin(tmp_path / "run", plain), control)[-1].outcome == "stopped"
    again = resume(tmp_path / "run")
    assert again.counters.step == 0
    assert again.notes == ()
    finish(again)
    same_training(whole, again)


def test_that_a_finished_training_goes_on_only_with_a_higher_limit(plain: RunConfig, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", plain)
    finish(session)
    told = finish(resume(tmp_path / "run"))
    assert len(losses_told(told)) == 0
    assert told[-1] == events.Finished("done", "Step 12, everything is saved.", step=12)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.flip", True),
        ("model.width", 16),
        ("diffusion.steps", 40),
        ("seed", 1),
        ("training.optimizer", "muon"),
    ],
)
def test_that_what_defines_a_run_cannot_change(
    path: str, value: object, plain: RunConfig, tmp_path: Path
) -> None:
    from diffusion_studio.core.describe import with_value

    session = begin(tmp_path / "run", with_training(plain, steps=1))
    finish(session)
    name = "optimizer" if path == "training.optimizer" else path.split(".")[0]
    with pytest.raises(RunError, match=rf"The {name} of run cannot change"):
        resume(tmp_path / "run", with_value(session.config, path, value))
    assert resume(tmp_path / "run").config == session.config


def test_that_new_training_parameters_are_kept(plain: RunConfig, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", with_training(plain, steps=2))
    finish(session)
    changed = resume(tmp_path / "run", with_training(session.config, learning_rate=1e-5, steps=5))
    assert Run.open(tmp_path / "run").config == session.config, "not before its training holds the lock"
    finish(changed)
    again = resume(tmp_path / "run")
    assert (again.config.training.learning_rate, again.config.training.steps) == (1e-5, 5)
    assert again.learner.spec.learning_rate == 1e-5


def test_that_what_is_left_open_is_chosen_when_a_run_goes_on(plain: RunConfig, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", with_training(plain, steps=1, batch_size=12))
    finish(session)
    left_open = with_training(session.config, steps=2, learning_rate=0.0, batch_size=0, precision="auto")
    again = resume(tmp_path / "run", left_open)
    finish(again)
    found = Run.open(tmp_path / "run").config.training
    assert (found.learning_rate, found.batch_size) == (7e-3, 128)
    assert found.precision == choose_precision("auto", CPU)
    assert again.learner.spec.learning_rate == 7e-3


def test_that_changed_images_are_told_and_used(tmp_path: Path) -> None:
    zoo = write_pictures(tmp_path / "zoo")
    finish(begin(tmp_path / "run", tiny_config(zoo)))
    write_pictures(zoo, each=1, seed=2)
    session = resume(tmp_path / "run")
    assert [note for note in session.notes if "changed since this run began" in note]
    told = finish(resume(tmp_path / "run", with_training(session.config, steps=6)))
    assert told[-1].outcome == "done"
    assert [event for event in only(told, events.Warned) if "changed since" in event.message]


@pytest.mark.parametrize("classes", [("ape", "bee"), ("ape", "bee", "dog"), ("ape", "bee", "cat", "dog"), ()])
def test_that_other_classes_are_refused(classes: tuple[str, ...], tmp_path: Path) -> None:
    finish(begin(tmp_path / "run", tiny_config(write_pictures(tmp_path / "zoo"))))
    (tmp_path / "zoo").rename(tmp_path / "old")
    write_pictures(tmp_path / "zoo", classes)
    with pytest.raises(RunError, match=r"was trained on the classes ape, bee, cat, but .* now has .*\."):
        resume(tmp_path / "run")


def test_that_other_classes_are_only_told_where_no_label_is_used(tmp_path: Path) -> None:
    finish(begin(tmp_path / "run", tiny_config(write_pictures(tmp_path / "zoo"), conditional=False)))
    write_pictures(tmp_path / "zoo", ("dog",))
    assert len(resume(tmp_path / "run").notes) == 1


def test_that_a_lost_manifest_does_not_stop_anything(plain: RunConfig, tmp_path: Path) -> None:
    finish(begin(tmp_path / "run", with_training(plain, steps=2)))
    (tmp_path / "run" / "data.json").unlink()
    assert resume(tmp_path / "run").counters.step == 2


def test_that_a_checkpoint_of_another_network_is_refused(plain: RunConfig, tmp_path: Path) -> None:
    finish(begin(tmp_path / "run", with_training(plain, steps=1)))
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace('"width": 8', '"width": 16'))
    with pytest.raises(ValueError, match="belongs to another network"):
        resume(tmp_path / "run")
