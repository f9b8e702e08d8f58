"""Several processes train one network: what the first one hands out, and what the others do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusion_studio.core.describe import validated, with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.data.load import load
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.jobs.failures import words_for
from diffusion_studio.engine.machine.ranks import RankError, Ranks, is_end, is_still_there
from diffusion_studio.engine.runs.checkpoints import STATE, CheckpointContent
from diffusion_studio.engine.runs.config import ObjectiveSpec, RunConfig
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.run_data import VERSIONS, RunData, check_alike
from diffusion_studio.engine.training.session import Session, kept_code, learner_for, ready_session

_BETWEEN = "\n"  # file and name of a tensor
_Found = tuple[RunConfig, ImageSet]


def lead(session: Session, ranks: Ranks) -> None:
    """The first process hands out its session: which images, and all that was learned until now.

    Raises:
        RankError: another process is gone.
    """
    session.learner.ranks = ranks
    if ranks.count == 1:
        return
    ranks.tell({"run": str(session.run.path), "step": session.counters.step})
    with ranks.at_work():
        _hand_out(session, ranks)


def _hand_out(session: Session, ranks: Ranks) -> None:
    ranks.hand_out({"trained": torch.from_numpy(session.batches.numbers)})
    if session.counters.step == 0:
        ranks.hand_out(session.learner.unet.state_dict())
        return
    content = session.state()
    ranks.tell(content.json[STATE])
    named = ((file, name, x) for file, inner in content.tensors.items() for name, x in inner.items())
    ranks.hand_out({f"{file}{_BETWEEN}{name}": x for file, name, x in named})


def join(source: str, device: torch.device, ranks: Ranks) -> Session | None:
    """The session of another process, as the first one hands it out; None where that one ended before.

    Args:
        source: where the images are for this process.

    Raises:
        RankError: it cannot take part.
        Refused: its data or its network cannot be made.
    """
    if is_end(said := ranks.hear()):
        return None
    config, images = _like_the_first(said, source, ranks)
    if is_end(said := ranks.hear()):
        return None
    run = Run(Path(said["run"]), config)
    trained = ranks.receive()["trained"].numpy()
    data = RunData(images, trained, trained[:0])
    ground = kept_code(run, data, device, None, None)
    learner = learner_for(config, images, device, ground.examples.shape)
    session = ready_session(run, data, learner, device, ground)
    learner.ranks = ranks
    _take(session, said["step"], ranks)
    return session


def _like_the_first(said: dict[str, Any], source: str, ranks: Ranks) -> _Found:
    """Config and images, once all processes have the same.

    Raises:
        RankError: they have not.
    """
    found: _Found | str = _read(said, source) if ranks.reads_first else ""
    ranks.gathered(None)
    if not ranks.reads_first:  # its images are in the cache by now
        found = _read(said, source)
    images, trouble = (None, found) if isinstance(found, str) else (found[1], "")
    check_alike(ranks, images, trouble)
    if isinstance(found, str):
        raise RankError(f"{ranks.name} has no images.")
    return found


def _read(said: dict[str, Any], source: str) -> _Found | str:
    """Config and images, or why there are none."""
    if said["versions"] != VERSIONS:
        return ""
    try:
        config = with_value(validated(RunConfig, said["config"]), "data.source", source)
        return config, load(config.data, cache_dir()).with_classes(tuple(said["classes"]))
    except (Refused, OSError) as error:
        return words_for(error)


def _take(session: Session, step: int, ranks: Ranks) -> None:
    """Goes on from what the first one has learned."""
    if step == 0:
        weights = ranks.receive()
        for network in (session.learner.unet, session.learner.ema_unet):
            network.load_state_dict(weights)
        return
    state, tensors = ranks.hear(), dict[str, dict[str, Tensor]]()
    for name, tensor in ranks.receive().items():
        file, _, inner = name.partition(_BETWEEN)
        tensors.setdefault(file, {})[inner] = tensor
    session.restore(CheckpointContent({STATE: state}, tensors))


def follow(session: Session) -> None:
    """Takes every step with the first process, until that one ends.

    Raises:
        RankError: it is gone.
    """
    ranks = session.learner.ranks
    while not is_end(said := ranks.hear()):
        if is_still_there(said):
            continue
        if "objective" in said:
            session.set_objective(validated(ObjectiveSpec, said["objective"]))
        else:
            session.step(said["step"], said["position"])
