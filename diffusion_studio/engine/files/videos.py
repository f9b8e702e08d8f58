"""Pictures as an MP4, where the library for it is installed: the extra [video]."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

VIDEO = ".mp4"
MISSING = tr(
    "An MP4 needs PyAV, which is not installed: pip install 'diffusion-studio[video]' adds it. GIF, WebP and "
    "APNG need nothing."
)
_QUALITY = {"crf": "12", "preset": "slow"}  # nearly without loss: the eye is to judge pixels


def check_video() -> None:
    """Raises Refused, with a sentence, where no MP4 can be written."""
    if importlib.util.find_spec("av") is None:
        raise Refused(MISSING)


def encoded(frames: Sequence[NDArray[np.uint8]], comment: str, milliseconds: int, rest: int = 1500) -> bytes:
    """An MP4 in H.264 of pictures (H, W, 1 or 3) of one size; the last one is shown for `rest` milliseconds.

    Raises:
        Refused: the library for it is not installed.
    """
    check_video()
    import av

    buffer, resting = io.BytesIO(), max(1, round(rest / milliseconds)) - 1
    with av.open(buffer, "w", format="mp4") as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("h264", rate=Fraction(1000, milliseconds), options=dict(_QUALITY))
        assert isinstance(stream, av.VideoStream)
        height, width = _even(frames[0]).shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for pixels in (*frames, *[frames[-1]] * resting):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def _even(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In three channels, and of an even height and width, as H.264 asks for: its edge is repeated."""
    height, width, channels = pixels.shape
    wide = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(wide if channels == 3 else wide.repeat(3, 2))
