"""The network of a run as ONNX, for programs without torch: written, run once, and compared with torch."""

from __future__ import annotations

import importlib.util
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.files import write_atomically
from diffusion_studio.engine.runs.model_io import LoadedModel, load_model
from diffusion_studio.engine.runs.scheduler_config import prediction_json
from diffusion_studio.models.time_embedding import forget_times
from diffusion_studio.models.unet import through

if TYPE_CHECKING:
    from diffusers import UNet2DModel

ONNX = ".onnx"
MISSING = tr(
    "ONNX needs packages that are not installed: pip install 'diffusion-studio[onnx]' adds them. A model "
    "folder needs nothing."
)
CLOSE = 1e-5  # how far it may be from torch, as a share of the largest number that comes out
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_INPUTS = ("sample", "timestep", "class_labels")  # as diffusers calls them
_OUTPUT = "out_sample"


class _Plain(nn.Module):
    """A network whose inputs and output are tensors alone."""

    def __init__(self, unet: UNet2DModel) -> None:
        super().__init__()
        self.unet, self._levels = unet, len(unet.config.block_out_channels)

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor | None = None) -> Tensor:
        return through(self.unet, sample, timestep, class_labels, self._levels)


def check_onnx() -> None:
    """Raises Refused, with a sentence, where no ONNX can be written."""
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        raise Refused(MISSING)


def export_network(checkpoint: Path, file: Path) -> float:
    """Writes the averaged network of a checkpoint as ONNX, for any number of images at once.

    It takes `sample` (B, C, H, W) float32, `timestep` int64 (B,), 0 … T − 1, and, of a network with K
    classes, `class_labels` int64 (B,), 0 … K, K being no class; `out_sample` is what it predicts. What that
    is, and every β_t, stands in the file's own metadata.

    Returns:
        How far it is from torch at most, as a share of the largest number that comes out.

    Raises:
        Refused: packages are missing, or what was written differs from torch.
        CheckpointError: the model cannot be read.
        OSError: the file cannot be written.
    """
    check_onnx()
    model = load_model(checkpoint, torch.device("cpu"))
    unet = model.denoiser.network.unet.to(memory_format=torch.contiguous_format)
    forget_times(unet)
    network = _Plain(unet).eval()
    data = _described(_converted(network, _inputs(model, 2)), _facts(model))
    apart = max(_apart(network, data, _inputs(model, count)) for count in (1, 3))
    if apart > CLOSE:
        raise Refused(
            tr(
                "The ONNX of this network differs from torch by {apart:.1e}, so it was not written.",
                apart=apart,
            )
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, data)
    return apart


def _inputs(model: LoadedModel, count: int) -> tuple[Tensor, ...]:
    """What the network is asked about: noise at times and classes all over."""
    random = torch.Generator().manual_seed(count)
    x = torch.randn(count, model.channels, *model.sides, generator=random)
    t = torch.randint(model.denoiser.tables.steps, (count,), generator=random)
    if not model.classes:
        return x, t
    return x, t, torch.randint(model.classes, (count,), generator=random)


def _converted(network: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    batch = torch.export.Dim("batch", min=1)
    with tempfile.TemporaryDirectory() as place, quiet_exporter():
        program = torch.onnx.export(
            network, inputs, dynamo=True, verbose=False, dynamic_shapes=tuple({0: batch} for _ in inputs),
            input_names=_INPUTS[: len(inputs)], output_names=[_OUTPUT],
        )  # fmt: skip
        assert program is not None
        program.save(str(Path(place) / "network.onnx"), external_data=False)
        return (Path(place) / "network.onnx").read_bytes()


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Keeps what the library says of itself off the screen."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _facts(model: LoadedModel) -> dict[str, str]:
    """What a program needs to sample with it."""
    tables, kind = model.denoiser.tables, model.denoiser.kind
    facts: dict[str, Any] = {
        "num_train_timesteps": tables.steps,
        "trained_betas": tables.beta[1:].tolist(),
        **prediction_json(tables, kind),
        "learned_variance": model.denoiser.learns_variance,
        "class_names": list(model.class_names),
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}


def _described(data: bytes, facts: dict[str, str]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model)
    onnx.helper.set_model_props(model, facts)
    described: bytes = model.SerializeToString()
    return described


def _apart(network: nn.Module, data: bytes, inputs: tuple[Tensor, ...]) -> float:
    """How far both are apart at most, as a share of the largest number that comes out."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    given = {name: tensor.numpy() for name, tensor in zip(_INPUTS, inputs, strict=False)}
    (found,) = session.run([_OUTPUT], given)
    with torch.inference_mode():
        wanted = network(*inputs)
    share = (torch.from_numpy(found) - wanted).abs().max() / wanted.abs().max().clamp_min(1e-12)
    return float(share)
