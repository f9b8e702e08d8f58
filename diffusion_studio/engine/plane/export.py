"""What leaves the plane: pictures with the state inside, animations, numbers, and the state itself."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.files import to_json, write_atomically
from diffusion_studio.engine.files.pictures import read_settings, save_grid
from diffusion_studio.engine.files.reading import parsed, regular
from diffusion_studio.engine.files.videos import VIDEO, encoded
from diffusion_studio.engine.plane.chain import PlaneChain

MARK = "plane"  # the key under which a file holds the state of the plane
MOST_STATE = 4 << 20  # bytes of a state as JSON
STATES = 200  # kept in a file of numbers, at most
MILLISECONDS = 50
COLORS, PALETTE_FROM = 128, 6  # of a GIF; pictures that its palette is made from


def save_picture(path: Path, pixels: NDArray[np.uint8], state: dict[str, Any]) -> None:
    """A picture (H, W, 3) as PNG with the state inside.

    Raises:
        OSError: the file cannot be written.
    """
    save_grid(path, pixels[None], {MARK: state})


def save_animation(path: Path, frames: Sequence[NDArray[np.uint8]], state: dict[str, Any]) -> None:
    """Pictures (H, W, 3) as a GIF, WebP or MP4, as the ending of `path` says; it rests on the last one.

    Raises:
        OSError: the file cannot be written.
        Refused: an MP4, where the library for it is not installed.
    """
    if path.suffix.lower() == VIDEO:
        write_atomically(path, encoded(frames, json.dumps({MARK: state}), MILLISECONDS))
        return
    pictures = [Image.fromarray(frame) for frame in frames]
    durations = [MILLISECONDS] * (len(pictures) - 1) + [1500]
    buffer = io.BytesIO()
    if path.suffix.lower() == ".webp":
        pictures[0].save(
            buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=80
        )
    else:
        palette = _palette(pictures)
        flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
        flat[0].save(
            buffer, "GIF", save_all=True, append_images=flat[1:], duration=durations, loop=0,
            comment=json.dumps({MARK: state}).encode()[:60000],
        )  # fmt: skip
    write_atomically(path, buffer.getvalue())


def _palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """A picture with the colours of all: with one palette for all, a file is smaller and does not flicker."""
    chosen = pictures[:: max(1, len(pictures) // PALETTE_FROM)]
    width, height = pictures[0].size
    together = Image.new("RGB", (width, height * len(chosen)))
    for k, picture in enumerate(chosen):
        together.paste(picture, (0, height * k))
    return together.quantize(COLORS, dither=Image.Dither.NONE)


def save_particles(path: Path, chain: PlaneChain) -> None:
    """Up to 200 states of all particles as NPZ: x (states, n, 2), t (states,), step (states,).

    The places are those of the chosen process, as in the picture.

    Raises:
        OSError: the file cannot be written.
    """
    every = -(-(chain.last - chain.first) // STATES) or 1
    steps = sorted({*range(chain.first, chain.last + 1, every), chain.last})
    states, tables = [], chain.denoiser.tables
    for step in steps:
        chain.go(step)
        states.append(chain.x.numpy() * np.float32(tables.scale_at(chain.times[step])))
    buffer = io.BytesIO()
    times = np.array([chain.times[k] for k in steps])
    np.savez(buffer, allow_pickle=False, x=np.stack(states), t=times, step=np.array(steps))
    write_atomically(path, buffer.getvalue())


def save_state(path: Path, state: dict[str, Any]) -> None:
    """The state as JSON.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(path, to_json({MARK: state}))


def read_state(path: Path) -> dict[str, Any]:
    """The state in a JSON file or in a picture that was saved here.

    Raises:
        Refused: there is none; the message is a sentence for a person.
    """
    if path.suffix.lower() == ".png":
        content = read_settings(path)
    else:
        try:
            content = parsed(regular(path, MOST_STATE).read_bytes())
        except (OSError, ValueError):
            content = None
    state = content.get(MARK) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise Refused(tr("{name} holds no state of the 2-D page.", name=path.name))
    return state


def holds_state(path: Path) -> bool:
    """Whether `read_state` would find one."""
    try:
        return path.suffix.lower() in (".png", ".json") and bool(read_state(path))
    except Refused:
        return False
