"""Codes on disk: diffusers' `AutoencoderKL`, with what standardises its codes beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor

from diffusion_studio.core.importing import importing
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.files import to_json
from diffusion_studio.engine.runs.checkpoints import CheckpointError, checkpoint_step, read_json
from diffusion_studio.engine.runs.fitness import check_numbers, check_shapes
from diffusion_studio.engine.runs.network_files import filled, plain, shapes_in
from diffusion_studio.engine.runs.pipeline_folder import AUTOENCODERS, autoencoder_in, weights_in
from diffusion_studio.models.code import Code, factor_of
from diffusion_studio.models.unet import quiet_diffusers

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

CODE = "code"  # the folder of a run that its code lies in
CONFIG, WEIGHTS, CARD = "config.json", "diffusion_pytorch_model.safetensors", "code.json"
KIND = "AutoencoderKL"
MOST_CHANNELS = 64
LARGEST = 1e30  # of what standardises a code


def code_place(folder: Path) -> str | None:
    """Where in a folder an autoencoder of diffusers lies, like "vae/" or ""; None where there is none."""
    for place in (*(f"{name}/" for name in AUTOENCODERS), ""):
        if (folder / place / CONFIG).is_file() and (place or _kind_in(folder).startswith(("Auto", "VQ"))):
            return place
    return None


def _kind_in(folder: Path) -> str:
    """What a config.json, which runs have too, is the config of."""
    try:
        config = read_json(folder, CONFIG)
    except CheckpointError:
        return ""
    return str(config.get("_class_name", "")) if isinstance(config, dict) else ""


def code_beside(model: Path, device: torch.device) -> Code | None:
    """The code that a model is a diffusion of: of the run that a checkpoint lies in, or in its own folder.

    Raises:
        CheckpointError: there is one that cannot be read.
    """
    home = model.parent.parent / CODE
    if checkpoint_step(model) >= 0 and home.is_dir():
        return read_code(home, "", device, "")
    place = autoencoder_in(model)
    if place is None:
        return None
    if not (model / place / CONFIG).is_file():
        raise CheckpointError(
            tr(
                "{model} is a model of codes, and the autoencoder that belongs to it ({place}) does not lie "
                "in its folder.",
                model=model.name,
                place=place.rstrip("/"),
            )
        )
    return read_code(model, place, device, model.name)


def read_code(folder: Path, place: str, device: torch.device, name: str) -> Code:
    """The autoencoder at a place in a folder, ready to be used.

    Args:
        place: like "vae/", or "" for the folder itself.
        name: what a person calls it, unless the folder says so.

    Raises:
        CheckpointError: a file is missing, damaged, or describes another kind of autoencoder.
    """
    pieces = weights_in(folder, place)
    planned = _planned(read_json(folder, f"{place}{CONFIG}"), folder)
    check_shapes(planned, shapes_in(folder, pieces), folder)
    network = filled(planned, folder, pieces).to(device).eval().requires_grad_(False)
    card = _card(folder, place, network.config)
    channels = int(network.config.latent_channels)
    mean, spread = (_numbers(card.get(key), channels, folder) for key in ("mean", "spread"))
    spread = spread / card.get("scale", 1.0)
    if not bool((spread > 0).all()):
        raise CheckpointError(
            tr("The codes in {folder} have no spread, so that they cannot be standardised.", folder=folder)
        )
    return Code(
        network, mean.to(device), spread.to(device), _digest(network.state_dict()),
        str(card.get("name") or name or folder.name),
    )  # fmt: skip


def factor_in(folder: Path, place: str) -> int:
    """f of the autoencoder at a place in a folder, by its config alone.

    Raises:
        CheckpointError: there is no such config.
    """
    config = read_json(folder, f"{place}{CONFIG}")
    widths = config.get("block_out_channels") if isinstance(config, dict) else None
    if not isinstance(widths, list) or not widths:
        raise CheckpointError(tr("The autoencoder's config is not valid: nothing can be built from it."))
    return factor_of(widths)


def _planned(config: Any, folder: Path) -> AutoencoderKL:
    """The network without weights.

    Raises:
        CheckpointError: not the config of an `AutoencoderKL` of grey or colour pictures.
    """
    with importing():
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    kind = config.get("_class_name") if isinstance(config, dict) else None
    if kind != KIND:
        raise CheckpointError(
            tr(
                "The autoencoder in {folder} is {found}; only {kind} can be opened, whose codes are numbers.",
                folder=folder,
                found=kind or tr("of no known kind"),
                kind=KIND,
            )
        )
    check_numbers(config)
    try:
        with quiet_diffusers(), torch.device("meta"):
            network = AutoencoderKL(**plain(config))
    except Exception as error:  # the library raises whatever a wrong value leads to
        raise CheckpointError(
            tr("The autoencoder's config is not valid: nothing can be built from it.")
        ) from error
    found = network.config
    if len({len(found[key]) for key in ("block_out_channels", "down_block_types", "up_block_types")}) > 1:
        raise CheckpointError(tr("The autoencoder's config is not valid: nothing can be built from it."))
    if found.in_channels != found.out_channels or found.in_channels not in (1, 3):
        raise CheckpointError(
            tr(
                "The autoencoder's pictures have {in_channels} channels and come back with {out_channels}; "
                "only grey (1) and colour (3) can be shown.",
                in_channels=found.in_channels,
                out_channels=found.out_channels,
            )
        )
    if not isinstance(found.latent_channels, int) or not 1 <= found.latent_channels <= MOST_CHANNELS:
        raise CheckpointError(
            tr(
                "The autoencoder's codes should have from 1 to {most} channels.",
                most=MOST_CHANNELS,
            )
        )
    return network


def _card(folder: Path, place: str, config: Any) -> dict[str, Any]:
    """What standardises codes: as it was measured here, or as the library has it in the network's config:
    its pipelines decode σ z / scale + μ.
    """
    if (folder / place / CARD).is_file():
        found = read_json(folder, f"{place}{CARD}")
        return {**found, "scale": 1.0} if isinstance(found, dict) else {}
    channels = int(config.latent_channels)
    means, spreads, scale = (config.get(key) for key in ("latents_mean", "latents_std", "scaling_factor"))
    scale = 1.0 if scale is None else scale
    if not _is_number(scale) or scale < 1 / LARGEST:
        raise CheckpointError(
            tr("The scaling_factor of the autoencoder in {folder} is not a number above 0.", folder=folder)
        )
    if not (means and spreads):
        means, spreads = [config.get("shift_factor") or 0.0] * channels, [1.0] * channels
    return {"mean": means, "spread": spreads, "scale": float(scale)}


def _is_number(value: Any) -> bool:
    """Whether a network can count with it."""
    return isinstance(value, int | float) and abs(value) < LARGEST


def _numbers(values: Any, channels: int, folder: Path) -> Tensor:
    """One number for each channel of a code. (c, 1, 1)"""
    sound = isinstance(values, list) and len(values) == channels
    if not sound or not all(_is_number(each) for each in values):
        raise CheckpointError(
            tr("What standardises the codes in {folder} is not a number for each channel.", folder=folder)
        )
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


def _digest(weights: dict[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        found.update(name.encode())
        found.update(tensor.cpu().contiguous().numpy().data)
    return found.hexdigest()


def code_contents(code: Code) -> dict[str, bytes]:
    """The files of a code in a run, by relative path."""
    numbers = {key: getattr(code, key).flatten().tolist() for key in ("mean", "spread")}
    return {
        f"{CODE}/{CARD}": to_json({"name": code.name, **numbers}),
        f"{CODE}/{CONFIG}": to_json(_config(code.network)),
        f"{CODE}/{WEIGHTS}": _stored(code.network.state_dict()),
    }


def exported_code(code: Code) -> dict[str, bytes]:
    """The files of a code for other programs, whose network gives and takes standardised codes.

    What standardises a channel stands in the weights of the two convolutions next to the code, so that no
    program has to know of it.
    """
    weights, c = (
        {name: tensor.cpu().clone() for name, tensor in code.network.state_dict().items()},
        code.channels,
    )
    mean, spread = code.mean.flatten().cpu(), code.spread.flatten().cpu()
    for name, size in (("quant_conv", 2 * c), ("post_quant_conv", c)):
        weights.setdefault(f"{name}.weight", torch.eye(size)[:, :, None, None])
        weights.setdefault(f"{name}.bias", torch.zeros(size))
    out, into = weights["quant_conv.weight"], weights["post_quant_conv.weight"]
    out[:c] /= spread[:, None, None, None]
    weights["quant_conv.bias"][:c] = (weights["quant_conv.bias"][:c] - mean) / spread
    weights["quant_conv.bias"][c:] -= 2 * spread.log()  # ln σ² of the same code
    weights["post_quant_conv.bias"] += into[:, :, 0, 0] @ mean
    into *= spread[None, :, None, None]
    config = _config(code.network) | {
        "use_quant_conv": True, "use_post_quant_conv": True, "scaling_factor": 1.0, "shift_factor": None,
        "latents_mean": None, "latents_std": None,
    }  # fmt: skip
    return {f"vae/{CONFIG}": to_json(config), f"vae/{WEIGHTS}": _stored(weights)}


def _config(network: AutoencoderKL) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(network.to_json_string())
    return found


def _stored(weights: dict[str, Tensor]) -> bytes:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    stored: bytes = safetensors.torch.save(plain, {"format": "pt"})
    return stored
