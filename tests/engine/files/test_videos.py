"""Videos, read back with the library that wrote them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import av
import numpy as np
import pytest

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.chains.export import check_suffix
from diffusion_studio.engine.files.pictures import enlarged, save_animation

SETTINGS = {"step": 7, "name": "Grüße 山水"}


def frames_in(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("channels", [1, 3])
def test_that_a_video_holds_every_picture_and_rests_on_the_last(channels: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (7, 5, channels), dtype=np.uint8) for _ in range(4)]
    save_animation(tmp_path / "chain.mp4", frames, SETTINGS, milliseconds=100)
    found = frames_in(tmp_path / "chain.mp4")
    assert len(found) == 4 - 1 + 15
    for pixels, frame in zip([*found[:4], found[-1]], [*frames, frames[-1]], strict=True):
        wanted = np.broadcast_to(enlarged(frame), (*enlarged(frame).shape[:2], 3)).astype(int)
        apart = np.abs(pixels[: wanted.shape[0], : wanted.shape[1]] - wanted)
        assert pixels.shape[0] % 2 == pixels.shape[1] % 2 == 0
        assert np.median(apart) <= 3 and apart.mean() <= 6  # half of the colours' resolution is the format's


def test_that_it_says_how_it_was_made(tmp_path: Path) -> None:
    save_animation(tmp_path / "chain.mp4", [np.zeros((8, 8, 1), np.uint8)], SETTINGS)
    with av.open(tmp_path / "chain.mp4") as container:
        assert json.loads(container.metadata["comment"]) == SETTINGS


def test_that_without_the_library_a_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"pip install 'diffusion-studio\[video\]'"):
        check_suffix(tmp_path / "chain.mp4")
    with pytest.raises(Refused, match="GIF, WebP and APNG need nothing"):
        save_animation(tmp_path / "chain.mp4", [np.zeros((8, 8, 1), np.uint8)], {})
    assert not list(tmp_path.iterdir())
