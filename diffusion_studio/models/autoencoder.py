"""Encoders and decoders of codes: linear, with hidden layers, or convolutional; one level or several."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator
from torch import Tensor, nn

from diffusion_studio.core.autoencoder.bridge import fixed_tables
from diffusion_studio.core.autoencoder.chains import Encoder, GaussianChain, LinearStep, Noising
from diffusion_studio.core.autoencoder.gaussians import Normal
from diffusion_studio.core.autoencoder.hierarchy import Hierarchy, LogLikelihood
from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.words import tr
from diffusion_studio.models.kl_autoencoder import KLEncoder, build_kl

Architecture = Literal["linear", "mlp", "conv", "kl"]
Factor = Literal[4, 8]
Shape = tuple[int, int, int]
LOG_VARIANCE = (-14.0, 8.0)  # what the encoder may say: beyond it numbers overflow and nothing is learned
ENDS_AT_NOISE, ENDS_EARLY = 1e-4, 0.3  # ᾱ_T of a fixed encoder with N(0, I) at T, and without


def as_number(value: Any) -> Any:
    """A number written as text, as the command line hands it over."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


class CodeSpec(Choice):
    """The network between an image and its code."""

    size: int = knob(
        16, title=tr("code size"), symbol="k", ge=1, le=1024, scale="log",
        help=tr("Numbers that an image is pressed into. Fewer than its pixels, or nothing is learned."),
        source="Course §1.1",
    )  # fmt: skip
    network: Architecture = knob(
        "mlp", title=tr("network"), words={"mlp": "MLP", "conv": tr("convolutional"), "kl": "AutoencoderKL"},
        help=tr(
            "Linear: one matrix each way, whose best is the principal components. MLP: two hidden layers. "
            "Convolutional: for larger pictures. AutoencoderKL: of diffusers; its code is a small picture."
        ),
        source="Course §1.1",
    )  # fmt: skip
    width: int = knob(
        256, title=tr("width"), ge=4, le=2048, scale="log", advanced=True,
        help=tr(
            "Units of each hidden layer; a quarter of them are the channels of the convolutional network, "
            "an eighth those of AutoencoderKL."
        ),
    )  # fmt: skip
    factor: Annotated[Factor, BeforeValidator(as_number)] = knob(
        4, title=tr("factor"), symbol="f", advanced=True,
        help=tr("AutoencoderKL: how many pixels of the image, each way, come into one of the code."),
    )  # fmt: skip
    channels: int = knob(
        4, title=tr("code channels"), symbol="c", ge=1, le=32, advanced=True,
        help=tr("AutoencoderKL: numbers in each place of the code. Its size k is c (H/f) (W/f)."),
    )  # fmt: skip

    @property
    def multiple(self) -> int:
        """What the sides of an image have to be multiples of."""
        return self.factor if self.network == "kl" else 1

    def resolved(self, shape: Shape) -> CodeSpec:
        """With the size that the network has for images of this shape."""
        if self.network != "kl":
            return self
        size = self.channels * (shape[1] // self.factor) * (shape[2] // self.factor)
        return self.model_copy(update={"size": size})


class HierarchySpec(Choice):
    """How many levels of latents there are, and the three restrictions that make it a diffusion model."""

    levels: int = knob(
        2, title=tr("levels"), symbol="T", ge=1, le=8,
        help=tr("Latents z₁ … z_T, each decoded from the one above it. One level is the VAE."),
        source="Luo eq. 23",
    )  # fmt: skip
    sizes: tuple[int, ...] = knob(
        (), title=tr("sizes"), words={(): tr("auto")},
        help=tr("Numbers in each level, from z₁ up. Empty: the code size, halved at each level."),
    )  # fmt: skip
    same_dimension: bool = knob(
        False, title=tr("same dimension"),
        help=tr("First restriction: every level has as many numbers as the image."),
        formula=r"\dim z_t = \dim x", source="Luo eq. 30",
    )  # fmt: skip
    fixed_encoder: bool = knob(
        False, title=tr("fixed encoder"),
        help=tr(
            "Second restriction: the encoder learns nothing; a level is the one below, shrunk and noised."
        ),
        formula=r"q(x_t|x_{t-1}) = \mathcal{N}(\sqrt{\alpha_t}\,x_{t-1},\,\beta_t I)", source="Luo eq. 31",
    )  # fmt: skip
    standard_end: bool = knob(
        False, title=tr("N(0, I) at T"),
        help=tr(
            "Third restriction: the noise grows until nothing of the image is left, so that p(z_T) fits."
        ),
        formula=r"q(x_T|x_0) \approx \mathcal{N}(0, I)", source="Luo eq. 33",
    )  # fmt: skip

    @property
    def restrictions(self) -> int:
        """How many of the three hold; each needs the one before."""
        return sum((self.same_dimension, self.fixed_encoder, self.standard_end))

    def restricted(self, count: int) -> HierarchySpec:
        """The same with the first `count` restrictions, and with levels enough for them."""
        names = ("same_dimension", "fixed_encoder", "standard_end")
        values = {name: number < count for number, name in enumerate(names)}
        levels = max(self.levels, 2 if count else 1)
        return self.model_copy(update={**values, "levels": levels, "sizes": () if count else self.sizes})

    def dims(self, code: int, pixels: int) -> tuple[int, ...]:
        """Numbers in z_1 … z_T."""
        if self.same_dimension:
            return (pixels,) * self.levels
        return self.sizes or tuple(max(1, code >> level) for level in range(self.levels))


def _hidden(size: int, width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, out)
    )


def _encoder(spec: CodeSpec, shape: Shape, out: int) -> nn.Module:
    channels, height, width = shape
    size = channels * height * width
    if spec.network == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(size, out))
    if spec.network == "mlp":
        return nn.Sequential(nn.Flatten(), *_hidden(size, spec.width, out))
    some = max(4, spec.width // 4)
    inner = 2 * some * -(-height // 4) * -(-width // 4)
    return nn.Sequential(
        nn.Conv2d(channels, some, 3, 2, 1), nn.SiLU(), nn.Conv2d(some, 2 * some, 3, 2, 1), nn.SiLU(),
        nn.Flatten(), nn.Linear(inner, spec.width), nn.SiLU(), nn.Linear(spec.width, out),
    )  # fmt: skip


def _decoder(spec: CodeSpec, shape: Shape, size: int) -> nn.Module:
    channels, height, width = shape
    if spec.network == "linear":
        return nn.Sequential(nn.Linear(size, channels * height * width), nn.Unflatten(1, shape))
    if spec.network == "mlp":
        hidden = _hidden(size, spec.width, channels * height * width)
        return nn.Sequential(*hidden, nn.Unflatten(1, shape))
    some, small = max(4, spec.width // 4), (-(-height // 4), -(-width // 4))
    inner = 2 * some * small[0] * small[1]
    return nn.Sequential(
        nn.Linear(size, spec.width), nn.SiLU(), nn.Linear(spec.width, inner), nn.SiLU(),
        nn.Unflatten(1, (2 * some, *small)), nn.ConvTranspose2d(2 * some, some, 4, 2, 1), nn.SiLU(),
        nn.ConvTranspose2d(some, some, 4, 2, 1), nn.SiLU(),
        nn.Conv2d(some, channels, 3, 1, 1), _Cut(height, width),
    )  # fmt: skip


class _Cut(nn.Module):
    """What is beyond the height and width of an image goes."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self._height, self._width = height, width

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self._height, : self._width]


class CodeNetwork(nn.Module):
    """An encoder and a decoder; a variational one says of each latent how sure it is.

    Args:
        shape: of an image, (C, H, W).
        variational: whether the encoder gives ln σ² beside μ.
        log_variance: ln σ² of the decoder.
        learns_variance: whether that is learned.
        size: of the code, where it is not that of `spec`.
    """

    def __init__(
        self, spec: CodeSpec, shape: Shape, variational: bool = False, log_variance: float = 0.0,
        learns_variance: bool = False, size: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.shape = size or spec.resolved(shape).size, shape
        self.variational = variational
        self.encoder: nn.Module
        self.decoder: nn.Module
        if spec.network == "kl":
            width = max(8, spec.width // 64 * 8)
            self.encoder, self.decoder = build_kl(shape, width, spec.factor, spec.channels, variational)
        else:
            self.encoder = _encoder(spec, shape, self.size * (1 + variational))
            self.decoder = _decoder(spec, shape, self.size)
        start = torch.tensor(log_variance)
        if learns_variance:
            self.log_variance = nn.Parameter(start)
        else:
            self.register_buffer("log_variance", start)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """μ and ln σ² of each latent; ln σ² of a plain autoencoder is the smallest there is. (B, k) twice"""
        out: Tensor = self.encoder(x)
        if not self.variational:
            return out, torch.full_like(out, LOG_VARIANCE[0])
        mean, log_variance = out.chunk(2, 1)
        return mean, log_variance.clamp(*LOG_VARIANCE)

    def decode(self, z: Tensor) -> Tensor:
        """The decoder's output for codes. (…, k) → (…, C, H, W)"""
        out: Tensor = self.decoder(z.reshape(-1, self.size))
        return out.reshape(*z.shape[:-1], *self.shape)

    @property
    def kl_config(self) -> Any:
        """What diffusers builds the same network from; None of any other network than `AutoencoderKL`."""
        return self.encoder.config if isinstance(self.encoder, KLEncoder) else None

    @property
    def weights(self) -> tuple[Tensor, Tensor] | None:
        """Of a linear network: encoder (k, d) and decoder (d, k); None of any other."""
        last = [module for module in self.decoder.modules() if isinstance(module, nn.Linear)]
        first = [module for module in self.encoder.modules() if isinstance(module, nn.Linear)]
        if len(first) != 1 or len(last) != 1:
            return None
        return first[0].weight[: self.size], last[0].weight


class _Down(nn.Module):
    """p(z_{t−1}|z_t): mean and variance by a network."""

    def __init__(self, size: int, out: int, width: int) -> None:
        super().__init__()
        self.layers = _hidden(size, width, 2 * out)

    def forward(self, z: Tensor) -> Normal:
        mean, log_variance = self.layers(z).chunk(2, 1)
        return Normal(mean, log_variance.clamp(*LOG_VARIANCE).exp())


class _Up(nn.Module):
    """q(z_t|z_{t−1}) = N(A z_{t−1} + b, diag s)."""

    def __init__(self, size: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, out)
        self.log_variance = nn.Parameter(torch.zeros(out) - 1)

    def step(self) -> LinearStep:
        return LinearStep(self.linear.weight, self.linear.bias, self.log_variance.clamp(*LOG_VARIANCE).exp())


class HierarchyNetwork(CodeNetwork):
    """A Markov chain of latents, of which z_1 is the code; the encoder is linear above z_1, or fixed."""

    def __init__(
        self, spec: CodeSpec, hierarchy: HierarchySpec, shape: Shape, log_variance: float = 0.0,
        learns_variance: bool = False,
    ) -> None:  # fmt: skip
        pixels = shape[0] * shape[1] * shape[2]
        dims = hierarchy.dims(spec.size, pixels)
        super().__init__(spec, shape, not hierarchy.fixed_encoder, log_variance, learns_variance, dims[0])
        self.dims, self.fixed = dims, hierarchy.fixed_encoder
        pairs = list(itertools.pairwise(dims))
        self.down = nn.ModuleList(_Down(above, below, spec.width) for below, above in pairs)
        if self.fixed:
            remaining = ENDS_AT_NOISE if hierarchy.standard_end else ENDS_EARLY
            with torch.device("cpu"):  # numbers even where the weights are shapes alone
                self.tables = fixed_tables(hierarchy.levels, remaining)
            self.encoder = nn.Identity()
        else:
            self.up = nn.ModuleList(_Up(below, above) for below, above in pairs)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.fixed:
            return super().encode(x)
        q = Noising(self.tables).step(1, x.flatten(1))
        return q.mean, q.covariance.log().expand_as(q.mean)

    def chain(self) -> Encoder:
        """q(z_{1:T}|x) of flat images."""
        if self.fixed:
            return Noising(self.tables)
        return GaussianChain(self._first, [module.step() for module in self.up])  # type: ignore[operator]

    def _first(self, x: Tensor) -> Normal:
        mean, log_variance = self.encode(x.reshape(-1, *self.shape))
        return Normal(mean, log_variance.exp())

    def hierarchy(self, log_density: Callable[[Tensor, Tensor], Tensor]) -> Hierarchy:
        """As the bound takes it.

        Args:
            log_density: ln p(x|z) of pixels (B, C, H, W) and the decoder's output.
        """

        def likelihood(x: Tensor, z: Tensor) -> Tensor:
            return log_density(x.reshape(-1, *self.shape), self.decode(z))

        given: LogLikelihood = likelihood
        return Hierarchy(self.chain(), given, self.back)

    def back(self, t: int, z: Tensor) -> Normal:
        """p(z_{t−1}|z_t), t ≥ 2."""
        found: Normal = self.down[t - 2](z)
        return found

    def from_top(self, noise: Callable[[tuple[int, ...]], Tensor], count: int) -> Tensor:
        """z_1 of so many draws from p(z_{1:T}); `noise(shape)` is standard. (count, n_1)"""
        z = noise((count, self.dims[-1]))
        for t in range(len(self.dims), 1, -1):
            p = self.back(t, z)
            z = p.draw(noise(tuple(p.mean.shape)))
        return z
