"""One training step, against its definition written out again."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_studio.core.process.schedules import CosineSchedule, LearnedSchedule, LinearSchedule, Schedule
from diffusion_studio.data.load import load
from diffusion_studio.engine.loop.adamw import AdamW
from diffusion_studio.engine.machine.devices import training_format
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.engine.training.session import Session, resolve
from diffusion_studio.models.unet import Precision, UNetSpec
from support.processors import processors
from support.tiny import CPU, begin, differing, everything, finish, resume, tiny_config, with_training


@pytest.fixture
def session(pictures: Path, tmp_path: Path) -> Session:
    return begin(tmp_path / "run", tiny_config(pictures, warmup=4, ema_decay=0.6, learning_rate=2e-3))


def batch_of(session: Session, n: int, size: int = 16) -> Batch:
    return session.batches.batch(n, n * size, size)


@pytest.mark.parametrize("schedule", [LinearSchedule(), CosineSchedule()], ids=lambda s: s.kind)
@pytest.mark.parametrize("conditional", [True, False])
def test_that_the_loss_is_algorithm_1(
    schedule: Schedule, conditional: bool, pictures: Path, tmp_path: Path
) -> None:
    """‖ε − ε_θ(√ᾱ_t x_0 + √(1−ᾱ_t) ε, t)‖² (Ho et al.), computed in float64."""
    config = tiny_config(pictures, schedule=schedule, conditional=conditional, T=50)
    session = begin(tmp_path / "run", config)
    batch = batch_of(session, 0, 48)
    unet = copy.deepcopy(session.learner.unet).double()
    betas = schedule.betas(50).tolist()
    expected = []
    for i in range(48):
        t = int(batch.t[i])
        alpha_bar = np.prod([1 - beta for beta in betas[:t]])
        noise = batch.noise[i : i + 1].double()
        x_t = alpha_bar**0.5 * batch.x_0[i : i + 1].double() + (1 - alpha_bar) ** 0.5 * noise
        label = None if batch.labels is None else batch.labels[i : i + 1].clone()
        if label is not None and label == -1:
            label[0] = 3  # ∅ is the last class that the network knows
        with torch.no_grad():
            eps_hat = unet(x_t, torch.tensor([t - 1]), label).sample
        expected.append(float(((noise - eps_hat) ** 2).mean()))
    assert (batch.labels is not None) is conditional
    errors = session.learner.step(batch, 0).errors
    np.testing.assert_allclose(errors.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_that_the_ema_follows_its_recursion(session: Session) -> None:
    learner = session.learner
    ema = {name: p.detach().double().clone() for name, p in learner.unet.named_parameters()}
    for n in range(12):
        learner.step(batch_of(session, n), n)
        decay = min(0.6, (1 + n) / (10 + n))
        for name, p in learner.unet.named_parameters():
            ema[name] = decay * ema[name] + (1 - decay) * p.detach().double()
    for name, p in learner.ema_unet.named_parameters():
        torch.testing.assert_close(p.detach().double(), ema[name], rtol=1e-4, atol=1e-6)


def test_that_the_ema_network_shares_no_memory_with_the_other(session: Session) -> None:
    raw = {p.data_ptr() for p in session.learner.unet.parameters()}
    assert raw.isdisjoint({p.data_ptr() for p in session.learner.ema_unet.parameters()})
    assert not any(p.requires_grad for p in session.learner.ema_unet.parameters())
    assert not session.learner.ema_unet.training


def test_that_the_step_is_adam_with_warm_up_and_clipping(session: Session) -> None:
    """The weights follow torch's plain AdamW, whose rate and gradient are set by hand."""
    learner = session.learner
    copies = [p.detach().clone().requires_grad_() for p in learner.descent.weights]
    plain = torch.optim.AdamW(copies, lr=1, weight_decay=0, foreach=False)
    for n in range(8):
        batch = batch_of(session, n)
        free = torch.autograd.grad(learner._result(batch).minimised.mean(), learner.descent.weights)
        length = float(torch.cat([g.flatten() for g in free]).double().norm())
        for copied, gradient in zip(copies, free, strict=True):
            copied.grad = gradient * min(1.0, learner.spec.gradient_clip / (length + 1e-6))
        plain.param_groups[0]["lr"] = learner.spec.learning_rate * min(1, (n + 1) / 4)
        plain.step()
        learner.step(batch, n)
    for copied, p in zip(copies, learner.descent.weights, strict=True):
        torch.testing.assert_close(p, copied, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("clip", [0.0, 1e-3, 1e3])
def test_that_gradients_are_clipped_to_the_asked_length(clip: float, session: Session) -> None:
    learner = session.learner
    learner.spec = learner.spec.model_copy(update={"gradient_clip": clip})
    batch = batch_of(session, 0)
    free = torch.autograd.grad(learner._result(batch).minimised.mean(), learner.descent.weights)
    length = float(torch.cat([g.flatten() for g in free]).norm())
    learner.step(batch, 0)
    used = float(torch.cat([p.grad.flatten() for p in learner.unet.parameters()]).norm())
    assert used == pytest.approx(min(length, clip or length), rel=1e-3)


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of each step that is taken."""
    found, plain = [], AdamW.step

    def step(self: AdamW, rate: float, weight_decay: float, skipped: torch.Tensor | None) -> None:
        found.append(rate)
        plain(self, rate, weight_decay, skipped)

    monkeypatch.setattr(AdamW, "step", step)
    return found


def test_that_the_learning_rate_grows_from_0_over_the_warm_up(session: Session, rates: list[float]) -> None:
    for n in range(6):
        session.learner.step(batch_of(session, n), n)
    assert rates == pytest.approx([2e-3 * r for r in (0.25, 0.5, 0.75, 1, 1, 1)])


def test_that_there_is_no_warm_up_when_none_is_asked_for(
    pictures: Path, tmp_path: Path, rates: list[float]
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, warmup=0, learning_rate=2e-3))
    session.learner.step(batch_of(session, 0), 0)
    assert rates == [2e-3]


def test_that_training_lowers_the_loss(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, learning_rate=5e-3, batch_size=32))
    losses = [float(session.learner.step(batch_of(session, n, 32), n).errors.mean()) for n in range(60)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


def trained(session: Session, steps: int, size: int = 16) -> None:
    for number in range(steps):
        session.learner.step(batch_of(session, number, size), number)


def test_that_no_label_is_class_K(session: Session) -> None:
    """∅ is the network's last class: −1 and None ask for it, and the others stay apart."""
    learner = session.learner
    trained(session, 2)
    assert learner.classes == 3
    assert learner.unet.config.num_class_embeds == 4
    denoiser = learner.denoiser()
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def eps(labels: list[int] | None) -> torch.Tensor:
        return denoiser(x, 20, None if labels is None else torch.tensor(labels)).eps_hat

    torch.testing.assert_close(eps(None), eps([-1, -1]), rtol=0, atol=0)
    with torch.inference_mode():
        last = learner.ema_unet(x, torch.tensor([19, 19]), torch.tensor([3, 3])).sample
    torch.testing.assert_close(eps(None), last, rtol=0, atol=0)
    torch.testing.assert_close(eps([-1, 2])[0], eps(None)[0], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(eps([0, 2]), eps(None))


@pytest.mark.parametrize("dropout", [0.0, 1.0])
def test_that_only_the_embeddings_of_shown_labels_are_trained(
    dropout: float, pictures: Path, tmp_path: Path
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, label_dropout=dropout, batch_size=24))
    trained(session, 2, 24)  # the first step moves what it says alone, which was 0
    gradient = session.learner.unet.class_embedding.weight.grad.abs().sum(1)
    assert (gradient > 0).tolist() == ([False, False, False, True] if dropout else [True, True, True, False])


def test_that_the_network_time_begins_at_0(session: Session) -> None:
    learner, seen = session.learner, []

    def note(module: object, args: tuple, kwargs: dict) -> None:
        seen.append(args[1])

    handle = learner.unet.register_forward_pre_hook(note, with_kwargs=True)
    other = learner.ema_unet.register_forward_pre_hook(note, with_kwargs=True)
    batch = batch_of(session, 0)
    learner.step(batch, 0)
    learner.denoiser()(batch.x_0, 50)
    handle.remove()
    other.remove()
    assert torch.equal(seen[0], batch.t - 1)
    assert seen[1].unique().tolist() == [49]


def test_that_the_start_is_a_function_of_the_seed(pictures: Path, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    sessions = [begin(tmp_path / str(i), tiny_config(pictures, seed=s)) for i, s in enumerate((5, 5, 6))]
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"
    one, same, other = map(everything, sessions)
    assert differing(one, same) == []
    assert differing(one, other) != []


def test_that_restoring_keeps_the_memory_layout_of_the_moments(session: Session, tmp_path: Path) -> None:
    from support.tiny import finish

    finish(session)
    again = resume(tmp_path / "run", with_training(session.config, learning_rate=1e-3))
    ours, theirs = session.learner.descent, again.learner.descent
    assert [w.stride() for w in theirs.weights] == [w.stride() for w in ours.weights]
    moments = theirs.state()
    for name, moment in ours.state().items():
        assert moments[name].stride() == moment.stride()


def test_that_bf16_trains_too(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, precision="bf16"))
    plain = begin(tmp_path / "plain", tiny_config(pictures, precision="fp32"))
    batch = batch_of(session, 0)
    errors, expected = session.learner.step(batch, 0).errors, plain.learner.step(batch, 0).errors
    assert errors.dtype == torch.float32
    torch.testing.assert_close(errors, expected, rtol=0.05, atol=0.05)
    assert all(p.dtype == torch.float32 for p in session.learner.unet.parameters())


@pytest.mark.parametrize(
    ("device", "precision", "parts", "pixel_by_pixel"),
    [
        ("cpu", "fp32", 1, True), ("cpu", "fp32", 2, False), ("cpu", "bf16", 1, False),
        ("mps", "fp32", 1, True), ("cuda", "fp32", 1, True), ("cuda", "bf16", 4, True),
    ],
)  # fmt: skip
def test_that_a_processor_keeps_channels_apart_in_parts_and_in_bf16(
    device: str, precision: Precision, parts: int, pixel_by_pixel: bool
) -> None:
    layout = training_format(torch.device(device), precision, parts)
    assert (layout == torch.channels_last) == pixel_by_pixel


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_that_a_training_in_either_precision_goes_on_exactly(
    precision: Precision, pictures: Path, tmp_path: Path
) -> None:
    config = tiny_config(pictures, steps=6, precision=precision)
    once, first = begin(tmp_path / "once", config), begin(tmp_path / "twice", with_training(config, steps=3))
    finish(once)
    finish(first)
    second = resume(tmp_path / "twice", with_training(first.config, steps=6))
    finish(second)
    assert differing(everything(once), everything(second)) == []


@pytest.mark.parametrize(
    ("optimizer", "width", "chosen", "expected"),
    [
        ("adamw", 16, 0.0, 7e-3),
        ("adamw", 24, 0.0, 3e-3),  # 48 channels at its widest
        ("muon", 16, 0.0, 3e-3),
        ("adamw", 16, 2e-3, 2e-3),
    ],
)
def test_that_narrow_networks_learn_at_a_higher_rate_by_adamw(
    pictures: Path, optimizer: str, width: int, chosen: float, expected: float
) -> None:
    config = tiny_config(pictures, optimizer=optimizer, learning_rate=chosen)
    model = UNetSpec(width=width, multipliers=(1, 2))
    found = resolve(config.model_copy(update={"model": model}), load(config.data), CPU)
    assert found.training.learning_rate == expected


@pytest.mark.parametrize(("resolution", "expected"), [(16, ("muon", 128)), (20, ("muon", 32))])
def test_that_optimizer_and_batch_are_chosen_by_the_size_of_the_images(
    pictures: Path,
    tmp_path: Path,
    resolution: int,
    expected: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tiny_config(pictures, optimizer="auto", batch_size=0, parts=0)
    data = config.data.model_copy(update={"resolution": resolution})
    session = begin(tmp_path / "run", config.model_copy(update={"data": data}))
    chosen = session.config.training
    assert (chosen.optimizer, chosen.batch_size) == expected
    assert chosen.parts == 1  # this machine has one processor for a test
    assert Run.open(session.run.path).config.training == chosen


def stepped(session: Session, parts: int, steps: int = 3) -> Session:
    """After some steps of batches in so many parts."""
    session.learner.spec = session.learner.spec.model_copy(update={"parts": parts})
    for number in range(steps):
        session.learner.step(batch_of(session, number), number)
    return session


KINDS = {
    "fixed": {}, "hybrid": {"variance": "hybrid"}, "vlb": {"variance": "vlb"},
    "corrected": {"density": {"kind": "importance"}}, "learned": {},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_step_in_parts_is_the_step(kind: str, pictures: Path, tmp_path: Path) -> None:
    """Σ_p (B_p / B) ∇L_p = ∇L, of the network and of a schedule that is learned, but for rounding."""
    schedule = LearnedSchedule() if kind == "learned" else None
    config = tiny_config(pictures, schedule=schedule, objective=KINDS[kind])
    whole, split = (begin(tmp_path / name, config) for name in ("whole", "split"))
    one, other = whole.learner, stepped(split, 3, 1).learner
    result = one.step(batch_of(whole, 0), 0)
    again = begin(tmp_path / "again", config)
    again.learner.spec = other.spec
    parts = again.learner.step(batch_of(again, 0), 0)
    for name in ("errors", "losses", "minimised"):
        torch.testing.assert_close(getattr(result, name), getattr(parts, name), rtol=1e-4, atol=1e-6)
    for (name, a), b in zip(one.unet.named_parameters(), other.unet.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-6, msg=name)
    torch.testing.assert_close(one.tables.log_snr, other.tables.log_snr, rtol=1e-6, atol=1e-6)


def test_that_parts_give_the_same_bits_however_many_threads_there_are(pictures: Path, tmp_path: Path) -> None:
    found = []
    for count in (1, 2, 4):
        with processors(count):
            session = stepped(begin(tmp_path / str(count), tiny_config(pictures, parts=4)), 4)
        found.append(dict(session.learner.unet.named_parameters()))
    for other in found[1:]:
        assert all(torch.equal(weight, other[name]) for name, weight in found[0].items())
