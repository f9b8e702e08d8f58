"""The training of an autoencoder: a task of the one loop, and what it tells beside the losses."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.averaging import decay_at
from diffusion_studio.core.devices import sent
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.autoencoder.bound import BoundTerms, bound_terms, squared_error
from diffusion_studio.engine.autoencoder.build import build_network, decoder_of, planned_network
from diffusion_studio.engine.autoencoder.events import BoundTold, WeightChanged
from diffusion_studio.engine.autoencoder.look import Onlooker
from diffusion_studio.engine.autoencoder.model import AVERAGE, CodeModel
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Event, Progress
from diffusion_studio.engine.loop.descent import Descent
from diffusion_studio.engine.machine.room import check_count
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig, VAEConfig
from diffusion_studio.engine.runs.checkpoints import CheckpointContent, CheckpointError
from diffusion_studio.engine.training.batches import DataOrder
from diffusion_studio.models.kl_autoencoder import as_diffusers
from diffusion_studio.models.still import still

RAW, OPTIMIZER = "trainer/raw.safetensors", "trainer/optimizer.safetensors"
KL_CONFIG, KL_WEIGHTS = "vae/config.json", "vae/diffusion_pytorch_model.safetensors"  # as diffusers has them
DRAWS = 21  # stream of the counter
_WORD = 2**64 - 1
MOST_IN_MEMORY = 64 << 20  # bytes of images as numbers
AHEAD = 1 << 20  # bytes of images that are picked at once, for several steps: a call costs more than its rows
_LINE = 64  # bytes of a line of the cache, at the begin of which every batch lies
WARMUP = 50  # steps over which the learning rate grows
NEVER_BELOW = 0.002  # share of the learning rate that is left at the end
TERMS_EVERY = 0.15  # seconds between two tellings of both terms, whose curves are drawn 6 times a second


@dataclass(frozen=True)
class KlWeight:
    """The wish that the KL should count so much from the next step on."""

    value: float


class AutoencoderTask:
    """What an autoencoder learns.

    Args:
        images: all of them.
        numbers: those that are trained on.
        control: where a wish for another weight of the KL comes from.
    """

    def __init__(
        self, config: AutoencoderConfig, images: ImageSet, numbers: NDArray[np.int64],
        device: torch.device, control: Control,
    ) -> None:  # fmt: skip
        self.config, self.device = config, device
        self._control, self._images, self._numbers = control, images, numbers
        self.decoder = decoder_of(config)
        shape = (images.channels, images.resolution, images.resolution)
        check_count(sum(part.numel() for part in planned_network(config, shape).parameters()), device)
        self.network = build_network(config, shape).to(device).train()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._descent = Descent(self.network, self.average)
        self._pixels = _in_memory(images, numbers, device)
        self._order = DataOrder(len(numbers), config.seed)
        self._ahead = _steps_ahead(4 * self.size * math.prod(shape))
        self._picked: tuple[Tensor, ...] = ()  # images of some steps
        self._picked_from = -1  # the first of them
        self._generator = torch.Generator(device)
        self._dims = math.prod(shape)
        self.kl_weight = config.kl_weight if isinstance(config, VAEConfig) else 0.0
        self._terms: list[Tensor] = []  # both of each step since they were told, on the device
        self._terms_told = -math.inf  # seconds of training
        self._onlooker = Onlooker(images, numbers, config.seed)

    @property
    def size(self) -> int:
        return self.config.training.batch_size

    @property
    def weights(self) -> int:
        """How many numbers are learned."""
        return self._descent.size

    def step(self, number: int, share: float) -> Tensor:
        spec = self.config.training
        self._generator.manual_seed(_seed_of(self.config.seed, number))
        terms = self.terms(self._batch(number))
        reconstruction, kl = terms.reconstruction.mean(), terms.kl.sum(1).mean()
        loss = reconstruction + self.kl_weight * kl
        self._descent.backward(loss / self._dims)
        rate = self.config.learning_rate * learning_share(number, share)
        self._descent.follow(rate, decay_at(number, spec.ema_decay), spec.gradient_clip or math.inf)
        self._terms += reconstruction.detach(), kl.detach()
        return loss.detach()

    def terms(self, x: Tensor) -> BoundTerms:
        """What is minimised, for a batch."""
        if not isinstance(self.config, VAEConfig):
            return squared_error(self.network, x)
        return bound_terms(self.network, self.decoder, x, self._generator, self.config.draws)

    def _batch(self, number: int) -> Tensor:
        """Images in [−1, 1], some of them mirrored where the config asks for it. (B, C, H, W)"""
        if self._pixels is not None:
            x = self._rows(self._pixels, number)
        else:
            places = self._order.slice(number * self.size, self.size)
            x = _as_pixels(self._images.images[self._numbers[places]], self.device)
        if self.config.data.flip:
            mirrored = torch.rand(len(x), generator=self._generator, device=self.device) < 0.5
            x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
        return x

    def _rows(self, pixels: Tensor, number: int) -> Tensor:
        """The images of a step, out of those that were picked for it and its neighbours."""
        first = number - number % self._ahead
        if first != self._picked_from:
            places = self._order.slice(first * self.size, self._ahead * self.size)
            picked = pixels.index_select(0, sent(torch.from_numpy(places), self.device))
            steps = picked.view(self._ahead, self.size, *pixels.shape[1:])
            self._picked, self._picked_from = steps.unbind(), first
        return self._picked[number - first]

    # --- telling ----------------------------------------------------------------------------------------

    def tell(self, progress: Progress, last: bool) -> Iterator[Event]:
        """Both terms of each step, what the network does now and then, and a changed weight."""
        if self._terms and (last or progress.seconds - self._terms_told >= TERMS_EVERY):
            terms = torch.stack(self._terms).cpu().numpy().reshape(-1, 2)
            self._terms, self._terms_told = [], progress.seconds
            yield BoundTold(progress.step - len(terms) + 1, terms[:, 0], terms[:, 1])
        if self._onlooker.due(progress, last):
            yield self._onlooker.look(self.model(progress.step), progress)
        if self._control.asked and not last:
            yield from self._change(self._control.take_wish(), progress.step)

    def model(self, step: int) -> CodeModel:
        """A copy of the averaged network that training no longer touches."""
        return CodeModel(self.config, still(self.average), step)

    def _change(self, wish: object, step: int) -> Iterator[Event]:
        if isinstance(wish, KlWeight) and wish.value != self.kl_weight:
            self.kl_weight = wish.value
            yield WeightChanged(step, wish.value)

    # --- state ------------------------------------------------------------------------------------------

    def state(self) -> CheckpointContent:
        tensors = {
            AVERAGE: self.average.state_dict(), RAW: self.network.state_dict(),
            OPTIMIZER: self._descent.state(),
        }  # fmt: skip
        kl_config = self.network.kl_config
        if kl_config is None:
            return CheckpointContent({}, tensors)
        tensors[KL_WEIGHTS] = as_diffusers(self.average.state_dict(), self.network.variational)
        return CheckpointContent({KL_CONFIG: kl_config}, tensors)

    def restore(self, content: CheckpointContent) -> None:
        try:
            self.network.load_state_dict(dict(content.tensors[RAW]))
            self.average.load_state_dict(dict(content.tensors[AVERAGE]))
            self._descent.restore(content.tensors[OPTIMIZER])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(tr("The checkpoint belongs to another network.")) from error


def learning_share(number: int, share: float) -> float:
    """Warm-up, then half a cosine over the training."""
    return min(1.0, (number + 1) / WARMUP) * max(NEVER_BELOW, 0.5 * (1 + math.cos(math.pi * share)))


def _in_memory(images: ImageSet, numbers: NDArray[np.int64], device: torch.device) -> Tensor | None:
    """All images that are trained on as numbers in [−1, 1], where that takes little memory."""
    if 4 * len(numbers) * images.images[0].size > MOST_IN_MEMORY:
        return None
    return _as_pixels(images.images[numbers], device)


def _steps_ahead(size: int) -> int:
    """For how many steps images are picked at once.

    Args:
        size: of a batch, in bytes.
    """
    return max(1, AHEAD // size) if size % _LINE == 0 else 1


def _as_pixels(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    return sent(torch.from_numpy(images), device).to(torch.float32).div_(127.5).sub_(1)


def _seed_of(seed: int, step: int) -> int:
    """A 63-bit seed that differs for every (seed, step): two rounds of splitmix64."""
    mixed = (seed << 32 ^ DRAWS << 56 ^ step) & _WORD
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        mixed = (mixed + 0x9E3779B97F4A7C15) & _WORD
        mixed = ((mixed ^ mixed >> 30) * factor) & _WORD
    return (mixed ^ mixed >> 31) >> 1
