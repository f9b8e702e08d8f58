"""The transport under the plane, tied to what plays."""

from __future__ import annotations

from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.plane.player import PlanePlayer
from diffusion_studio.viewmodels.plane.state import PlaneState
from diffusion_studio.widgets.chain.step_transport import StepTransport


def tie(transport: StepTransport, player: PlanePlayer) -> None:
    """What is asked of the transport moves the player."""
    transport.seek_requested.connect(player.seek)
    transport.step_requested.connect(player.step)
    transport.home.connect(player.to_start)
    transport.end.connect(player.to_end)
    transport.play_toggled.connect(player.toggle)
    transport.play_requested.connect(player.play)
    transport.pause_requested.connect(player.stop)
    transport.loop_toggled.connect(player.set_loop)
    transport.speed_changed.connect(player.set_speed)


def show(transport: StepTransport, before: PlaneState | None, state: PlaneState) -> None:
    """Where in the chain one stands."""
    if before is None or (before.times, before.spec) != (state.times, state.spec):
        transport.set_levels(state.times, ends_of(state))
        transport.set_ready(state.last)
    transport.set_position(state.position)
    if before is None or before.playing != state.playing:
        transport.set_playing(state.playing)
    if before is None or before.loop != state.loop:
        transport.set_loop(state.loop)


def ends_of(state: PlaneState) -> tuple[str, str]:
    """What lies at both ends of the chain."""
    kind = state.spec.process.kind
    if kind == "langevin":
        return tr("start"), tr("{last} steps at t = {t}", last=state.last, t=state.spec.t)
    if kind == "forward":
        return tr("data"), tr("noise")
    there_and_back = state.spec.start == "data"
    return (tr("data"), tr("noise, and back to the data")) if there_and_back else (tr("noise"), tr("data"))
