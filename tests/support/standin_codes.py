"""The paths of autoencoders that run on a device."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffusion_studio.engine.autoencoder.exact import learned_linear, principal_parts
from diffusion_studio.engine.autoencoder.measures import gradient_variances, measure, scatter
from diffusion_studio.engine.autoencoder.model import open_model
from diffusion_studio.engine.autoencoder.session import new_session, train
from diffusion_studio.engine.jobs.control import Control
from support.codes import code_config
from support.standin import DEVICE, no_waiting
from support.tiny import CPU

ALL_THREE = {
    "hierarchy__same_dimension": True, "hierarchy__fixed_encoder": True, "hierarchy__standard_end": True,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "ae": ("ae", {"data__flip": True}), "vae": ("vae", {"draws": 2}),
    "conv": ("vae", {"code__network": "conv"}), "kl": ("vae", {"code__network": "kl", "code__channels": 1}),
    "bernoulli": ("vae", {"decoder__kind": "bernoulli"}), "hvae": ("hvae", {"hierarchy__levels": 3}),
    "bridge": ("hvae", ALL_THREE),
}  # fmt: skip


def learns(kind: str, values: dict[str, Any], folder: Path) -> None:
    """A step waits for nothing, and loses what it loses on the processor."""
    config = code_config(kind, **values)
    here, there = (
        new_session(folder / device.type, config, device, Control()).task for device in (DEVICE, CPU)
    )
    for number in range(2):
        with no_waiting():
            loss = here.step(number, 0.1)
        np.testing.assert_allclose(loss.cpu(), there.step(number, 0.1), rtol=2e-3, atol=1e-3)


def is_measured(kind: str, values: dict[str, Any], folder: Path) -> None:
    """All that is looked at and measured of a trained one."""
    session = new_session(folder / "run", code_config(kind, training__steps=3, **values), DEVICE, Control())
    *_, finished = train(session)
    assert finished.outcome == "done", finished
    model, images = open_model(folder / "run", DEVICE), session.images.images
    for _ in measure(model, images[:5], 3, 0):
        pass
    assert model.samples(3, 0).shape == (3, 8, 8, 1)
    if kind == "vae":
        gradient_variances(model, images[0], 4, 0)
    if kind == "hvae":
        scatter(model, images[0], 4, 0)
    parts = principal_parts(images)
    assert parts is not None
    learned_linear(model, parts, images[:9], 0)


CASES = {
    **{f"autoencoder step {name}": partial(learns, *given) for name, given in KINDS.items()},
    **{f"autoencoder measured {name}": partial(is_measured, *given) for name, given in KINDS.items()},
    "autoencoder measured linear": partial(is_measured, "vae", {"code__network": "linear"}),
}
