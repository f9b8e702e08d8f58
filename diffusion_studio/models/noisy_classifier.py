"""A classifier of noisy images: p(y | x_t), with the noise level as a second input (Luo eq. 166)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusion_studio.core.guidance.guidance import gradient_of
from diffusion_studio.core.process.tables import Tables

_SMALLEST = 4  # pixels: the last feature map is at most this wide
_FREQUENCIES = 6
_LEVELS = 20.0  # |ln SNR| beyond this looks the same to the network
_PIXELS_AT_ONCE = 128 * 32 * 32  # of a batch whose gradient is taken


class NoisyClassifier(nn.Module):
    """A small residual network that halves the image down to a few pixels, and looks at each of these.

    Args:
        resolution: side of the images in pixels.
        channels: of the images.
        classes: K.
        width: channels of the first level, a multiple of 8; the others have twice as many.
    """

    def __init__(self, resolution: int, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        embedded = 2 * width
        self.register_buffer("frequencies", torch.pi * 2.0 ** torch.arange(_FREQUENCIES) / 32)
        self.level = nn.Sequential(
            nn.Linear(2 * _FREQUENCIES + 1, embedded), nn.SiLU(), nn.Linear(embedded, embedded), nn.SiLU()
        )
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        blocks, size = [_Block(width, width, embedded)], resolution
        while size > _SMALLEST:
            blocks += [_Block(blocks[-1].out, embedded, embedded, halve=True)]
            size = (size + 1) // 2
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.GroupNorm(8, blocks[-1].out)
        self.last = nn.Linear(blocks[-1].out * size * size, classes)

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        """Logits of every class: (B, C, H, W), (B,) → (B, K)"""
        level = self.level(self._features(log_snr.to(x.dtype)))
        h = self.first(x)
        for block in self.blocks:
            h = block(h, level)
        h = nn.functional.silu(self.norm(h))
        found: Tensor = self.last(h.flatten(1))
        return found

    def _features(self, log_snr: Tensor) -> Tensor:
        """(B,) → (B, 2F + 1)"""
        level = log_snr.clamp(-_LEVELS, _LEVELS)[:, None]
        turns = level * self.frequencies.to(level.dtype)  # type: ignore[operator]
        return torch.cat([level / 4, turns.sin(), turns.cos()], 1)


class _Block(nn.Module):
    """Two convolutions beside a shortcut; the noise level scales and shifts what is between them."""

    def __init__(self, taken: int, out: int, embedded: int, halve: bool = False) -> None:
        super().__init__()
        self.out = out
        self.halve = nn.AvgPool2d(2, ceil_mode=True) if halve else nn.Identity()
        self.norm_1, self.norm_2 = nn.GroupNorm(8, taken), nn.GroupNorm(8, out)
        self.conv_1 = nn.Conv2d(taken, out, 3, padding=1)
        self.conv_2 = nn.Conv2d(out, out, 3, padding=1)
        self.told = nn.Linear(embedded, 2 * out)
        self.shortcut = nn.Identity() if taken == out else nn.Conv2d(taken, out, 1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """(B, C, H, W), (B, E) → (B, C', H', W')"""
        h = self.halve(self.conv_1(nn.functional.silu(self.norm_1(x))))
        scale, shift = self.told(level)[:, :, None, None].chunk(2, 1)
        h = self.conv_2(nn.functional.silu(self.norm_2(h) * (1 + scale) + shift))
        found: Tensor = self.shortcut(self.halve(x)) + h
        return found


class ClassifierNetwork:
    """The network of a classifier, read as every other one: at one time for each sample.

    Args:
        network: in training or not; it is told ln SNR.
        tables: the forward process.
    """

    def __init__(self, network: NoisyClassifier, tables: Tables) -> None:
        self.network = network
        self._log_snr = tables.log_snr.to(network.last.weight)

    def predict(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Logits of every class. (B, K)

        Args:
            x_t: (B, C, H, W).
            t: int64 (B,), 1 … T, on the device of x_t.
        """
        found: Tensor = self.network(x_t.to(self._log_snr.dtype), self._log_snr[t])
        return found


class TrainedClassifier:
    """A trained network as a classifier of the images of one forward process.

    Args:
        network: it is brought into evaluation mode, and its weights are fixed.
        tables: the forward process that it was trained on.
        classes: K.
    """

    def __init__(self, network: NoisyClassifier, tables: Tables, classes: int) -> None:
        self.network = network.eval().requires_grad_(False)
        self.tables = tables
        self.classes = classes
        self._asked = ClassifierNetwork(self.network, tables)

    def log_probs(self, x_t: Tensor, t: int) -> Tensor:
        """log p(y | x_t) of every class. (B, K)

        Args:
            x_t: (B, C, H, W).
            t: 1 … T.
        """
        times = torch.full((len(x_t),), t, device=x_t.device)
        return torch.log_softmax(self._asked.predict(x_t, times), dim=1)

    def gradient(self, x_t: Tensor, t: int, labels: Tensor) -> Tensor:
        """∇ log p(y | x_t) with respect to x_t; 0 where the label is −1. (B, C, H, W)"""
        size = max(1, _PIXELS_AT_ONCE // (x_t.shape[-1] * x_t.shape[-2]))
        parts = zip(torch.split(x_t, size), torch.split(labels, size), strict=True)
        return torch.cat([gradient_of(lambda x: self.log_probs(x, t), part, asked) for part, asked in parts])
