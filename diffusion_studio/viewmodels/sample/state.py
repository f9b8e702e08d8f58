"""What the Sample page shows: one frozen value, with a part for each thing behind the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from diffusion_studio.core.words import tr
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.views import View
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.sample.chain_views import ChainCurves, ChainFacts, Frame, StepNumbers, Strip
from diffusion_studio.viewmodels.sample.sources import SourceChoice

Layout = Literal["grid", "strip", "guided"]
VIEWS: tuple[View, ...] = ("x0_hat", "x_t", "eps_hat", "score", "noise", "change", "forward", "guidance")


@dataclass(frozen=True)
class SampleParameters:
    """What can be undone on this page."""

    source: str
    tree: ChainTree

    @property
    def spec(self) -> SampleSpec:
        """Of the track that is shown."""
        return self.tree.spec_of(self.tree.active)


@dataclass(frozen=True)
class TreeState:
    """What a person asks for."""

    parameters: SampleParameters
    errors: tuple[tuple[str, str], ...] = ()  # parameter, sentence
    can_undo: bool = False
    can_redo: bool = False


@dataclass(frozen=True)
class TrackState:
    """One line of the timeline."""

    label: str
    times: tuple[int, ...]
    parent: int  # −1 for the main chain
    start: int  # number of states that it shares with its parent
    ready: int


@dataclass(frozen=True)
class ChainsState:
    """The chains that are shown, and how far they have come."""

    facts: ChainFacts = field(default_factory=ChainFacts)  # of the track that is shown
    tracks: tuple[TrackState, ...] = ()
    ready: int = 0  # states of the track that is shown
    complete: bool = False  # all of them
    busy: bool = False
    doing: str = ""
    source: str = ""  # the denoiser whose chains these are


@dataclass(frozen=True)
class PlayerState:
    """Where in the chain a person stands, and how it is played."""

    position: int = 0
    place: float = 0.0  # t as a share of T, 0 at the image
    playing: bool = False
    loop: bool = False
    speed: float = 1.0


@dataclass(frozen=True)
class PicturesState:
    """What is seen of the chain."""

    view: View = "x0_hat"
    layout: Layout = "grid"
    sample: int | None = None  # the one whose curves are drawn; None: the mean
    frame: Frame | None = None
    strip: Strip | None = None  # the last one that was looked at
    curves: ChainCurves | None = None
    step: StepNumbers | None = None  # None at the image
    old: bool = False  # the frame is of chains that are not on show any more


@dataclass(frozen=True)
class SampleState:
    """Everything on the Sample page but what is worked out beside the chain."""

    tree: TreeState
    chains: ChainsState = field(default_factory=ChainsState)
    player: PlayerState = PlayerState()
    pictures: PicturesState = PicturesState()
    choices: tuple[SourceChoice, ...] = ()
    device: str = ""
    notice: Notice | None = None

    @property
    def parameters(self) -> SampleParameters:
        return self.tree.parameters

    @property
    def spec(self) -> SampleSpec:
        """Of the track that is shown."""
        return self.tree.parameters.spec

    @property
    def source(self) -> str:
        """What the denoiser that is asked for is called."""
        key = self.parameters.source
        return next((choice.title for choice in self.choices if choice.key == key), key)

    @property
    def opens_another(self) -> bool:
        """Whether the chains on show are of another denoiser than the one that is asked for."""
        chains = self.chains
        return chains.busy and chains.source not in ("", self.parameters.source)

    @property
    def progress(self) -> str:
        """How far the chain has come that is computed; "" where none is."""
        chains, steps = self.chains, max(len(self.chains.facts.times) - 1, 0)
        if self.opens_another:
            return tr("Opening {source} …", source=self.source)
        if not steps or chains.complete:
            return ""
        done = max(chains.ready - 1, 0)
        if chains.busy:
            return tr("computing {done} of {steps}", done=done, steps=steps)
        return tr("stopped at {done} of {steps}", done=done, steps=steps)
