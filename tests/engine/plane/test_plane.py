"""Particles, fields, measures and learning in the plane, without a window."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.describe import members, with_value
from diffusion_studio.core.samplers import DDIM, DDPM, DPMSolver2M, Sampler
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Finished
from diffusion_studio.engine.plane import chain as plane_chain
from diffusion_studio.engine.plane.chain import PlaneChain
from diffusion_studio.engine.plane.export import (
    holds_state,
    read_state,
    save_animation,
    save_particles,
    save_picture,
    save_state,
)
from diffusion_studio.engine.plane.field import Window, error_view, exact_view, grid
from diffusion_studio.engine.plane.learner import Learned, judged_levels, learn, score_error
from diffusion_studio.engine.plane.losses import Batch, implicit, trace_of_jacobian
from diffusion_studio.engine.plane.measures import measure
from diffusion_studio.engine.plane.process import Langevin, Process, Reverse
from diffusion_studio.engine.plane.shapes import (
    SHAPES,
    Mode,
    mixture_of,
    modes_from_picture,
    modes_from_points,
)
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.models.network import NetworkDenoiser
from diffusion_studio.models.score_mlp import PlaneNetwork, ScoreMLP
from support import hostile
from support.plane import learned
from support.tiny import only

PROCESSES = [
    *(cls(steps=60) for cls in members(Process).values()),
    Langevin(steps=60, adjusted=True),
    Reverse(steps=60, sampler=DPMSolver2M()),
    Reverse(steps=60, climb="flow"),
]


def chain_of(**values) -> PlaneChain:
    spec = PlaneSpec(**{"count": 50, **values})
    return PlaneChain(spec, spec.denoiser())


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.kind)
@pytest.mark.parametrize("start", ["window", "noise", "data", "point"])
def test_that_a_state_does_not_depend_on_how_one_came_there(process, start, monkeypatch):
    monkeypatch.setattr(plane_chain, "BUDGET", 3000)  # few states are kept
    chain, other = chain_of(process=process, start=start), chain_of(process=process, start=start)
    seen = {}
    for k in range(chain.last + 1):
        chain.go(k)
        seen[k] = chain.x.clone()
    for k in (chain.last, 3, 17, 16, 15, 0, 41, 40):
        for walker in (chain, other):
            walker.go(k)
            assert walker.position == k
            assert torch.equal(walker.x, seen[k])
    assert len(chain._kept.numbers) <= 8
    np.testing.assert_array_equal(chain.paths(0, chain.last)[:, 0], [seen[k][0].numpy() for k in seen])


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.kind)
def test_that_states_prepared_beside_are_those_that_are_asked_for(process):
    chain, other = chain_of(process=process, start="window"), chain_of(process=process, start="window")
    with ThreadPoolExecutor(1) as beside:
        # what is prepared, what is asked for, whether this is the last of what was prepared
        asked = ((3, 3, True), (6, 4, False), (7, 6, True), (9, 5, False), (8, 8, False), (12, 20, False),
                 (23, 23, True))  # fmt: skip
        for ahead, k, prepared in asked:
            chain.prepare(beside, ahead, 60.0, lambda number, state: (number, state.x))
            assert chain.go(k, 0.0 if prepared else 60.0)
            other.go(k)
            assert torch.equal(chain.x, other.x)
            assert (chain.made is not None) == prepared
            if prepared:
                assert chain.made[0] == k
                assert chain.made[1] is chain.x
        chain.go(12)
        chain.prepare(beside, chain.last + 5, 60.0)
        chain.go(chain.last)
        chain.prepare(beside, chain.last + 5, 60.0)
        assert chain.ready  # nothing comes after the last one


def test_that_a_step_that_is_late_is_known_to_be():
    chain, end = chain_of(process=Langevin()), threading.Event()
    with ThreadPoolExecutor(1) as beside:
        beside.submit(end.wait)
        chain.prepare(beside, 1, 60.0)
        assert not chain.ready
        end.set()
        chain.go(1)
        assert chain.ready


@pytest.mark.parametrize("kind", members(Sampler))
def test_that_every_sampler_moves_particles_to_the_data(kind):
    chain = chain_of(process=Reverse(steps=100, sampler=members(Sampler)[kind]()), count=500, start="noise")
    chain.go(chain.last)
    found = measure(chain.spec.mixture().at(1.0, torch.float32), chain.x, chain.last, 0)
    assert found.energy < 0.05
    assert found.modes == pytest.approx(found.exact_modes, abs=0.3)


def test_that_a_chain_that_begins_at_the_data_goes_up_and_comes_back():
    chain = chain_of(process=Reverse(steps=100, sampler=DDIM()), start="data", count=300)
    assert chain.times[0] == chain.times[-1] == 0
    assert max(chain.times) == chain.times[100] == 1000
    chain.go(100)
    assert float(chain.x.var(0).mean()) == pytest.approx(1, abs=0.2)
    chain.go(chain.last)
    level = chain.spec.mixture().at(1.0, torch.float32)
    assert float(level.log_density(chain.x).mean()) > -2


def test_that_the_flow_brings_every_point_back_and_noise_does_not():
    gaps = []
    for climb in ("flow", "noise"):
        chain = chain_of(process=Reverse(steps=200, climb=climb), start="data", count=300)
        first = chain.x.clone()
        chain.go(chain.last)
        gaps.append(float((chain.x - first).norm(dim=1).median()))
    assert gaps[0] < 0.05
    assert gaps[1] > 0.5


def test_that_a_chain_goes_on_from_a_state_of_another():
    chain = chain_of()
    chain.go(30)
    spec = chain.spec.model_copy(update={"process": Langevin(step=0.02)})
    later = PlaneChain(spec, spec.denoiser(), 30, chain.x)
    assert later.first == later.position == 30
    later.go(10)
    assert later.position == 30  # what was before belongs to the other chain


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.key)
def test_that_every_shape_is_a_mixture_near_the_middle(shape):
    mean, spread = mixture_of(shape.make()).moments()
    assert float(mean.abs().max()) < 1.1
    assert 0.2 < float(torch.linalg.eigvalsh(spread).max()) < 2.5
    assert shape.fine == (len(shape.make()) > 30)


def test_that_a_field_is_the_density_and_its_contours_enclose_what_they_say():
    level = PlaneSpec().mixture().at(0.9, torch.float32)
    window = Window(-4, -4, 4, 4)
    view = exact_view(level, window)
    cell = (8 / 96) ** 2
    mass = np.exp(view.log_density.astype(np.float64)) * cell
    assert mass.sum() == pytest.approx(1, abs=2e-3)
    for share, bound in zip((0.95, 0.8, 0.6, 0.4, 0.2), view.levels, strict=True):
        assert mass[view.log_density >= bound].sum() == pytest.approx(share, abs=0.02)
    assert view.places.shape == (22 * 22, 2)
    points, rows, columns = grid(window, 96)
    assert (rows, columns) == (96, 96)
    assert float(points[0, 0]) == pytest.approx(-4 + 8 / 192)


def test_that_a_perfect_network_has_no_error_and_a_scaled_one_the_right_one():
    spec = PlaneSpec(t=300)
    exact, level = spec.denoiser(), spec.denoiser().level(300, torch.float32)
    assert error_view(level, exact, 300, Window()).relative < 1e-9

    class Scaled:
        tables = exact.tables

        def __call__(self, x_t, t, labels=None):
            found = exact(x_t, t)
            return type(found)("score", 1.1 * found.score_hat, x_t, found.alpha_bar)

    assert error_view(level, Scaled(), 300, Window()).relative == pytest.approx(0.01, rel=1e-3)


def test_that_exact_samples_measure_as_exact():
    level = PlaneSpec().mixture().at(1.0, torch.float32)
    x = level.sample(1500, torch.Generator().manual_seed(5))
    found = measure(level, x, 0, 0, step=0.01)
    assert found.energy < 5 * found.band + 1e-3
    assert found.occupancy == pytest.approx(found.truth, abs=0.05)
    assert found.log_density == pytest.approx(found.exact_log_density, abs=0.1)
    assert 0.9 < found.acceptance < 1
    away = measure(level, x * float("nan"), 0, 0)
    assert away.energy > 1


def test_that_many_modes_are_measured_by_class():
    grid_of_25 = next(s for s in SHAPES if s.key == "grid")
    level = mixture_of(grid_of_25.make()).at(1.0, torch.float32)
    found = measure(level, level.sample(500, torch.Generator().manual_seed(0)), 0, 0)
    assert found.names == tuple(f"class {k}" for k in range(5))
    assert sum(found.truth) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("predicts", READINGS)
def test_that_a_network_learns_the_score(predicts):
    spec = PlaneSpec(modes=(Mode(sd_1=0.8, sd_2=0.5),))
    times, errors = dict.fromkeys(range(100, 1000, 50), 1 / 18), []
    for steps in (10, 400):
        plan = {"predicts": predicts, "steps": steps, "seconds": 600.0, "width": 32}
        learning = spec.learning.model_copy(update=plan)
        last = learned(spec.model_copy(update={"learning": learning}))[-1]
        assert last.step == steps
        error, size = score_error(spec.denoiser(), last.denoiser, times)
        errors.append(error)
    assert errors[1] < 0.2 * size
    assert errors[1] < errors[0]


def test_that_a_few_levels_stand_for_all_of_them():
    """The error of a score that is 5 % too large, and of one that is off by 0.3 in ε, over all t."""
    spec = PlaneSpec()
    exact, total = spec.denoiser(), spec.tables().steps
    levels = judged_levels(total)
    assert len(levels) < 90
    assert sum(levels.values()) == pytest.approx(1)
    assert all(levels[t] == pytest.approx(1 / total) for t in (1, 2, 3))

    def learned(change):
        def denoiser(x, t):
            said = exact(x, t).score_hat
            return SimpleNamespace(score_hat=change(said, t))

        return denoiser

    sigma = (1 - spec.tables().alpha_bar).sqrt()
    for change in (lambda s, t: 1.05 * s, lambda s, t: s + 0.3 / float(sigma[t])):
        few = score_error(exact, learned(change), levels, 400)
        all_of_them = score_error(exact, learned(change), dict.fromkeys(range(1, total + 1), 1 / total), 400)
        assert few == pytest.approx(all_of_them, rel=0.03)


def in_parts(batch, size):
    """Equal parts, for gradients of all at once would need a gigabyte."""
    columns = (
        batch.x_0.split(size),
        batch.noise.split(size),
        batch.t.split(size),
        batch.alpha_bar.split(size),
    )
    return [Batch(*part) for part in zip(*columns, strict=True)]


@pytest.mark.parametrize("predicts", READINGS)
def test_that_the_implicit_loss_is_the_distance_to_the_score_up_to_a_constant(predicts):
    """E (1−ᾱ)(½‖ŝ‖² + tr ∇ŝ) = ½ E (1−ᾱ)(‖ŝ − s‖² − ‖s‖²), for any ŝ."""
    spec = PlaneSpec(t=400)
    tables, exact = spec.tables(), spec.denoiser().level(400, torch.float32)
    count, generator = 200_000, torch.Generator().manual_seed(0)
    t, alpha_bar = torch.full((count,), 400), torch.full((count, 1), tables.alpha_bar_at(400))
    x_0 = spec.mixture().at(1.0, torch.float32).sample(count, generator)
    batch = Batch(x_0, torch.randn(count, 2, generator=generator), t, alpha_bar)
    torch.manual_seed(3)
    network = PlaneNetwork(ScoreMLP(16), tables, torch.linspace(0.5, 2, 1001))
    parts = [implicit(network, part, predicts).item() for part in in_parts(batch, 20_000)]
    found = sum(parts) / len(parts)
    guess = NetworkDenoiser(tables, network, predicts)(batch.x_t, 400).score_hat
    score = exact.score(batch.x_t)
    known = 0.5 * (1 - alpha_bar) * ((guess - score) ** 2 - score**2).sum(1, keepdim=True)
    assert found == pytest.approx(float(known.mean()), abs=0.02)


def test_that_the_trace_is_that_of_the_jacobian():
    x = torch.randn(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    level = PlaneSpec().mixture().at(0.5)
    place = x.clone().requires_grad_()
    found = trace_of_jacobian(level.score(place), place).detach()
    assert float((found - level.score_and_divergence(x)[1]).abs().max()) < 1e-10


def test_that_a_network_learns_without_looking_at_the_noise():
    learning = {"objective": "implicit", "steps": 400, "seconds": 600.0, "width": 32}
    spec = PlaneSpec(modes=(Mode(sd_1=0.8, sd_2=0.5),), learning=learning)
    last = learned(spec)[-1]
    error, size = score_error(spec.denoiser(), last.denoiser, dict.fromkeys(range(100, 1000, 50), 1 / 18))
    assert error < 0.2 * size


def test_that_with_points_everything_is_about_the_points():
    spec = PlaneSpec(reference="points", memorised=30, count=200, start="noise", process=Reverse(steps=100))
    points = spec.mixture().means
    assert len(points) == 30
    chain = PlaneChain(spec, spec.denoiser())
    chain.go(chain.last)
    assert float(torch.cdist(chain.x.double(), points).min(1).values.quantile(0.9)) < 0.01
    moved = spec.model_copy(update={"modes": (Mode(x=1.0),)})
    assert len(moved.mixture().means) == 30
    assert spec.model_copy(update={"reference": "law"}).mixture().means.shape == (3, 2)


def test_that_learning_ends_after_its_steps():
    """Long before its time; the same steps give the same network, however fast they were."""
    learning = {"steps": 130, "seconds": 600, "width": 16}
    first, second = (learned(PlaneSpec(learning=learning))[-1] for _ in range(2))
    assert first.step == second.step == 130
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first.denoiser(x, 400).eps_hat, second.denoiser(x, 400).eps_hat)


def test_that_learning_stops_when_told():
    control = Control()
    stream = learn(PlaneSpec(), control)
    first = next(event for event in stream if isinstance(event, Learned))
    control.stop()
    rest = list(stream)
    assert rest[-1] == Finished("stopped", step=first.step)
    assert only(rest, Learned) == [], "no step came after it"


def test_that_a_drawn_line_and_a_picture_become_modes():
    line = np.stack([np.linspace(-2, 2, 400), np.zeros(400)], 1)
    modes = modes_from_points(line, 0.16)
    assert 20 < len(modes) < 60
    ink = np.zeros((60, 120))
    ink[20:40, 30:90] = 1
    modes = modes_from_picture(ink)
    assert 20 < len(modes) <= 160
    assert max(abs(m.y) for m in modes) < max(abs(m.x) for m in modes)
    with pytest.raises(ValueError, match="nothing in this picture"):
        modes_from_picture(np.zeros((10, 10)))


@pytest.mark.parametrize("name", ["a.json", "a.png"])
@pytest.mark.parametrize("kind", [kind for kind in hostile.KINDS if kind != "link out"])
def test_that_a_dropped_file_that_is_none_holds_no_state(name, kind, tmp_path):
    hostile.put(tmp_path / name, kind)
    assert not holds_state(tmp_path / name)
    with pytest.raises(ValueError, match="holds no state of the 2-D page"):
        read_state(tmp_path / name)


def test_that_files_open_again(tmp_path):
    state = {"spec": PlaneSpec(t=7).model_dump(mode="json")}
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    save_picture(tmp_path / "a.png", pixels, state)
    save_state(tmp_path / "a.json", state)
    assert read_state(tmp_path / "a.png") == read_state(tmp_path / "a.json") == json.loads(json.dumps(state))
    for name in ("a.gif", "a.webp"):
        save_animation(tmp_path / name, [pixels, 255 - pixels, pixels // 2], state)
        with Image.open(tmp_path / name) as image:
            assert image.n_frames == 3
    chain = chain_of(process=Langevin(steps=500))
    save_particles(tmp_path / "a.npz", chain)
    with np.load(tmp_path / "a.npz") as file:
        assert file["x"].shape == (len(file["step"]), 50, 2)
        assert file["step"][-1] == 500
        chain.go(int(file["step"][7]))
        np.testing.assert_array_equal(file["x"][7], chain.x.numpy())
    (tmp_path / "b.json").write_text("[1]")
    with pytest.raises(ValueError, match="holds no state"):
        read_state(tmp_path / "b.json")


def test_that_a_learned_variance_is_refused_in_the_plane():
    with pytest.raises(ValueError, match="The denoiser of the plane learned no variance"):
        with_value(Reverse(sampler=DDPM()), "sampler.variance", "learned")


@pytest.mark.parametrize("broken", [{"shape": "nowhere"}, {"modes": []}, {"modes": [{}] * 161}])
def test_that_a_state_that_cannot_be_is_refused(broken):
    with pytest.raises(ValueError, match=r"mode|named"):
        PlaneSpec.model_validate(PlaneSpec().model_dump() | broken)
