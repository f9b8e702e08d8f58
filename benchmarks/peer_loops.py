"""How others train on the same pictures: their networks and loops at the settings that they propose.

Each takes pictures (n, C, H, W) in [−1, 1], a time and a number, trains as long, and gives as many samples
drawn with 50 calls of its network and how many steps it took. Nobody's code is here: what is not diffusers'
comes from the packages of its authors, which are asked for where they are not installed
(pip install denoising-diffusion-pytorch smalldiffusion torch-ema).
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CALLS, TOGETHER = 50, 50  # calls of the network for a sample; samples drawn at once
Peer = Callable[[Tensor, float, int], tuple[Tensor, int]]


def course(x: Tensor, seconds: float, count: int) -> tuple[Tensor, int]:
    """The Hugging Face diffusion course: UNet2DModel 32-64-64 at 32 px, AdamW 1e-3, batches of 128."""
    from diffusers import UNet2DModel

    side = max(32, x.shape[-1])
    network = UNet2DModel(
        sample_size=side, in_channels=x.shape[1], out_channels=x.shape[1], layers_per_block=2,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    return _noise_learned(network, optimizer, _resized(x, side), 128, seconds, count)


def script(x: Tensor, seconds: float, count: int) -> tuple[Tensor, int]:
    """diffusers' train_unconditional at its defaults: 64 px, 128 to 512 channels, AdamW 1e-4, batches of 16,
    a rate that rises for 500 steps, mirrored pictures, and an average of the weights.
    """
    from diffusers import UNet2DModel
    from diffusers.training_utils import EMAModel

    colour = _resized(x.expand(-1, 3, -1, -1), 64)
    plain, attends = "Block2D", (False, False, False, False, True, False)
    network = UNet2DModel(
        sample_size=64, in_channels=3, out_channels=3, layers_per_block=2,
        block_out_channels=(128, 128, 256, 256, 512, 512),
        down_block_types=tuple(("AttnDown" if a else "Down") + plain for a in attends),
        up_block_types=tuple(("AttnUp" if a else "Up") + plain for a in reversed(attends)),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(
        network.parameters(), 1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
    )
    average = EMAModel(network.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75)
    samples, steps = _noise_learned(
        network, optimizer, colour, 16, seconds, count, rise=500, mirrored=True, clip=1.0, average=average
    )
    return samples.mean(1, keepdim=True) if x.shape[1] == 1 else samples, steps


def denoising(x: Tensor, seconds: float, count: int) -> tuple[Tensor, int]:
    """denoising-diffusion-pytorch with 32 channels: its loss, sampler and average of the weights, Adam 8e-5,
    two batches of 32 a step.
    """
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet
    from ema_pytorch import EMA

    side = -(-x.shape[-1] // 8) * 8  # three halvings
    network = Unet(dim=32, dim_mults=(1, 2, 4, 8), channels=x.shape[1])
    model = GaussianDiffusion(network, image_size=side, timesteps=1000, sampling_timesteps=CALLS)
    optimizer = torch.optim.Adam(model.parameters(), 8e-5, betas=(0.9, 0.99))
    average = EMA(model, beta=0.995, update_every=10)
    pictures, steps = (_resized(x, side) + 1) / 2, 0
    for _ in _until(seconds):
        optimizer.zero_grad()
        for _ in range(2):
            (model(pictures[torch.randint(len(x), (32,))]) / 2).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update()
        steps += 1
    with torch.inference_mode():
        parts = [average.ema_model.sample(batch_size=size) for size in _sizes(count)]
    return torch.cat(parts) * 2 - 1, steps


def small(x: Tensor, seconds: float, count: int) -> tuple[Tensor, int]:
    """smalldiffusion's example for Fashion-MNIST: 64 channels, batches of 1,024, AdamW 7e-4, average 0.999,
    and its own sampler.
    """
    from smalldiffusion import Scaled, ScheduleLogLinear, Unet, samples, training_loop
    from torch.utils.data import DataLoader
    from torch_ema import ExponentialMovingAverage

    side, channels = x.shape[-1], x.shape[1]
    levels = ScheduleLogLinear(sigma_min=0.01, sigma_max=20, N=800)
    network = Scaled(Unet)(side, channels, channels, ch=64, ch_mult=(1, 1, 2), attn_resolutions=(side // 2,))
    average = ExponentialMovingAverage(network.parameters(), decay=0.999)
    loop = training_loop(DataLoader(_Rows(x), batch_size=1024, shuffle=True), network, levels, lr=7e-4)
    steps, began = 0, time.perf_counter()
    for _ in loop:
        if steps:
            average.update()
        if time.perf_counter() - began >= seconds:
            break
        steps += 1
    with average.average_parameters():
        parts = []
        for size in _sizes(count):
            *_, last = samples(network, levels.sample_sigmas(CALLS), gam=1.6, batchsize=size)
            parts.append(last)
    return torch.cat(parts), steps


PEERS: dict[str, Peer] = {
    "the diffusion course's loop": course, "diffusers' script": script,
    "denoising-diffusion-pytorch": denoising, "smalldiffusion": small,
}  # fmt: skip


class _Rows(torch.utils.data.Dataset[Tensor]):
    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Tensor:
        return self.x[index]


def _resized(x: Tensor, side: int) -> Tensor:
    return x if x.shape[-1] == side else F.interpolate(x, side, mode="bilinear")


def _sizes(count: int) -> list[int]:
    return [min(TOGETHER, count - at) for at in range(0, count, TOGETHER)]


def _until(seconds: float) -> Iterator[int]:
    began = time.perf_counter()
    return itertools.takewhile(lambda _: time.perf_counter() - began < seconds, itertools.count())


def _noise_learned(
    network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, size: int, seconds: float, count: int, *,
    rise: int = 0, mirrored: bool = False, clip: float = 0.0, average: object = None,
) -> tuple[Tensor, int]:  # fmt: skip
    """With diffusers' schedulers of 1,000 linear levels; drawn by DDIM."""
    from diffusers import DDIMScheduler, DDPMScheduler

    noising, rate, steps = DDPMScheduler(1000), optimizer.param_groups[0]["lr"], 0
    for _ in _until(seconds):
        x_0 = x[torch.randint(len(x), (size,))]
        if mirrored:
            x_0 = torch.where(torch.rand(size, 1, 1, 1) < 0.5, x_0.flip(3), x_0)
        noise, t = torch.randn_like(x_0), torch.randint(1000, (size,))
        said = network(noising.add_noise(x_0, noise, t), t, return_dict=False)[0]
        optimizer.zero_grad()
        F.mse_loss(said, noise).backward()  # type: ignore[no-untyped-call]
        if clip:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.param_groups[0]["lr"] = rate * min(1.0, (steps + 1) / rise) if rise else rate
        optimizer.step()
        steps += 1
        if average is not None:
            average.step(network.parameters())  # type: ignore[attr-defined]
    drawing = copy.deepcopy(network).eval()
    if average is not None:
        average.copy_to(drawing.parameters())  # type: ignore[attr-defined]
    scheduler = DDIMScheduler(1000)
    scheduler.set_timesteps(CALLS)
    parts = []
    with torch.inference_mode():
        for part in torch.split(torch.randn(count, *x.shape[1:]), TOGETHER):
            for t_ in scheduler.timesteps:
                part = scheduler.step(drawing(part, t_, return_dict=False)[0], t_, part).prev_sample
            parts.append(part)
    return torch.cat(parts), steps
