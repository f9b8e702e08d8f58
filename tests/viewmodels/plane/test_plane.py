"""The 2-D page without its widgets: what moves, what is measured, what can be undone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from diffusion_studio.core.describe import members
from diffusion_studio.core.samplers import Sampler
from diffusion_studio.engine.plane.process import Forward, Langevin, Process, Reverse
from diffusion_studio.engine.plane.shapes import CUSTOM, Mode
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.plane import player as plane_player
from diffusion_studio.viewmodels.plane.memory import restored, to_remember
from diffusion_studio.viewmodels.plane.methods import BUTTONS, method_of, methods
from diffusion_studio.viewmodels.plane.model import PlaneViewModel
from diffusion_studio.viewmodels.plane.state import LearningState, Look
from diffusion_studio.viewmodels.plane.tour.cards import CARDS

SMALL = PlaneSpec(count=60, process=Langevin(steps=80))


@pytest.fixture
def made(qapp, monkeypatch):
    """Makes visible view-models and shuts them down; a seek arrives at once, however busy the machine."""
    monkeypatch.setattr(plane_player, "PATIENCE", 60.0)
    models = []

    def make(spec: PlaneSpec = SMALL, look: Look | None = None, seen: bool = True) -> PlaneViewModel:
        model = PlaneViewModel(spec, look)
        models.append(model)
        model.player.stop()
        model.set_visible(seen)
        return model

    yield make
    for model in models:
        model.shutdown()


def collected(signal) -> list:
    found: list = []
    signal.connect(found.append)
    return found


def measured(qtbot, model) -> None:
    """Measures the particles as they stand, to the end."""
    model.meter.measure()
    qtbot.waitUntil(lambda: not model.meter.busy)


def test_that_it_moves_as_soon_as_it_is_seen_and_rests_when_hidden(qapp, qtbot):
    model = PlaneViewModel(SMALL)
    frames = collected(model.scene.particles_changed)
    assert model.state.playing
    assert not model.player.moving
    assert not frames
    model.set_visible(True)
    qtbot.waitUntil(lambda: model.state.position > 3)
    assert len(frames) > 3
    model.set_visible(False)
    assert not model.player.moving
    model.shutdown()


def test_that_it_plays_backwards_and_begins_again(made, qtbot):
    model = made()
    model.player.seek(40)
    assert model.state.position == 40
    model.player.play(-4)
    qtbot.waitUntil(lambda: model.state.position < 20)
    model.player.play(8)
    qtbot.waitUntil(lambda: model.state.position > 60)
    qtbot.waitUntil(lambda: model.state.position < 40)  # it loops
    model.player.set_loop(False)
    qtbot.waitUntil(lambda: not model.state.playing)
    assert model.state.position == 80


def test_that_a_dragged_mode_moves_the_field_at_once_and_particles_go_on(made):
    model = made()
    model.player.seek(30)
    fields = collected(model.scene.field_changed)
    before = model.chain.x.clone()
    for x in (0.1, 0.2, 0.3):
        model.modes.set_mode(0, Mode(x=x, y=1.0))
    assert len(fields) == 3
    assert model.spec.shape == CUSTOM
    assert torch.equal(model.chain.x, before)
    assert model.chain.first == model.state.first == 30
    model.editor.settle()
    model.editor.undo()
    assert model.spec == SMALL
    model.editor.redo()
    assert model.spec.modes[0].x == 0.3


def test_that_one_drag_of_a_slider_is_one_step(made):
    model = made()
    for step in (0.02, 0.03, 0.04):
        model.edit("process.step", step)
    model.editor.settle()
    assert model.state.can_undo
    model.editor.undo()
    assert model.spec.process == SMALL.process
    assert not model.state.can_undo


def test_that_a_value_that_cannot_be_gets_its_sentence(made):
    model = made()
    model.edit("process.step", 7.0)
    assert dict(model.state.errors)["process.step"]
    assert model.spec == SMALL


def test_that_the_slider_takes_a_walk_along(made):
    model = made(SMALL.model_copy(update={"process": Reverse(steps=100), "start": "noise"}))
    model.edit("t", 300)
    assert model.state.t == 300
    assert model.state.position == 70
    assert model.spec.t == 0  # the walk has its own levels
    model = made()
    model.edit("t", 300)
    assert model.state.t == model.spec.t == 300
    assert model.chain.times[0] == 300


def test_that_there_and_back_the_slider_stays_on_its_leg(made):
    model = made(SMALL.model_copy(update={"process": Reverse(steps=50), "start": "data"}))
    model.player.seek(10)
    model.edit("t", 400)
    assert model.state.position == 20
    model.player.seek(90)
    model.edit("t", 400)
    assert model.state.position == 80


def test_that_every_process_and_every_sampler_has_a_button_or_stands_in_the_menu(made):
    processes = set(members(Process)) - {Reverse().kind}
    assert processes <= {method.key for method in methods()} <= processes | set(members(Sampler))
    model = made()
    model.choose_method("ddim")
    for kind in members(Sampler):
        model.edit("process.sampler.kind", kind)
        assert model.spec.process.sampler.kind == kind
        assert method_of(model.spec.process) == (kind if kind in BUTTONS else "")


def test_that_each_method_comes_back_with_its_parameters(made):
    model = made()
    model.edit("process.step", 0.05)
    model.editor.settle()
    for method in methods():
        model.choose_method(method.key)
        assert method_of(model.spec.process) == method.key
        model.player.seek(model.chain.last // 2)
    model.choose_method("langevin")
    assert model.spec.process.step == 0.05


def test_that_measures_follow_and_the_last_other_method_stays_beside(made, qtbot):
    model = made()
    found = collected(model.meter.measured)
    model.player.seek(20)
    measured(qtbot, model)
    assert found[-1].now.last.position == 20
    assert found[-1].before is None
    model.choose_method("ddim")
    model.player.seek(200)
    measured(qtbot, model)
    assert found[-1].before.title == "Langevin"
    assert found[-1].now.title == "DDIM"
    assert found[-1].now.last.occupancy != found[-1].before.last.occupancy


def test_that_fewer_pictures_are_made_beside_a_training(made, qtbot):
    model = made()
    model.edit("learning.seconds", 600.0)
    model.start_learning()
    qtbot.waitUntil(lambda: model.state.learning.running)
    assert model.player._timer.interval() == plane_player.CALM
    model.learner.toggle_pause()
    assert model.player._timer.interval() == plane_player.FRAME
    model.learner.toggle_pause()
    assert model.player._timer.interval() == plane_player.CALM
    model.learner.stop()
    qtbot.waitUntil(lambda: not model.state.learning.running)
    assert model.player._timer.interval() == plane_player.FRAME


def test_that_what_plays_on_after_a_rest_is_measured_again(made, qtbot):
    model = made(SMALL.model_copy(update={"process": Langevin(steps=5000)}))
    model.player.seek(3)
    qtbot.waitUntil(lambda: not model.meter.busy)
    found = collected(model.meter.measured)
    model.player.play()
    qtbot.waitUntil(lambda: len(found) > 2)
    positions = found[-1].now.positions
    assert len(positions) > 2
    assert positions == tuple(sorted(set(positions)))


def test_that_modes_are_added_selected_and_removed(made):
    model = made()
    model.modes.add(2.0, 2.0)
    assert len(model.spec.modes) == 4
    assert model.state.selected == 3
    model.modes.remove(3)
    assert len(model.spec.modes) == 3
    assert model.state.selected == -1
    for _ in range(5):
        model.modes.remove(0)
    assert len(model.spec.modes) == 1  # one always stays


def test_that_strokes_join_and_replace_what_was_chosen(made):
    model = made()
    line = np.stack([np.linspace(-1, 1, 50), np.zeros(50)], 1)
    model.modes.draw(line)
    first = len(model.spec.modes)
    assert model.spec.shape == CUSTOM
    model.modes.draw(line + 1)
    assert len(model.spec.modes) == 2 * first


def test_that_a_learned_field_is_shown_and_moves_the_particles(made, qtbot):
    learning = SMALL.learning.model_copy(update={"steps": 300, "seconds": 600.0, "width": 16})
    model = made(SMALL.model_copy(update={"learning": learning}))
    model.set_look(Look(field="learned"))
    fields, networks = collected(model.scene.field_changed), []
    model.learner.learned.connect(lambda: networks.append(model.learner.network))
    model.start_learning()
    qtbot.waitUntil(lambda: model.state.learning.trained)
    qtbot.waitUntil(lambda: not model.state.learning.running)
    assert len(fields) >= len(networks) >= 1  # each newer network is shown
    assert fields[-1].learned
    assert model.state.learning.error == model.state.learning.error  # judged
    assert model.chain.denoiser is model.learner.network
    model.set_look(Look(field="error"))
    assert fields[-1].error is not None
    assert model.chain.denoiser is model.spec.denoiser()


def test_that_a_network_of_other_noise_levels_is_forgotten_while_it_learns_too(made, qtbot):
    learning = SMALL.learning.model_copy(update={"seconds": 600.0, "width": 16})
    model = made(SMALL.model_copy(update={"learning": learning}))
    model.start_learning()
    qtbot.waitUntil(lambda: model.state.learning.trained)
    model.edit("schedule.kind", "linear" if model.spec.schedule.kind != "linear" else "cosine")
    assert model.learner.network is None
    assert model.state.learning == LearningState()
    told: list[int] = []
    model.learner.learned.connect(lambda: told.append(1))
    qtbot.waitUntil(lambda: not model.learner._slot.busy)
    assert (told, model.learner.network) == ([], None)
    model.start_learning()
    qtbot.waitUntil(lambda: model.state.learning.trained)
    assert model.state.learning.law == model.spec.law


def test_that_learning_pauses_goes_on_and_stops(made, qtbot):
    learning = SMALL.learning.model_copy(update={"seconds": 600.0, "width": 16})
    model = made(SMALL.model_copy(update={"learning": learning}))
    model.start_learning()
    qtbot.waitUntil(lambda: model.state.learning.trained)
    model.learner.toggle_pause()
    assert model.state.learning.paused
    model.learner.toggle_pause()
    model.learner.stop()
    qtbot.waitUntil(lambda: not model.state.learning.running)


def test_that_the_place_under_the_pointer_is_read_exactly(made, qtbot):
    model = made()
    model.point_at(0.4, -0.2)
    reading = model.pointer.reading
    place = torch.tensor([[0.4, -0.2]], dtype=torch.float64)
    assert reading.log_density == pytest.approx(float(model.spec.mixture().at(1.0).log_density(place)))
    qtbot.waitUntil(lambda: model.pointer.reading.flow is not None)
    assert model.pointer.reading.flow == pytest.approx(reading.exact, abs=1e-3)
    model.pointer.leave()
    assert model.pointer.reading is None


def test_that_points_can_be_the_reference(made, qtbot):
    model = made()
    fields = collected(model.scene.field_changed)
    model.edit("reference", "points")
    model.editor.settle()
    assert len(fields) == 1
    assert len(model.chain.denoiser.mixture) == model.spec.memorised
    model.point_at(0.4, -0.2)
    assert model.pointer.reading.exact is None  # points have no density
    with qtbot.waitSignal(model.meter.measured):
        model.meter.measure()
    model.editor.undo()
    assert len(fields) == 2


def test_that_guidance_moves_field_and_particles_and_tells_three_arrows(made):
    model = made(SMALL.model_copy(update={"process": Reverse(steps=60), "start": "noise"}))
    model.player.seek(60)
    fields, shown = collected(model.scene.field_changed), collected(model.scene.particles_changed)
    model.edit("guide.label", 2)
    model.editor.settle()
    before = len(fields), len(shown)
    model.edit("guide.gamma", 6.0)
    assert (len(fields), len(shown)) > before
    assert fields[-1].goal is not None
    assert model.state.position == 60
    posterior = model.spec.denoiser().level(0, torch.float32).class_posterior(torch.from_numpy(shown[-1].x))
    assert float(posterior[:, 2].mean()) > 0.95
    model.point_at(0.2, 0.4)
    reading = model.pointer.reading
    for k in range(2):
        push = reading.guide.gamma * reading.guide.gradient[k]
        assert reading.guide.guided[k] == pytest.approx(reading.score[k] + push, abs=1e-9)
    model.edit("guide.gamma", 3.0)
    assert model.pointer.reading.guide.gamma == 3.0  # the pointer rests, the arrows follow
    model.edit("guide.gamma", 6.0)
    model.set_look(Look(tilted=False))
    assert fields[-1].goal is None
    model.editor.undo()
    assert model.spec.guide.gamma == 1.0
    model.editor.undo()
    assert not model.spec.guides
    assert fields[-1].goal is None


def test_that_a_slow_chain_is_previewed_while_it_catches_up(made, monkeypatch, qtbot):
    model = made(SMALL.model_copy(update={"process": Reverse(steps=80), "start": "noise", "count": 2000}))
    model.player.seek(80)
    monkeypatch.setattr(plane_player, "PATIENCE", 0.0)
    qtbot.waitUntil(lambda: not model.meter.busy)
    shown, found = collected(model.scene.particles_changed), collected(model.meter.measured)
    model.edit("guide.label", 1)
    assert model.chain.position < 80
    assert model.state.position == 80
    assert len(shown[-1].x) == 1000
    measured(qtbot, model)
    assert not found
    qtbot.waitUntil(lambda: model.chain.position == 80)
    assert len(shown[-1].x) == 2000
    assert not model.scene.previews


def test_that_age_runs_from_the_start_of_the_chain_to_its_end(made):
    model = made()
    shown = collected(model.scene.particles_changed)
    model.set_look(Look(color="age", trails="whole"))
    for position in (0, 20, 80, 40):
        model.player.seek(position)
        ages = shown[-1].ages
        assert len(ages) == len(shown[-1].paths) == position + 1
        np.testing.assert_allclose(ages, np.arange(position + 1) / 80)
    model.set_look(Look(color="class"))
    assert shown[-1].ages is None


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.title)
def test_that_every_card_of_the_tour_can_be_tried(made, card):
    model = made()
    for action in card.actions:
        spec, look = action.change(model.spec, model.state.look)
        assert PlaneSpec.model_validate(spec.model_dump()) == spec
        assert look.field in ("exact", "learned", "error")
        small = spec.model_copy(update={"count": min(spec.count, 30)})
        model.set_spec(small, look)
        model.player.seek(min(5, model.chain.last))
        assert torch.isfinite(model.chain.x).all()


def test_that_the_state_is_remembered_and_a_damaged_one_is_left_out(made, caplog):
    model = made(
        SMALL.model_copy(update={"t": 120, "process": Forward()}), Look(trails="whole", arrows=False)
    )
    kept = json.loads(json.dumps(to_remember(model.state)))
    assert restored(kept) == (model.spec, model.state.look)
    kept["look"]["trails"] = "sideways"
    assert restored(kept)[1] == Look(arrows=False)
    kept["spec"]["count"] = -1
    assert restored(kept) == (None, None)
    assert "not valid" in caplog.text
    assert restored("nonsense") == (None, None)


def test_that_files_are_written_and_read(made, qtbot, tmp_path):
    model = made(SMALL.model_copy(update={"t": 55}))
    pixels = np.zeros((20, 30, 3), np.uint8)
    for name in ("a.png", "a.gif", "a.npz", "a.json"):
        model.export(tmp_path / name, [pixels, pixels])
        qtbot.waitUntil(lambda name=name: (tmp_path / name).exists() and not model.files.busy)
    model.edit("t", 1)
    for name in ("a.json", "a.png"):
        model.open_state(tmp_path / name)
        assert model.spec.t == 55
        model.editor.undo()
    (tmp_path / "b.json").write_text("{}")
    model.open_state(tmp_path / "b.json")
    assert "holds no state" in model.state.notice.text
    model.export(tmp_path / "nowhere" / "a.json")
    qtbot.waitUntil(lambda: "could not be written" in model.state.notice.text)
