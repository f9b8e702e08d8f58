"""The U-Net: diffusers' `UNet2DModel`, sized by resolution, and how it is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor
from torch.nn.functional import pad

from diffusion_studio.core.denoisers.denoiser import NO_LABEL
from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.importing import importing
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr, trc
from diffusion_studio.models.company import asked
from diffusion_studio.models.network import Output

if TYPE_CHECKING:
    from diffusers import UNet2DModel

MOST_LEVELS, MOST_MULTIPLE = 9, 16
PADDED = 1.25  # times its pixels an image may have at most with a margin that is not asked for
ENOUGH = 1.5  # times the smallest map that is wanted: no margin is added to come closer to it
Precision = Literal["fp32", "bf16"]


class UNetSpec(Choice):
    """The size of the U-Net; 0 and empty mean: chosen from the resolution and the device."""

    code: str = knob(
        "", title=tr("learns in"), words={"": trc("learns in", "pixels")},
        help=tr("Diffusion in a code: a run of train-autoencoder with code.network=kl, or a folder with an "
             "AutoencoderKL of diffusers. The images are encoded once, the network learns their codes, and "
             "its samples are decoded. Empty: it learns the pixels."),
        source="Rombach et al. 2022",
    )  # fmt: skip
    conditional: bool = knob(
        True, title=tr("use labels"), symbol="y",
        help=tr(
            "Tell the network the class of each image, when the data has classes; then you can ask for one."
        ),
        source="Luo eq. 167–170",
    )  # fmt: skip
    width: int = knob(
        0, title=tr("width"), unit="ch", ge=0, le=512, multiple=8, words={0: tr("auto")},
        help=tr("Channels of the first level; 0 chooses from the resolution and the device."),
        source="Ho et al. 2020, appendix B",
    )  # fmt: skip
    multipliers: tuple[int, ...] = knob(
        (), title=tr("levels"), advanced=True, words={(): tr("auto")},
        help=tr(
            "Width of each level as a multiple of the first; each level halves the image. Empty chooses."
        ),
        source="Ho et al. 2020, appendix B",
    )  # fmt: skip
    layers: int = knob(
        0, title=tr("blocks per level"), ge=0, le=4, advanced=True, words={0: tr("auto")},
        help=tr("Residual blocks in each level; 0 chooses."), source="Ho et al. 2020, appendix B",
    )  # fmt: skip
    attention: int = knob(
        -1, title=tr("attention up to"), unit="px", ge=-1, le=64, advanced=True,
        words={-1: tr("auto"), 0: trc("attention", "none")},
        help=tr("Self-attention on feature maps of at most this size; 0 for none, −1 chooses."),
        source="Ho et al. 2020, appendix B",
    )  # fmt: skip

    def resolved(self, resolution: int, fast_device: bool) -> UNetSpec:
        """The same with every automatic value filled in.

        Raises:
            Refused: a size that the resolution does not allow.
        """
        found = self.model_copy(
            update={
                "multipliers": self.multipliers or _levels(resolution, fast_device),
                "width": self.width or _width(resolution, fast_device),
                "layers": self.layers or (2 if fast_device else 1),
                "attention": self.attention if self.attention >= 0 else (8 if fast_device else 0),
            }
        )
        found.check(resolution)
        return found

    def check(self, resolution: int) -> None:
        """Raises Refused where no network of this size, with every value filled in, can be built."""
        levels = len(self.multipliers)
        if not 1 <= levels <= MOST_LEVELS or not all(1 <= m <= MOST_MULTIPLE for m in self.multipliers):
            raise Refused(
                tr(
                    "A network has from 1 to {most} levels, each a multiple of at least 1 and at most "
                    "{multiple}.",
                    most=MOST_LEVELS,
                    multiple=MOST_MULTIPLE,
                )
            )
        least = 2 ** (levels - 1)
        if resolution < least:
            raise Refused(
                tr(
                    "A network of {levels} levels halves the image {times} times, so the resolution must be "
                    "at least {least}; it is {resolution}.",
                    levels=levels,
                    times=levels - 1,
                    least=least,
                    resolution=resolution,
                )
            )
        if self.width < 8 or self.width % 8:
            raise Refused(
                tr("The width of the network must be a multiple of 8; it is {width}.", width=self.width)
            )
        if not self.layers:
            raise Refused(tr("A network has at least one block in each level."))


def _levels(resolution: int, fast_device: bool) -> tuple[int, ...]:
    """Halve down to about 4 pixels, 8 of large images, as long as the resolution divides; also beyond that
    where much is left and little has to be added for it.

    On a processor large maps get few channels and small ones many: nearly all the work of a U-Net is done on
    its largest maps, and what is learned mostly on its smaller ones.
    """
    levels, least = 1, 4 if fast_device or resolution <= 16 else 8
    while (smallest := padded(resolution, levels) >> levels - 1) > least:
        most = PADDED if smallest > ENOUGH * least else 1
        if padded(resolution, levels + 1) ** 2 > max(most * resolution**2, padded(resolution, levels) ** 2):
            break
        levels += 1
    if fast_device:
        return (1, *([2] * (levels - 1)))
    return tuple(min(2**level, 8) for level in range(levels))


def padded(side: int, levels: int) -> int:
    """The side with which an image goes through a network of so many levels: each halves it evenly."""
    return side + -side % (1 << levels - 1)


def margins(sides: Sequence[int], levels: int) -> tuple[int, int, int, int]:
    """Zeros on the left, on the right, above and below an image of this height and width."""
    height, width = (padded(side, levels) - side for side in sides)
    return width // 2, width - width // 2, height // 2, height - height // 2


def through(unet: UNet2DModel, x_t: Tensor, t: Tensor, codes: Tensor | None, levels: int) -> Tensor:
    """What a network says of images of any size: those that its levels cannot halve get a margin of zeros,
    which is cut off from what it says. (B, C, H, W)
    """
    height, width = x_t.shape[2:]
    left, right, above, below = margins((height, width), levels)
    if not left + right + above + below:
        return cast(Tensor, unet(x_t, t, codes, return_dict=False)[0])
    (said,) = unet(pad(x_t, (left, right, above, below)), t, codes, return_dict=False)
    return cast(Tensor, said[..., above : above + height, left : left + width])


def _width(resolution: int, fast_device: bool) -> int:
    if fast_device:
        return 128 if resolution <= 64 else 64
    return 16


def build_unet(
    spec: UNetSpec, resolution: int, channels: int, classes: int, learned_variance: bool = False
) -> UNet2DModel:
    """A fresh U-Net with PyTorch's own initialisation, drawn from the global generator.

    Args:
        spec: a resolved size.
        classes: number of classes K; the network knows K + 1, the last is ∅. 0 for an unconditional one.
        learned_variance: twice as many channels come out, the second half about the variance.

    Raises:
        Refused: no network of this size can be built.
    """
    with (
        importing(),
        torch.device("cpu"),
    ):  # torch 2.6 reads numbers while it is imported, also where tensors have none
        from diffusers import UNet2DModel

    spec.check(resolution)

    widths = tuple(spec.width * m for m in spec.multipliers)
    side = padded(resolution, len(widths))
    attends = [side // 2**level <= spec.attention for level in range(len(widths))]
    down = tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attends)
    up = tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends))
    with quiet_diffusers():
        return UNet2DModel(
            sample_size=resolution,
            in_channels=channels,
            out_channels=2 * channels if learned_variance else channels,
            block_out_channels=widths,
            layers_per_block=spec.layers,
            down_block_types=down,
            up_block_types=up,
            norm_num_groups=8,
            attention_head_dim=min(spec.width, 64),
            add_attention=any(attends),
            num_class_embeds=classes + 1 if classes else None,
        )


@contextmanager
def quiet_diffusers() -> Iterator[None]:
    """Keeps the library's deprecation notes off the screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


class UNet:
    """Diffusers' network, read as every other one. It counts times from 0, its class K is ∅.

    Args:
        unet: in training, or in evaluation mode.
        classes: K for a conditional network, 0 otherwise.
        precision: bf16 runs the network under autocast.
    """

    def __init__(self, unet: UNet2DModel, classes: int = 0, precision: Precision = "fp32") -> None:
        self.unet = unet
        self.classes = classes
        self.precision: Precision = precision
        config = unet.config  # read once: looking something up there takes microseconds
        self.learns_variance = bool(config.out_channels == 2 * config.in_channels)  # how much noise (iDDPM)
        self._levels = len(config.block_out_channels)
        self._knows_none = bool(config.num_class_embeds == classes + 1)  # a class for images without one
        self._known: tuple[Tensor | None, Tensor | None] = (None, None)  # labels of a chain, and their codes

    def predict(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Output:
        """Asks the network.

        Args:
            x_t: (B, C, H, W).
            t: int64 (B,), 1 … T.
            labels: int64 (B,), −1 for ∅; None means all −1.

        Raises:
            Refused: ∅ is asked of a network that knows no images without a class.
        """
        codes = self._codes(x_t, labels) if self.classes else None

        def say(rows: slice) -> Tensor:
            if rows == slice(0, len(x_t)):
                return self._say(x_t, t, codes)
            return self._say(x_t[rows], t[rows], None if codes is None else codes[rows])

        if torch.is_grad_enabled():  # who learns splits the batch
            said = self._say(x_t, t, codes)
        else:
            found = asked(say, len(x_t), x_t.device)
            said = torch.cat(found) if len(found) > 1 else found[0]
        if not self.learns_variance:
            return Output(said)
        value, raw = said.chunk(2, dim=1)
        return Output(value, (raw + 1) / 2)

    def _say(self, x_t: Tensor, t: Tensor, codes: Tensor | None) -> Tensor:
        with autocast(x_t.device, self.precision):
            return through(self.unet, x_t, t - 1, codes, self._levels).to(x_t.dtype)

    def _codes(self, x_t: Tensor, labels: Tensor | None) -> Tensor:
        """Classes as the network counts them; those of a chain stay the same, and are turned once. (B,)"""
        inferring = torch.is_inference_mode_enabled()  # what is made there must not meet gradients
        given, codes = self._known
        if inferring and codes is not None and given is labels and len(codes) == len(x_t):
            return codes
        asked = torch.full(x_t.shape[:1], NO_LABEL, device=x_t.device) if labels is None else labels
        if not self._knows_none and bool((asked == NO_LABEL).any()):
            raise Refused(tr("This network knows no image without a class: ask for one, with guidance 1."))
        codes = torch.where(asked == NO_LABEL, self.classes, asked).to(x_t.device)
        if inferring:
            self._known = labels, codes
        return codes


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """The autocast context of a precision: bf16, or none."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
