"""The forward process and the prediction in a scheduler's config of diffusers, or why it cannot be used."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind
from diffusion_studio.core.process.schedules import CosineSchedule, with_zero_terminal_snr
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.checkpoints import CheckpointError

MOST_STEPS = 100_000
_PREDICTIONS = {reading.prediction_type: kind for kind, reading in READINGS.items()}
_SCALED, SCALE = "scaled_", "state_scale"  # of a network that is shown scale · x_t; 0 … T
_CLIPPING = {"DDPMScheduler", "DDPMParallelScheduler", "DDIMScheduler", "DDIMParallelScheduler"}

# Schedulers of the variance-preserving process that differ only in their steps, which are chosen here anew.
_KNOWN = {
    *_CLIPPING, "DDIMInverseScheduler", "DPMSolverMultistepInverseScheduler",
    "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler",
    "DEISMultistepScheduler", "UniPCMultistepScheduler", "SASolverScheduler",
}  # fmt: skip
_OTHER_PROCESSES = {
    "ScoreSdeVeScheduler": tr("its noise grows without end (the variance-exploding process)"),
    "KarrasVeScheduler": tr("its noise grows without end (the variance-exploding process)"),
    "ScoreSdeVpScheduler": tr("its time is continuous"),
    "EDMEulerScheduler": tr("it is scaled as in EDM"),
    "EDMDPMSolverMultistepScheduler": tr("it is scaled as in EDM"),
    "CosineDPMSolverMultistepScheduler": tr("it is scaled as in EDM"),
    "IPNDMScheduler": tr("it has a schedule of its own, whatever its config says"),
    "FlowMatchEulerDiscreteScheduler": tr("it is a flow on the straight path"),
    "FlowMatchHeunDiscreteScheduler": tr("it is a flow on the straight path"),
    "FlowMatchLCMScheduler": tr("it is a flow on the straight path"),
    "FlowMapEulerDiscreteScheduler": tr("it is a flow on the straight path"),
    "LTXEulerAncestralRFScheduler": tr("it is a flow on the straight path"),
    "SCMScheduler": tr("its path is an arc (TrigFlow)"),
    "CMStochasticIterativeScheduler": tr("it is a consistency model"),
    "LCMScheduler": tr("it is a consistency model"),
    "TCDScheduler": tr("it is a consistency model"),
    "VQDiffusionScheduler": tr("it is a diffusion of codes"),
    "AmusedScheduler": tr("it is a diffusion of codes"),
    "DDPMWuerstchenScheduler": tr("its time is continuous"),
    "CogVideoXDDIMScheduler": tr("it is for videos"),
    "CogVideoXDPMScheduler": tr("it is for videos"),
    "RePaintScheduler": tr("it fills in parts of pictures"),
    "UnCLIPScheduler": tr("it is conditioned on texts"),
}


def check_process(config: dict[str, Any]) -> None:
    """Raises CheckpointError where a scheduler's config is not of the variance-preserving process."""
    name = config.get("_class_name", "DDPMScheduler")
    reason = _OTHER_PROCESSES.get(str(name), "")
    if name not in _KNOWN or reason:
        because = f": {reason}" if reason else ""
        raise CheckpointError(
            tr(
                "The model's scheduler is {name}{because}. Models of the variance-preserving process can be "
                "opened, like those of DDPMScheduler and DDIMScheduler.",
                name=name,
                because=because,
            )
        )
    if config.get("use_flow_sigmas"):
        raise CheckpointError(
            tr("The model's scheduler is {name} of a flow on the straight path (use_flow_sigmas).", name=name)
        )
    if config.get("timestep_type", "discrete") != "discrete":
        raise CheckpointError(
            tr("The model's scheduler is {name} of continuous time (timestep_type).", name=name)
        )


def read_scheduler(config: Any) -> tuple[Tables, PredictionKind]:
    """The forward process and the prediction of a diffusers scheduler config.

    Raises:
        CheckpointError: a schedule or a prediction that is not known here.
    """
    try:
        check_process(config)
        kind = _prediction(config)
        betas = _betas(config)
        scale = _scale(config, len(betas))
        if config.get("rescale_betas_zero_snr"):
            betas = _without_signal(betas, kind)
        return Tables.from_betas(betas, scale), kind
    except (AttributeError, TypeError, OverflowError) as error:
        raise CheckpointError(tr("The scheduler's config is not understood.")) from error
    except CheckpointError:
        raise
    except Refused as error:
        raise CheckpointError(tr("The scheduler's config cannot be used: {error}", error=error)) from None


def prediction_json(tables: Tables, kind: PredictionKind) -> dict[str, Any]:
    """What a scheduler's config says of the prediction, and of the coordinates of x_t if they are others."""
    name = READINGS[kind].prediction_type
    if tables.preserves:
        return {"prediction_type": name}
    return {"prediction_type": f"{_SCALED}{name}", SCALE: tables.scale.tolist()}


def clipping_note(config: dict[str, Any]) -> str:
    """How its own sampling treats estimates, if it is another way than the usual one here; else nothing."""
    clips = config.get("clip_sample", config.get("_class_name", "DDPMScheduler") in _CLIPPING)
    if config.get("thresholding"):
        return tr("Its own sampling has a dynamic threshold: for the same samples set “clip estimate” to it.")
    if not clips:
        return tr("Its own sampling clips no estimate: for the same samples set “clip estimate” to off.")
    limit = config.get("clip_sample_range", 1.0)
    if limit == 1 or not isinstance(limit, int | float) or not math.isfinite(limit):
        return ""
    return tr("Its own sampling clips estimates at ±{limit}, here it is ±1.", limit=limit)


def _prediction(config: dict[str, Any]) -> PredictionKind:
    named = (
        "sample" if config.get("predict_epsilon") is False else "epsilon"
    )  # as it was until diffusers 0.10
    kind = config.get("prediction_type", named)
    if isinstance(kind, str) and SCALE in config:
        kind = kind.removeprefix(_SCALED)
    if kind == "flow_prediction":
        raise Refused(
            tr(
                "Its network predicts the velocity of the straight path, and was shown x_u = (1−u) x_0 + u "
                "ε; the states of its scheduler are those of another process."
            )
        )
    if kind not in _PREDICTIONS:
        raise Refused(tr("The prediction {kind!r} is not known here.", kind=kind))
    return _PREDICTIONS[kind]


def _scale(config: dict[str, Any], steps: int) -> Tensor | None:
    """What x_t is multiplied by for the network, (T+1,); None where it is shown x_t itself."""
    if SCALE not in config:
        return None
    found = [_number(SCALE, each) for each in config[SCALE]]
    if len(found) != steps + 1 or min(found) <= 0:
        raise Refused(tr("Its {scale} must hold {steps} numbers above 0.", scale=SCALE, steps=steps + 1))
    return torch.tensor(found, dtype=torch.float64)


def _without_signal(betas: Tensor, kind: PredictionKind) -> Tensor:
    if not READINGS[kind].holds_without_signal:
        raise Refused(
            tr(
                "Its last step keeps nothing of the image (rescale_betas_zero_snr), where the prediction "
                "{prediction_type!r} says nothing.",
                prediction_type=READINGS[kind].prediction_type,
            )
        )
    return with_zero_terminal_snr(betas)


def _betas(config: dict[str, Any]) -> Tensor:
    number = _number("num_train_timesteps", config.get("num_train_timesteps", 1000))
    if (steps := int(number)) != number:
        raise Refused(tr("It has {number} steps, which is not a whole number.", number=number))
    if not 2 <= steps <= MOST_STEPS:
        raise Refused(
            tr(
                "It has {steps} steps; from 2 to {most_steps} can be walked through.",
                steps=steps,
                most_steps=MOST_STEPS,
            )
        )
    listed = config.get("trained_betas")
    if listed is not None and len(listed) != steps:
        raise Refused(tr("It lists {count} variances for {steps} steps.", count=len(listed), steps=steps))
    if listed is not None:
        return torch.tensor([_number("trained_betas", beta) for beta in listed], dtype=torch.float64)
    name = config.get("beta_schedule", "linear")
    if name not in _SCHEDULES:
        raise Refused(tr("The beta schedule {name!r} is not known here.", name=name))
    first = _number("beta_start", config.get("beta_start", 1e-4))
    last = _number("beta_end", config.get("beta_end", 0.02))
    return _SCHEDULES[name](first, last, steps)


def _linear(first: float, last: float, steps: int) -> Tensor:
    return torch.linspace(first, last, steps, dtype=torch.float64)


def _scaled_linear(first: float, last: float, steps: int) -> Tensor:
    if min(first, last) < 0:
        raise Refused(tr("Every β of a schedule must lie between 0 and 1."))
    return _linear(first**0.5, last**0.5, steps) ** 2


def _sigmoid(first: float, last: float, steps: int) -> Tensor:
    """GeoDiff's: β itself is a sigmoid of t, and not ᾱ."""
    return torch.sigmoid(_linear(-6, 6, steps)) * (last - first) + first


def _cosine(first: float, last: float, steps: int) -> Tensor:
    return CosineSchedule().betas(steps)


def _laplace(first: float, last: float, steps: int) -> Tensor:
    """As diffusers has it, with its root over ᾱ."""

    def alpha_bar(place: float) -> float:
        log_snr = -0.5 * math.copysign(1, 0.5 - place) * math.log(1 - 2 * abs(0.5 - place) + 1e-6)
        return math.sqrt(1 / (1 + math.exp(-log_snr)))

    return _of_alpha_bar(alpha_bar, steps)


def _exponential(first: float, last: float, steps: int) -> Tensor:
    """ᾱ_t = exp(−12 t/T), of diffusers' Heun scheduler."""
    return _of_alpha_bar(lambda place: math.exp(-12 * place), steps)


def _of_alpha_bar(alpha_bar: Callable[[float], float], steps: int) -> Tensor:
    """β_t = 1 − ᾱ_t / ᾱ_{t−1}, at most 0.999, for ᾱ at each place t/T. (T,)"""
    kept = [alpha_bar((t + 1) / steps) / alpha_bar(t / steps) for t in range(steps)]
    return torch.tensor([min(1 - each, 0.999) for each in kept], dtype=torch.float64)


_SCHEDULES: dict[Any, Callable[[float, float, int], Tensor]] = {  # diffusers does not scale by T
    "linear": _linear, "scaled_linear": _scaled_linear, "squaredcos_cap_v2": _cosine,
    "sigmoid": _sigmoid, "laplace": _laplace, "exp": _exponential,
}  # fmt: skip


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Refused(tr("Its {name} holds {value!r}, which is not a number.", name=name, value=value))
    return number
