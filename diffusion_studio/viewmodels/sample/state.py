"""What the Sample page shows and what its background job tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.steps.update import Update
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import View
from diffusion_studio.engine.jobs import events
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.sample.sources import SourceChoice

Layout = Literal["grid", "strip", "guided"]
VIEWS: tuple[View, ...] = ("x0_hat", "x_t", "eps_hat", "score", "noise", "change", "guidance")


@dataclass(frozen=True)
class SampleParameters:
    """What can be undone on this page."""

    source: str
    tree: ChainTree

    @property
    def spec(self) -> SampleSpec:
        """Of the track that is shown."""
        return self.tree.spec_of(self.tree.active)


@dataclass(frozen=True, eq=False)
class TracksBegun(events.Event):
    """The records of all tracks; their states become readable one by one."""

    tree: ChainTree
    records: tuple[Trajectory, ...]


@dataclass(frozen=True, eq=False)
class RoughPicture(events.Event):
    """A first picture of the state that is looked at."""

    record: Trajectory
    images: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TrackDone(events.Event):
    """One record is complete."""

    record: Trajectory
    distances: NDArray[np.float64]  # of each estimate to the last one (S, n)


@dataclass(frozen=True)
class ImagesRefused(events.Event):
    """An image that chains are to begin at cannot be read."""

    message: str


@dataclass(frozen=True)
class TrackState:
    """One line of the timeline."""

    label: str
    times: tuple[int, ...]
    parent: int  # −1 for the main chain
    start: int  # number of states that it shares with its parent
    ready: int


@dataclass(frozen=True)
class StepNumbers:
    """The numbers of the step that begins at the shown state."""

    t: int
    s: int
    update: Update
    gamma: float | None = None  # γ_t, where guidance has something to do with the step


@dataclass(frozen=True)
class SampleState:
    """Everything on the Sample page but pictures and curves."""

    parameters: SampleParameters
    choices: tuple[SourceChoice, ...] = ()
    model: str = ""  # title of the denoiser that is shown
    model_step: int = 0
    exact: bool = True  # known in closed form, not learned
    learns_variance: bool = False  # the network says how much noise each pixel gets
    class_names: tuple[str, ...] = ()  # that can be asked for
    guided: bool = False  # whether guided and unguided estimates can be told apart
    total: int = 1000  # T
    times: tuple[int, ...] = ()
    log_snr: tuple[float, ...] = ()
    tracks: tuple[TrackState, ...] = ()
    position: int = 0
    ready: int = 0
    view: View = "x0_hat"
    layout: Layout = "grid"
    sample: int | None = None  # the one whose curves are drawn; None: the mean
    playing: bool = False
    loop: bool = False
    speed: float = 1.0
    busy: bool = False
    doing: str = ""
    megabytes: float = 0.0
    on_disk: bool = False
    device: str = ""
    step: StepNumbers | None = None
    errors: tuple[tuple[str, str], ...] = ()
    notice: Notice | None = None
    can_undo: bool = False
    can_redo: bool = False
