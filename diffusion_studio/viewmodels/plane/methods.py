"""The ways to move that have a button; the samplers without one stand in the menu beside the plane."""

from __future__ import annotations

from dataclasses import dataclass

from diffusion_studio.core.describe import Member, members, validated
from diffusion_studio.core.process.spacing import LogSNRSpacing
from diffusion_studio.core.samplers import Sampler
from diffusion_studio.core.words import tr
from diffusion_studio.engine.plane.process import Langevin, Process, Reverse

BUTTONS = {
    "langevin": "Langevin", "annealed_langevin": tr("Annealed"), "ddpm": "DDPM", "ddim": "DDIM",
    "reverse_sde": tr("Reverse SDE"), "heun": tr("Flow"), "forward": tr("Forward"),
}  # fmt: skip
"""What stands on the buttons, by the kind of a process or of a reverse chain's sampler, in their order."""


@dataclass(frozen=True)
class Method:
    """A way to move that is offered by name."""

    key: str
    title: str
    help: str
    process: Process


def methods() -> tuple[Method, ...]:
    """All of them, in the order of the buttons; a process that is not named there comes after them."""
    rest = {kind: cls.title for kind, cls in members(Process).items() if cls is not Reverse}
    return tuple(_method(kind, title) for kind, title in (BUTTONS | (rest | BUTTONS)).items())


def _method(kind: str, title: str) -> Method:
    samplers = members(Sampler)
    if kind in samplers:
        sampler = validated(samplers[kind], {})
        return Method(kind, title, _help(sampler), _reverse(sampler))
    process = validated(members(Process)[kind], {})
    return Method(kind, title, _help(process), process)


def _help(member: Member) -> str:
    cls = type(member)
    return f"{cls.title[:1].upper()}{cls.title[1:]}: {cls.summary.removesuffix('.')} ({cls.source})"


def _reverse(sampler: Sampler) -> Process:
    """A reverse chain; solvers of higher order need times that are even in log SNR."""
    if sampler.order > 1:
        return Reverse(sampler=sampler, spacing=LogSNRSpacing(), steps=100)
    return Reverse(sampler=sampler)


def method_of(process: Process) -> str:
    """The key of the method that a process belongs to; "" for samplers that have no button."""
    if not isinstance(process, Reverse):
        return process.kind
    return process.sampler.kind if process.sampler.kind in BUTTONS else ""


def method_title(process: Process) -> str:
    """ "Langevin", "DDIM": what the curves are called."""
    if isinstance(process, Langevin):
        return tr("adjusted Langevin") if process.adjusted else "Langevin"
    return type(process.sampler if isinstance(process, Reverse) else process).title
