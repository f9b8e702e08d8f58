"""Folders of models as diffusers and its training scripts write them, in each of their layouts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
from diffusers import UNet2DModel
from diffusers.training_utils import EMAModel

SMALL: dict[str, Any] = {
    "sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (8, 16),
    "layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 8,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
WEIGHTS = "diffusion_pytorch_model.safetensors"
Layout = Callable[[UNet2DModel, Any, Path], Path]  # network, scheduler, an empty folder → what is opened


def pipeline(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    unet.save_pretrained(folder / "unet")
    scheduler.save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"],
        "scheduler": ["diffusers", type(scheduler).__name__],
    }  # fmt: skip
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def without_index(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    (pipeline(unet, scheduler, folder) / "model_index.json").unlink()
    return folder


def root(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    """As google/ddpm-* lie: all in one folder, attention by its old names."""
    unet.save_pretrained(folder)
    scheduler.save_pretrained(folder)
    return _renamed(folder, lambda name: _old_attention(name))


def _old_attention(name: str) -> str:
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, former in old.items():
        name = name.replace(f".{new}.", f".{former}.")
    return name


def _renamed(folder: Path, rename: Callable[[str], str], place: str = "") -> Path:
    file = folder / place / WEIGHTS
    tensors = safetensors.torch.load_file(file)
    safetensors.torch.save_file({rename(name): t for name, t in tensors.items()}, file)
    return folder


def half(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    unet.half().save_pretrained(folder / "unet", variant="fp16")
    unet.float()  # with the numbers as they are in the file
    scheduler.save_pretrained(folder / "scheduler")
    return folder


def shards(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    unet.save_pretrained(folder / "unet", max_shard_size="20KB")
    assert len([*(folder / "unet").glob("*.safetensors")]) > 2
    scheduler.save_pretrained(folder / "scheduler")
    return folder


def half_shards(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    unet.half().save_pretrained(folder / "unet", max_shard_size="10KB", variant="fp16")
    unet.float()
    scheduler.save_pretrained(folder / "scheduler")
    return folder


def accelerate(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    """A checkpoint of the example script, inside its output: the averaged weights are those that sample."""
    pipeline(UNet2DModel(**SMALL), scheduler, folder)
    UNet2DModel(**dict(unet.config)).save_pretrained(folder / "checkpoint-500" / "unet")
    average = EMAModel(unet.parameters(), model_cls=UNet2DModel, model_config=unet.config)
    average.save_pretrained(folder / "checkpoint-500" / "unet_ema")
    return folder / "checkpoint-500"


def network_of_a_pipeline(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    return pipeline(unet, scheduler, folder) / "unet"


def compiled(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    return _renamed(pipeline(unet, scheduler, folder), lambda name: f"_orig_mod.{name}", "unet")


def parallel(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    return _renamed(pipeline(unet, scheduler, folder), lambda name: f"module.{name}", "unet")


def wrapped(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    """In parallel and compiled, and one of its parts compiled by itself."""

    def rename(name: str) -> str:
        return "module._orig_mod." + name.replace("mid_block.", "mid_block._orig_mod.")

    return _renamed(pipeline(unet, scheduler, folder), rename, "unet")


def own_variant(unet: UNet2DModel, scheduler: Any, folder: Path) -> Path:
    unet.save_pretrained(folder / "unet", variant="non_ema")
    scheduler.save_pretrained(folder / "scheduler")
    return folder


LAYOUTS: tuple[Layout, ...] = (
    pipeline, without_index, root, half, shards, half_shards, accelerate, network_of_a_pipeline, compiled,
    parallel,
)  # fmt: skip
