"""What a graphics processor is worth: whether it computes what the processor does, and how fast.

    python -m benchmarks.gpu [--device cuda] [--quick]

correctness  losses of three training steps and ten DDIM steps on the device against the processor, in fp32;
             on CUDA no step may wait for the device (torch's own watch over it raises an error).
training     images per second at 32, 64 and 128 px, bf16 where the device has it, beside the loop of
             diffusers' train_unconditional with the same network and batch; how much of a step the device
             idles, by torch's profiler.
sampling     images per second of 50 DDIM steps, beside diffusers' DDIMScheduler.

At most 8 minutes on one GPU. `--quick` runs all of it at 8 px, to see that the script works; its figures
say nothing.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from benchmarks.measuring import say_machine, table
from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import LinearSchedule
from diffusion_studio.core.process.spacing import TrailingSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.machine.devices import choose_device, choose_precision, device_name
from diffusion_studio.engine.runs.config import ObjectiveSpec, TrainingSpec
from diffusion_studio.engine.training.batches import BatchSource
from diffusion_studio.engine.training.learner import Learner
from diffusion_studio.models.unet import Precision, UNetSpec, autocast, build_unet

CPU = torch.device("cpu")
IMAGES = 1024
TABLES = Tables.from_betas(LinearSchedule().betas(1000))
CLOSE = 2e-3  # relative, of losses and samples in fp32
SLOWER = 1.0  # images per second beside diffusers', at least


@dataclass(frozen=True)
class Size:
    """One resolution with its batch, and for how long it is measured."""

    pixels: int
    batch: int
    seconds: float
    spec: UNetSpec


SIZES = tuple(
    Size(pixels, batch, 12.0, UNetSpec().resolved(pixels, fast_device=True))
    for pixels, batch in ((32, 128), (64, 64), (128, 16))
)
SMALL = UNetSpec(width=8, multipliers=(1, 2), layers=1, attention=4)
QUICK = (Size(8, 8, 0.5, SMALL.resolved(8, fast_device=True)),)


def images_of(pixels: int) -> ImageSet:
    """Random colour pictures; speed does not ask what they show."""
    random = np.random.default_rng(0)
    return ImageSet(
        images=random.integers(0, 256, (IMAGES, 3, pixels, pixels), dtype=np.uint8),
        labels=np.full(IMAGES, -1), class_names=(), files=tuple(map(str, range(IMAGES))), skipped=(),
        name="random", source="random", sizes=np.full((IMAGES, 2), pixels, np.int32), how="",
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Ours:
    """The product's learner with its batches."""

    learner: Learner
    batches: BatchSource
    batch: int

    @classmethod
    def of(
        cls, size: Size, device: torch.device, precision: Precision, objective: ObjectiveSpec | None = None
    ) -> Ours:
        objective = objective or ObjectiveSpec()
        torch.manual_seed(0)
        unet = build_unet(size.spec, size.pixels, 3, 0, objective.variance != "fixed")
        learner = Learner(unet, TABLES, TrainingSpec(), 0, device, precision, objective)
        batches = BatchSource(images_of(size.pixels), TABLES.steps, 0, 0.0, True, 0, device)
        return cls(learner, batches, size.batch)

    def step(self, number: int) -> Tensor:
        """The loss of one step, on the device."""
        batch = self.batches.batch(number, number * self.batch, self.batch)
        return self.learner.step(batch, number).minimised.mean()


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """On CUDA whatever waits for the device raises an error in here."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


# --- correctness --------------------------------------------------------------------------------------------


def correctness(size: Size, device: torch.device) -> None:
    """Every prediction and variance, on the device and on the processor."""
    small = Size(size.pixels, min(size.batch, 16), 0.0, SMALL.resolved(size.pixels, fast_device=True))
    rows = []
    for kind in READINGS:
        for variance in ("fixed", "hybrid", "vlb"):
            objective = ObjectiveSpec.model_validate({"predict": kind, "variance": variance})
            here, there = (Ours.of(small, d, "fp32", objective) for d in (device, CPU))
            losses = [(here.step(n), there.step(n)) for n in range(3)]
            with no_waiting(device):
                here.step(3)
            apart = max(abs(float(a) / float(b) - 1) for a, b in losses)
            rows.append((f"{kind}, {variance}", f"{apart:.1e}", "ok" if apart <= CLOSE else "DIFFERS"))
    here, there = (Ours.of(small, d, "fp32") for d in (device, CPU))
    apart = float((drawn(here, 4, 10, device).cpu() - drawn(there, 4, 10, CPU)).abs().max())
    rows.append(("10 DDIM steps", f"{apart:.1e}", "ok" if apart <= CLOSE else "DIFFERS"))
    table(("on the device and on the processor", "apart", ""), rows)


# --- training -----------------------------------------------------------------------------------------------


def theirs(size: Size, device: torch.device, precision: Precision) -> Callable[[int], Tensor]:
    """One step as train_unconditional takes it: DDPMScheduler, plain AdamW, clipping, EMA in a loop."""
    torch.manual_seed(0)
    unet = build_unet(size.spec, size.pixels, 3, 0).to(device).train()
    average = copy.deepcopy(unet).requires_grad_(False)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)
    scheduler = DDPMScheduler()
    images = torch.from_numpy(images_of(size.pixels).images)

    def step(number: int) -> Tensor:
        chosen = torch.randint(len(images), (size.batch,))
        clean = (images[chosen].float() / 127.5 - 1).to(device)
        noise = torch.randn_like(clean)
        times = torch.randint(0, 1000, (size.batch,), device=device)
        with autocast(device, precision):
            said = unet(scheduler.add_noise(clean, noise, times), times).sample
        loss = torch.nn.functional.mse_loss(said.float(), noise)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for kept, weight in zip(average.parameters(), unet.parameters(), strict=True):
                kept.sub_((1 - 0.999) * (kept - weight))
        return loss.detach()

    return step


def rate(step: Callable[[int], Tensor], size: Size, device: torch.device) -> float:
    """Images per second, after a second of warming up; the loss is read 30 times a second, as it is shown."""
    done, read, seconds = 0, 0.0, size.seconds
    for number in range(5):
        step(number)
    wait(device)
    start = time.perf_counter()
    while (now := time.perf_counter() - start) < seconds:
        loss = step(5 + done)
        done += 1
        if now - read > 1 / 30:
            read = now
            float(loss)
    wait(device)
    return done * size.batch / (time.perf_counter() - start)


def idle_share(step: Callable[[int], Tensor], device: torch.device) -> str:
    """How much of 20 steps no kernel runs on the device."""
    if device.type != "cuda":
        return "–"
    wait(device)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        start = time.perf_counter()
        for number in range(20):
            step(100 + number)
        wait(device)
        spent = time.perf_counter() - start
    busy = sum(event.self_device_time_total for event in seen.key_averages()) / 1e6
    return f"{max(0.0, 1 - busy / spent):.0%}"


def training(sizes: tuple[Size, ...], device: torch.device) -> None:
    rows = []
    for size in sizes:
        precision = choose_precision("auto", device)
        ours = Ours.of(size, device, precision)
        rates = rate(ours.step, size, device), rate(theirs(size, device, precision), size, device)
        ratio = rates[0] / rates[1]
        rows.append((
            f"{size.pixels} px, batch {size.batch}, {precision}", f"{rates[0]:.0f}", f"{rates[1]:.0f}",
            f"{ratio:.2f}", idle_share(ours.step, device), "ok" if ratio >= SLOWER else "SLOWER",
        ))  # fmt: skip
    table(("training", "images/s", "diffusers' loop", "ratio", "idle", ""), rows)


# --- sampling -----------------------------------------------------------------------------------------------


def drawn(ours: Ours, count: int, steps: int, device: torch.device) -> Tensor:
    """Samples of the averaged network. (n, 3, H, W)"""
    pixels = ours.batches.examples.shape[1]
    noise = CounterNoise(1, device)
    times = TrailingSpacing().times(TABLES, steps)
    x = noise.start((count, 3, pixels, pixels)).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        for step in reverse_chain(ours.learner.denoiser(), DDIM(), times, x, noise.step):
            x = step.x_s
    return x


def drawn_by_diffusers(unet: Any, count: int, pixels: int, steps: int, device: torch.device) -> Tensor:
    scheduler = DDIMScheduler(timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    x = torch.randn(count, 3, pixels, pixels, device=device)
    with torch.inference_mode():
        for t in scheduler.timesteps:
            x = scheduler.step(unet(x, t).sample, t, x).prev_sample
    return x


def sampling(sizes: tuple[Size, ...], device: torch.device, steps: int) -> None:
    rows = []
    for size in sizes:
        ours = Ours.of(size, device, choose_precision("auto", device))
        sides = (
            lambda ours=ours, size=size: drawn(ours, size.batch, steps, device),
            lambda ours=ours, size=size: drawn_by_diffusers(
                ours.learner.ema_unet, size.batch, size.pixels, steps, device
            ),
        )
        rates = [_sampled_per_second(side, size, device) for side in sides]
        rows.append((f"{size.pixels} px, {size.batch} at once", *(f"{r:.1f}" for r in rates)))
    table((f"sampling, {steps} DDIM steps", "images/s", "diffusers in fp32"), rows)


def _sampled_per_second(draw: Callable[[], Tensor], size: Size, device: torch.device) -> float:
    draw()
    wait(device)
    start = time.perf_counter()
    draw()
    wait(device)
    return size.batch / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="to see that the script works")
    asked = parser.parse_args()
    device = choose_device(asked.device)
    sizes = QUICK if asked.quick else SIZES
    say_machine()
    print(f"device: {device_name(device)}\n")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    correctness(sizes[0], device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    print()
    training(sizes, device)
    print()
    sampling(sizes, device, 10 if asked.quick else 50)


if __name__ == "__main__":
    main()
