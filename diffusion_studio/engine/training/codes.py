"""Diffusion in a code: which autoencoder, and its codes of all images, computed once, kept in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.devices import sent
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.cache import leaving
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.imageset import ImageSet, printable, to_model_range
from diffusion_studio.data.spec import is_path
from diffusion_studio.engine.files.places import at_home, cache_dir
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.code_files import CODE, code_place, factor_in, read_code
from diffusion_studio.engine.runs.config import RunConfig, TrainingConfig
from diffusion_studio.engine.runs.run import Run, RunError, is_run, kind_of, list_runs
from diffusion_studio.engine.training.moved import is_same_place
from diffusion_studio.engine.training.run_data import Reading, RunData
from diffusion_studio.models.code import Code

PIECE = 128  # images that are encoded together, and written at once
IN_MEMORY = 1 << 28  # bytes up to which codes are read into memory
LEAST_SPREAD = 1e-6  # of a channel that is used
WAIT = 0.2  # seconds between two looks at what another process encodes
Encoded = NDArray[np.float16]
Cancel = Callable[[], bool]


class CodedImages:
    """Standardised codes in place of the pixels, as a training draws them.

    Args:
        raw: codes as the network gives them: plain, and mirrored where that is asked for. (V, N, c, h, w)
    """

    def __init__(self, raw: Encoded, code: Code) -> None:
        self._raw, self._code = raw, code

    @property
    def shape(self) -> tuple[int, int, int]:
        c, h, w = self._raw.shape[2:]
        return c, h, w

    def batch(self, numbers: NDArray[np.int64], mirrored: Tensor | None) -> Tensor:
        """Codes of some images. (B, c, h, w)"""
        z = self._standardised(0, numbers)
        if mirrored is None:
            return z
        return torch.where(mirrored[:, None, None, None], self._standardised(1, numbers), z)

    def _standardised(self, variant: int, numbers: NDArray[np.int64]) -> Tensor:
        raw = sent(torch.from_numpy(self._raw[variant][numbers]), self._code.device)
        return self._code.standardised(raw.to(torch.float32))

    def pictures(self, z: Tensor) -> Tensor:
        """What codes stand for. (B, c, h, w) → (B, C, H, W)"""
        return self._code.decode(z)


# --- which code --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FoundCode:
    """An autoencoder that a person named, its codes not standardised yet.

    Args:
        run: that it comes from, if it was trained here.
        notes: sentences about checkpoints that had to be passed over.
    """

    code: Code
    run: Run[Any] | None = None
    notes: tuple[str, ...] = ()


def find_code(name: str, device: torch.device) -> FoundCode:
    """The autoencoder of a run, or in a folder of diffusers.

    Raises:
        Refused: there is none that pictures can be encoded with; the message is a sentence.
    """
    path = at_home(name) if is_path(name) else Path(printable(name))
    if is_run(path):
        return _of_run(path, device)
    if not path.exists():
        raise Refused(
            tr("There is no code at {path}: name a run of train-autoencoder, or a folder.", path=path)
        )
    place = code_place(path) if path.is_dir() else None
    if place is None:
        raise Refused(
            tr(
                "{path} is no code: it is neither a run of train-autoencoder nor a folder that holds "
                "an AutoencoderKL of diffusers.",
                path=path,
            )
        )
    return FoundCode(read_code(path, place, device, path.name))


def multiple_of(name: str) -> int:
    """What the sides of pictures in a code have to be multiples of, as its files say; 1 where there is none,
    which `find_code` says.
    """
    path = at_home(name) if is_path(name) else Path(printable(name))
    with contextlib.suppress(Refused, OSError):
        if not name:
            return 1
        if not is_run(path):
            return factor_in(path, code_place(path) or "")
        config = Run.open_as(path, TrainingConfig).config
        return config.code.multiple if isinstance(config, AutoencoderConfig) else factor_in(path / CODE, "")
    return 1


def _of_run(path: Path, device: torch.device) -> FoundCode:
    """The averaged autoencoder of a run; of a diffusion in a code, that code."""
    run = Run.open_as(path, TrainingConfig)
    if isinstance(run.config, RunConfig):
        if not (path / CODE).is_dir():
            raise RunError(
                tr("{run} is a diffusion model of pixels, not an autoencoder: it has no code.", run=run.name)
            )
        return FoundCode(read_code(path / CODE, "", device, run.name), run)
    if not isinstance(run.config, AutoencoderConfig):
        raise RunError(
            tr(
                "{run} is a training of the kind {kind}, not an autoencoder.",
                run=run.name,
                kind=run.config.kind,
            )
        )
    checkpoint, notes = run.newest_checkpoint()
    if run.config.code.network != "kl":
        raise RunError(
            tr(
                "The code of {run} is a list of numbers that have no places in the image. Diffusion "
                "needs one that is a small picture: train the autoencoder with --set code.network=kl.",
                run=run.name,
            )
        )
    return FoundCode(read_code(checkpoint, "vae/", device, run.name), run, notes)


def list_codes(runs_dir: Path, source: str) -> list[tuple[str, str]]:
    """(path, name) of each autoencoder in a folder of runs whose codes of these images can be learned."""
    found = []
    for path in list_runs(runs_dir):
        if kind_of(path) == RunConfig.kind:  # most are, and their whole configs need not be read
            continue
        with contextlib.suppress(RunError):
            run = Run.open_as(path, TrainingConfig)
            config = run.config
            if not isinstance(config, AutoencoderConfig) or config.code.network != "kl" or not run.step:
                continue
            if is_same_place(config.data.source, source):
                found.append((str(path), run.name))
    return found


def check_fits(found: FoundCode, images: ImageSet) -> None:
    """Raises Refused, with a sentence, where these images cannot be trained on in this code."""
    code, run = found.code, found.run
    if code.picture_channels != images.channels:
        raise Refused(
            tr(
                "The code {code} is one of grey images, and these are colour: set data.channels to 1, or "
                "choose another code.",
                code=code.name,
            )
            if code.picture_channels == 1
            else tr(
                "The code {code} is one of colour images, and these are grey: set data.channels to 3, or "
                "choose another code.",
                code=code.name,
            )
        )
    if images.resolution % code.factor or images.resolution < 2 * code.factor:
        raise Refused(
            tr(
                "The factor of the code {code} is {factor}, which does not divide the resolution "
                "{resolution} into at least 2 × 2 places: choose a multiple of {factor} from {least} "
                "on, or another code.",
                code=code.name,
                factor=code.factor,
                resolution=images.resolution,
                least=2 * code.factor,
            )
        )
    if run is None or not run.manifest or run.manifest.get("fingerprint") == images.fingerprint:
        return
    learned_from = str(run.config.data.source)
    if not is_same_place(learned_from, images.source):
        raise Refused(
            tr(
                "The code {code} was learned from the images in {learned_from}, not from those in "
                "{source}: train an autoencoder on these.",
                code=code.name,
                learned_from=learned_from,
                source=images.source,
            )
        )


# --- the codes of all images -------------------------------------------------------------------------------


def newly_coded(
    found: FoundCode, data: RunData, mirrored: bool, told: Reading | None, cancelled: Cancel | None
) -> tuple[CodedImages, Code]:
    """The codes of the images of a new run, and the code that standardises them.

    Raises:
        Cancelled: `cancelled()` became true.
        Refused: images that cannot be trained on in this code; the message is a sentence.
    """
    check_fits(found, data.images)
    raw = encoded(data.images, found.code, mirrored, told, cancelled)
    code = standardising(found.code, raw, data.trained)
    return CodedImages(raw, code), code


def standardising(code: Code, raw: Encoded, numbers: NDArray[np.int64]) -> Code:
    """The code with mean and spread of each channel over the images that are trained on.

    Raises:
        Refused: codes that are not numbers, or all the same.
    """
    sums, squares, count = np.zeros(code.channels), np.zeros(code.channels), 0
    for start in range(0, len(numbers), PIECE):
        part = raw[0][numbers[start : start + PIECE]].astype(np.float64)
        sums, squares = sums + part.sum((0, 2, 3)), squares + (part**2).sum((0, 2, 3))
        count += part.size // code.channels
    mean = sums / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0))
    if not np.isfinite(spread).all():
        raise Refused(
            tr("The code {code} is damaged: its codes of these images are not numbers.", code=code.name)
        )
    if not (spread > LEAST_SPREAD).any():
        raise Refused(tr("The code {code} is empty: it is the same for all images.", code=code.name))
    spread = np.where(spread > LEAST_SPREAD, spread, 1.0)  # a channel that nothing is written to
    of = (torch.tensor(v, dtype=torch.float32, device=code.device)[:, None, None] for v in (mean, spread))
    mean_now, spread_now = of
    return replace(code, mean=mean_now, spread=spread_now)


def encoded(
    images: ImageSet, code: Code, mirrored: bool, told: Reading | None = None, cancelled: Cancel | None = None
) -> Encoded:
    """The codes of all images as the network gives them, from the cache, or now.

    They are written piece by piece: what was interrupted goes on where it was.

    Args:
        mirrored: encode every image left to right as well.
        told: how many of how many are done.

    Returns:
        float16 (V, N, c, h, w), V = 2 where `mirrored`.

    Raises:
        Cancelled: `cancelled()` became true; what is done stays.
    """
    sides = code.sides((images.resolution, images.resolution))
    shape = (1 + mirrored, images.count, code.channels, *sides)
    made = _Pieces(images, code, shape, told, cancelled)
    key = hashlib.sha256(repr((1, images.fingerprint, code.digest, shape)).encode()).hexdigest()[:32]
    path = cache_dir() / "codes" / f"{key}.f16"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path, cancelled):
            if not path.is_file() or path.stat().st_size != made.size:
                _write(path, made)
            os.utime(path)  # the time of last use
            _prune(path)
            return _read(path, shape, made.size)
    except OSError:  # the cache cannot be written
        return np.concatenate(list(made.codes(0))).reshape(shape)


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Codes, made piece by piece in the order in which they are kept."""

    images: ImageSet
    code: Code
    shape: tuple[int, ...]
    told: Reading | None
    cancelled: Cancel | None

    @property
    def row(self) -> int:
        """Bytes of one code."""
        return 2 * math.prod(self.shape[2:])

    @property
    def total(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def size(self) -> int:
        return self.row * self.total

    def codes(self, first: int) -> Iterator[Encoded]:
        """From code number `first` on. (n, c, h, w) each"""
        for start in range(first, self.total, PIECE):
            if self.cancelled is not None and self.cancelled():
                raise Cancelled
            yield self._of(np.arange(start, min(start + PIECE, self.total)))
            if self.told is not None:
                self.told(min(start + PIECE, self.total), self.total)

    def _of(self, numbers: NDArray[np.int64]) -> Encoded:
        pixels = self.images.images[numbers % self.images.count]
        turned = (numbers >= self.images.count)[:, None, None, None]
        x = torch.from_numpy(to_model_range(np.where(turned, pixels[..., ::-1], pixels)))
        found: Encoded = self.code.raw(x).to(torch.float16).cpu().numpy()
        return found


@contextlib.contextmanager
def _alone(path: Path, cancelled: Cancel | None) -> Iterator[None]:
    """Waits while another process encodes the same."""
    lock = filelock.FileLock(path.with_suffix(".lock"), thread_local=False)
    while True:
        try:
            lock.acquire(timeout=WAIT)
            break
        except filelock.Timeout:
            if cancelled is not None and cancelled():
                raise Cancelled from None
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, made: _Pieces) -> None:
    part = path.with_suffix(".part")
    with part.open("ab") as file:
        done = min(file.tell() // made.row, made.total)
        file.truncate(done * made.row)
        _prune(path, made.size - done * made.row)
        for codes in made.codes(done):
            file.write(codes.tobytes())
            file.flush()
            os.fsync(file.fileno())
    part.replace(path)


def _read(path: Path, shape: tuple[int, ...], size: int) -> Encoded:
    if size > IN_MEMORY:
        return np.memmap(path, np.float16, "c", shape=shape)
    return np.fromfile(path, np.float16).reshape(shape)


def _prune(keep: Path, needed: int = 0) -> None:
    """Removes the codes that have to go, by the same rule as sets of images."""
    with contextlib.suppress(OSError):
        kept = [(p.stat().st_mtime, p, p.stat().st_size) for p in keep.parent.glob("*.f16")]
        free = shutil.disk_usage(keep.parent).free
        for path in leaving(kept, free, time.time(), keep, needed):
            path.unlink()
