"""Small pictures, an autoencoder of them that has places, and a diffusion of its codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusion_studio.core.describe import with_values
from diffusion_studio.engine.runs.config import RunConfig
from support.codes import code_config, trained_in
from support.tiny import begin, finish, tiny_config, write_pictures


def autoencoder_of(pictures: Path, path: Path, kind: str = "ae", **values: Any) -> Path:
    """A run of an `AutoencoderKL` after few steps: 16 × 16 pixels to 4 × 4 places of 3 numbers."""
    small = {"code__network": "kl", "code__channels": 3, "code__width": 64, "data__resolution": 16,
             "data__source": str(pictures), "training__steps": 4, "training__batch_size": 8}  # fmt: skip
    trained_in(path, code_config(kind, **(small | values)))
    return path


def coded_config(pictures: Path, code: Path | str, **values: Any) -> RunConfig:
    """A tiny diffusion in that code."""
    config = tiny_config(pictures, **values)
    return with_values(config, [("model.code", str(code)), ("data.resolution", 16)])


def coded_run(folder: Path, **values: Any) -> tuple[Path, Path]:
    """A diffusion in a code and the autoencoder that it comes from."""
    pictures = write_pictures(folder / "zoo", each=8)
    code = autoencoder_of(pictures, folder / "autoencoder")
    finish(begin(folder / "run", coded_config(pictures, code, **values)))
    return folder / "run", code
