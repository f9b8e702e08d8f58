"""The trainings of autoencoders, each completely described by a frozen value."""

from __future__ import annotations

from typing import ClassVar

from pydantic import model_validator

from diffusion_studio.core.autoencoder.decoders import AnyDecoder, LearnedGaussianDecoder
from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import plural, tr
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.runs.config import TrainingConfig
from diffusion_studio.models.autoencoder import CodeSpec, HierarchySpec, Shape


class FitSpec(Choice):
    """How an autoencoder is trained."""

    steps: int = knob(
        0, title=tr("steps"), ge=0, le=100_000_000, words={0: tr("no limit")},
        help=tr("Training ends after this many steps; 0 sets no limit."),
    )  # fmt: skip
    seconds: float = knob(
        30.0, title=tr("time"), unit="s", ge=0, le=10_000_000, words={0: tr("no limit")},
        help=tr("Training ends after this much training time; 0 sets no limit."),
    )  # fmt: skip
    batch_size: int = knob(
        128, title=tr("batch size"), symbol="B", ge=1, le=4096, scale="log",
        help=tr("Images in each step."),
    )  # fmt: skip
    learning_rate: float = knob(
        0.0, title=tr("learning rate"), ge=0, le=1, scale="log", words={0: tr("auto")},
        help=tr("Step length of the optimizer; it falls to nothing as the training comes to its limit. "
             "0 chooses: 0.03 for a linear network, 0.002 for any other."),
        source="Loshchilov & Hutter 2019",
    )  # fmt: skip
    ema_decay: float = knob(
        0.99, title=tr("EMA decay"), ge=0, lt=1, advanced=True,
        help=tr("What is shown and kept is a running average of the weights."),
        formula=r"\bar\theta \leftarrow d\,\bar\theta + (1-d)\,\theta", source="Ho et al. 2020, appendix B",
    )  # fmt: skip
    gradient_clip: float = knob(
        10.0, title=tr("gradient clip"), ge=0, le=1000, advanced=True, words={0: tr("off")},
        help=tr("Longest gradient that is followed; longer ones are shortened. 0 never clips."),
    )  # fmt: skip
    checkpoint_every: int = knob(
        5000, title=tr("checkpoint after"), ge=1, le=10_000_000, advanced=True,
        help=tr("Steps between checkpoints; what a crash can cost at most."),
    )  # fmt: skip
    checkpoint_minutes: float = knob(
        5.0, title=tr("checkpoint time"), unit="min", ge=0.1, le=1440, advanced=True,
        help=tr("Longest training time between checkpoints."),
    )  # fmt: skip
    keep_checkpoints: int = knob(
        3, title=tr("keep checkpoints"), ge=1, le=1000, advanced=True,
        help=tr("Older checkpoints are deleted once a newer one is complete."),
    )  # fmt: skip


class AutoencoderConfig(TrainingConfig):
    """What every autoencoder has."""

    data: DataSpec = DataSpec()
    code: CodeSpec = CodeSpec()
    training: FitSpec = FitSpec()

    @property
    def learning_rate(self) -> float:
        """The one that is given, or what suits the network."""
        return self.training.learning_rate or (0.03 if self.code.network == "linear" else 2e-3)

    def check_images(self, shape: Shape) -> None:
        """Whether it can be trained on images of this shape, (C, H, W).

        Raises:
            Refused: it cannot; the message is a sentence.
        """
        pixels, factor = shape[0] * shape[1] * shape[2], self.code.multiple
        if shape[1] % factor:
            raise Refused(
                tr(
                    "A factor of {factor} does not divide the resolution {resolution}: choose a multiple of "
                    "{factor}, or another factor.",
                    factor=factor,
                    resolution=shape[1],
                )
            )
        size = self.code.resolved(shape).size
        if size > pixels:
            raise Refused(
                tr(
                    "A code of {size} numbers is larger than the images, which have {pixels} each: choose "
                    "a code size up to {pixels}.",
                    size=size,
                    pixels=pixels,
                )
            )


class AEConfig(AutoencoderConfig):
    """A plain autoencoder: the squared error alone (Course §1.1)."""

    kind: ClassVar[str] = "ae"


class VAEConfig(AutoencoderConfig):
    """A variational autoencoder: both terms of the ELBO (Course definition 1.1)."""

    kind: ClassVar[str] = "vae"
    decoder: AnyDecoder = knob(
        LearnedGaussianDecoder(),
        title=tr("decoder"),
        symbol="p",
        help=tr("What the decoder says of a pixel."),
    )
    kl_weight: float = knob(
        1.0, title=tr("KL weight"), symbol="λ", ge=0, le=20,
        help=tr("1 is the ELBO. Less: better reconstructions, and samples from the prior fall apart. More: "
             "latents collapse."),
        formula=r"\mathbb{E}_q\,\ln p(x|z) - \lambda\,D_{\mathrm{KL}}", source="Course remark 1.4",
    )  # fmt: skip
    draws: int = knob(
        1, title=tr("draws"), symbol="L", ge=1, le=64, scale="log",
        help=tr("Draws of z for each image in a step. One is enough where batches are large."),
        source="Luo eq. 22",
    )  # fmt: skip

    def check_images(self, shape: Shape) -> None:
        super().check_images(shape)
        if self.decoder.is_binary and shape[0] > 1:
            raise Refused(
                tr(
                    "A Bernoulli decoder knows only black and white, and these images are in colour: "
                    "choose a Gaussian decoder, or set data.channels to 1."
                )
            )


class HVAEConfig(VAEConfig):
    """A Markovian hierarchy of latents (Luo eq. 23 to 29)."""

    kind: ClassVar[str] = "hvae"
    hierarchy: HierarchySpec = HierarchySpec()

    @model_validator(mode="after")
    def _fitting(self) -> HVAEConfig:
        spec = self.hierarchy
        if self.code.network == "kl":
            raise Refused(tr("AutoencoderKL has one level: choose another network for a hierarchy"))
        if spec.sizes and len(spec.sizes) != spec.levels:
            raise Refused(
                plural(
                    "There are {levels} levels but one size: give each level its size, or none",
                    "There are {levels} levels but {n} sizes: give each level its size, or none",
                    len(spec.sizes),
                    levels=spec.levels,
                )
            )
        if any(not 1 <= size <= 4096 for size in spec.sizes):
            raise Refused(tr("Each level has from 1 to 4096 numbers"))
        if spec.fixed_encoder and not spec.same_dimension:
            raise Refused(
                tr("A fixed encoder only adds noise, so every level must have the image's dimension")
            )
        if spec.standard_end and not spec.fixed_encoder:
            raise Refused(
                tr("Only a fixed encoder can be made to end at N(0, I); a learned one is pulled there")
            )
        if spec.fixed_encoder and spec.levels < 2:
            raise Refused(tr("A fixed encoder needs at least two levels"))
        return self

    def check_images(self, shape: Shape) -> None:
        super().check_images(shape)
        pixels = shape[0] * shape[1] * shape[2]
        largest = max(self.hierarchy.dims(self.code.size, pixels))
        if largest > pixels:
            raise Refused(
                tr(
                    "A level of {size} numbers is larger than the images, which have {pixels} each: choose "
                    "sizes up to {pixels}.",
                    size=largest,
                    pixels=pixels,
                )
            )
        if self.hierarchy.same_dimension and pixels > 3072:
            raise Refused(
                tr(
                    "With the image's dimension at every level, {pixels:,} numbers each, the networks would "
                    "be too large: use images of at most 3,072 numbers (32×32 in colour).",
                    pixels=pixels,
                )
            )


BY_KIND: dict[str, type[AutoencoderConfig]] = {c.kind: c for c in (AEConfig, VAEConfig, HVAEConfig)}
