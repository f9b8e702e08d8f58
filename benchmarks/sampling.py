"""What the reverse chain costs beyond its network calls, and beside diffusers.

    python -m benchmarks.sampling

Fifty DDIM steps of the engine's chain ÷ fifty bare calls of the same network on the same batch, and ÷ the
same fifty steps as a loop through diffusers' DDIMScheduler and its network of the same weights, which does
not remember its times; all three taken in turns. Then the same with a
network that costs nothing: what is left is the cost of a step itself, free of the network's noise.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
from diffusers import DDIMScheduler, UNet2DModel

from benchmarks.measuring import against, interleaved, paired_ratio, say_machine, table
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import Source
from diffusion_studio.engine.machine.devices import sampling_precision
from diffusion_studio.engine.runs.model_io import prepared
from diffusion_studio.models.network import NetworkDenoiser
from diffusion_studio.models.unet import UNet, UNetSpec, autocast, build_unet

CPU = torch.device("cpu")
STEPS = 50
CASES = (  # name, resolution, channels, classes, images, budget against bare calls
    ("digits", 8, 1, 10, 16, 1.10),
    ("digits", 8, 1, 10, 64, 1.10),
    ("32×32 RGB", 32, 3, 0, 16, 1.03),
)
AGAINST_DIFFUSERS = 1.0


def plain_network(resolution: int, channels: int, classes: int) -> UNet2DModel:
    """Diffusers' network of the default size, as diffusers has it."""
    torch.manual_seed(0)
    unet = build_unet(UNetSpec().resolved(resolution, False), resolution, channels, classes)
    return unet.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def source_for(resolution: int, channels: int, classes: int) -> Source:
    """The same as the program loads it."""
    tables = Tables.from_betas(CosineSchedule().betas(1000))
    unet = prepared(plain_network(resolution, channels, classes), CPU)
    network = UNet(unet, classes, sampling_precision(CPU, resolution))
    names = tuple(str(k) for k in range(classes))
    return Source(
        "folder", "bench", NetworkDenoiser(tables, network), (resolution, resolution), channels, names
    )


def network_of(source: Source) -> UNet:
    denoiser = source.denoiser
    assert isinstance(denoiser, NetworkDenoiser)
    assert isinstance(denoiser.network, UNet)
    return denoiser.network


def chain_loop(chain: Chain) -> Callable[[], int]:
    def run() -> int:
        for _ in chain.steps():
            pass
        return STEPS

    return run


def bare_calls(chain: Chain) -> Callable[[], int]:
    """The network alone, its inputs made before."""
    network = network_of(chain.source)
    x, labels = chain.start(), chain.labels()
    times = [torch.full((len(x),), t - 1) for t in chain.times[:-1]]

    def run() -> int:
        with torch.inference_mode():
            for t in times:
                with autocast(CPU, network.precision):
                    network.unet(x, t, labels, return_dict=False)
        return STEPS

    return run


def diffusers_loop(chain: Chain, unet: Callable[..., tuple[torch.Tensor]]) -> Callable[[], int]:
    """The usual loop: the plain network, `scheduler.step`."""
    network, tables = network_of(chain.source), chain.source.tables
    scheduler = DDIMScheduler(1000, trained_betas=tables.beta[1:].numpy(), timestep_spacing="trailing")
    scheduler.set_timesteps(STEPS)
    labels = chain.labels()

    def run() -> int:
        x = chain.start()
        with torch.inference_mode():
            for t in scheduler.timesteps:
                with autocast(CPU, network.precision):
                    (value,) = unet(x, t, labels, return_dict=False)
                x = scheduler.step(value.to(x.dtype), t, x, return_dict=False)[0]
        return STEPS

    return run


class Free(torch.nn.Module):
    """In place of a network: costs nothing."""

    def __init__(self, config: object) -> None:
        super().__init__()
        self.config = config

    def forward(self, x: torch.Tensor, *_: object, return_dict: bool = False) -> tuple[torch.Tensor]:
        return (x,)


def cost_of_a_step() -> None:
    rows = []
    for name, resolution, channels, classes, count, _ in CASES:
        source = source_for(resolution, channels, classes)
        network = network_of(source)
        network.unet = Free(network.unet.config)
        chain = Chain(source, SampleSpec(count=count, steps=STEPS), CPU)
        ours, theirs = interleaved((chain_loop(chain), diffusers_loop(chain, network.unet)), 40)
        ratio = paired_ratio(ours, theirs)
        rows.append((name, count, *(f"{1e6 * median(v):.0f}" for v in (ours, theirs)), f"{ratio:.2f}"))
    table(("a step without its network", "images", "chain µs", "diffusers µs", "ratio"), rows)


def main() -> None:
    rows = []
    for name, resolution, channels, classes, count, budget in CASES:
        source = source_for(resolution, channels, classes)
        chain = Chain(source, SampleSpec(count=count, steps=STEPS), CPU)
        plain = plain_network(resolution, channels, classes)
        sides = (chain_loop(chain), bare_calls(chain), diffusers_loop(chain, plain))
        ours, bare, theirs = interleaved(sides, 25 if resolution > 8 else 100)
        to_bare, to_theirs = paired_ratio(ours, bare), paired_ratio(ours, theirs)
        times = [f"{1000 * STEPS * median(values):.0f}" for values in (ours, bare, theirs)]
        rows.append((
            name, count, network_of(source).precision, *times, f"{to_bare:.3f}", f"≤ {budget}",
            against(to_bare, budget),
            f"{to_theirs:.3f}", f"≤ {AGAINST_DIFFUSERS}",
            against(to_theirs, AGAINST_DIFFUSERS),
        ))  # fmt: skip
    headers = ("model", "images", "precision", "chain ms", "bare ms", "diffusers ms", "÷ bare", "budget", "")
    table((*headers, "÷ diffusers", "budget", ""), rows)


if __name__ == "__main__":
    say_machine()
    main()
    cost_of_a_step()
