"""A trained autoencoder, as one uses it: images to codes and back, samples, the space of its codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.autoencoder.decoders import Decoder
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import to_model_range, to_uint8
from diffusion_studio.engine.autoencoder.build import build_network, decoder_of, planned_network
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.checkpoints import checkpoint_step, read_tensors
from diffusion_studio.engine.runs.fitness import check_finite, check_shapes, stored_shapes
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.models.autoencoder import CodeNetwork, HierarchyNetwork, Shape
from diffusion_studio.models.code import PIXELS_AT_ONCE

AVERAGE = "network.safetensors"  # in a checkpoint: what is shown and kept
T = TypeVar("T", bound=np.generic)
Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]
Heed = Callable[[], None]
"""Called between two parts of a work; what it raises ends it."""


def go_on() -> None:
    """Heeds nothing."""


@dataclass(frozen=True, eq=False)
class CodeModel:
    """A network that nothing changes any more.

    Args:
        network: in evaluation, without gradients.
        step: of its training.
        name: of its run.
    """

    config: AutoencoderConfig
    network: CodeNetwork
    step: int = 0
    name: str = ""
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.network.size

    @property
    def shape(self) -> Shape:
        return self.network.shape

    @property
    def decoder(self) -> Decoder:
        return decoder_of(self.config)

    @property
    def device(self) -> torch.device:
        return self.network.log_variance.device

    @property
    def at_once(self) -> int:
        """How many images go through the network together, so that memory does not grow with their size."""
        return max(1, PIXELS_AT_ONCE // (self.shape[1] * self.shape[2]))

    def parts(self, values: NDArray[T]) -> list[NDArray[T]]:
        """Images, or codes, so many at a time. (n, …)"""
        most = self.at_once
        return [values[i : i + most] for i in range(0, max(len(values), 1), most)]

    def codes(self, images: NDArray[np.uint8]) -> Floats:
        """μ of each image. uint8 (n, C, H, W) → (n, k)"""
        with torch.inference_mode():
            parts = [self.network.encode(self.pixels(part))[0].cpu().numpy() for part in self.parts(images)]
        found: Floats = np.concatenate(parts)
        return found

    def decoded(self, codes: NDArray[np.floating], heed: Heed = go_on) -> Pictures:
        """The pictures of codes. (n, k) → uint8 (n, H, W, C)"""
        found = []
        for part in self.parts(codes):
            heed()
            with torch.inference_mode():
                found.append(self._pictures(torch.from_numpy(np.asarray(part, np.float32))))
        pictures: Pictures = np.concatenate(found)
        return pictures

    def reconstructed(self, images: NDArray[np.uint8]) -> Pictures:
        """Images through the code and back. uint8 (n, C, H, W) → (n, H, W, C)"""
        return self.decoded(self.codes(images))

    def samples(self, count: int, seed: int, heed: Heed = go_on) -> Pictures:
        """The means of p(x|z) for z from the prior. uint8 (count, H, W, C)"""
        return self.decoded(self.drawn(count, seed), heed)

    def drawn(self, count: int, seed: int) -> Floats:
        """z from the prior. (count, k)"""
        generator = torch.Generator().manual_seed(seed)

        def noise(shape: tuple[int, ...]) -> Tensor:
            return torch.randn(shape, generator=generator).to(self.device)

        with torch.inference_mode():
            if isinstance(self.network, HierarchyNetwork):
                z = self.network.from_top(noise, count)
            else:
                z = noise((count, self.size))
        found: Floats = z.cpu().numpy()
        return found

    def pixels(self, images: NDArray[np.uint8]) -> Tensor:
        """In [−1, 1], on the device. (n, C, H, W)"""
        return torch.from_numpy(to_model_range(images)).to(self.device)

    def _pictures(self, z: Tensor) -> Pictures:
        out = self.decoder.image(self.network.decode(z.to(self.device)))
        found: Pictures = to_uint8(out.cpu().numpy()).transpose(0, 2, 3, 1)
        return found


def open_model(path: Path, device: torch.device) -> CodeModel:
    """The newest sound checkpoint of an autoencoder's run.

    Raises:
        RunError: none there, or a run of another kind.
        CheckpointError: its weights do not fit the config, which is found out before the network is built.
    """
    run = Run.open_as(path, AutoencoderConfig)
    checkpoint, complaints = run.newest_checkpoint()
    data = run.config.data
    if not data.channels or not data.resolution:
        raise RunError(tr("{run} does not say what shape its images have.", run=run.name))
    shape = (data.channels, data.resolution, data.resolution)
    check_shapes(planned_network(run.config, shape), stored_shapes(checkpoint, AVERAGE), checkpoint)
    tensors = read_tensors(checkpoint, AVERAGE)
    check_finite(tensors, checkpoint)
    network = build_network(run.config, shape)
    network.load_state_dict(tensors)
    network = network.to(device).eval().requires_grad_(False)
    return CodeModel(run.config, network, checkpoint_step(checkpoint), run.name, complaints)
