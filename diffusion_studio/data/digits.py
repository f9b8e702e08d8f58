"""The built-in data: 1797 handwritten digits of 8 x 8 pixels.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
CC BY 4.0; the part that scikit-learn ships, as it ships it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from diffusion_studio.core.words import tr
from diffusion_studio.data.decode import Frame, fit_to
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.data.spec import DIGITS, DataSpec

_FILE = Path(__file__).with_name("digits.npz")


def digits(spec: DataSpec) -> ImageSet:
    """The digits as the spec wants them, white on black; 0..16 of the source becomes 0..255."""
    with np.load(_FILE, allow_pickle=False) as file:
        values, targets = file["images"], file["labels"]  # uint8 (N, 8, 8), 0 … 16; uint8 (N,)
    images = np.rint(values * (255 / 16)).astype(np.uint8)
    if spec.side != 8:
        frame = Frame(spec.side, 1)
        images = np.stack([np.asarray(fit_to(Image.fromarray(image), frame)) for image in images])
    channels = spec.channels or 1
    return ImageSet(
        images=np.repeat(images[:, None], channels, axis=1),
        labels=targets.astype(np.int64),
        class_names=tuple(str(digit) for digit in range(10)),
        files=tuple(f"digits/{number:04d}" for number in range(len(images))),
        skipped=(),
        name=tr("Digits"),
        source=DIGITS,
        sizes=np.full((len(images), 2), 8, np.int32),
        how=tr("Each digit is a class."),
    )
