"""Where everything on a timeline stands, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from diffusion_studio.widgets.chain.timeline_lanes import LANES, TRACK, bar_height, pitch_of
from diffusion_studio.widgets.chain.tracks import TimeAxis, Track, nearest

MARGIN = 10  # room for half a playhead at both ends
_LETTERS = 18  # room for A and B


@dataclass(frozen=True, eq=False)
class TimelinePlan:
    """Tracks on one axis, a lane each."""

    tracks: tuple[Track, ...] = (Track(()),)
    active: int = 0  # the track that the playhead stands on
    compared: int | None = None  # the track that is B beside it
    scale: TimeAxis = field(default_factory=TimeAxis)
    places: Sequence[float] = ()  # of the active track's states, from 0 (noise) to 1 (image)
    width: int = 0  # of the widget

    def placed(self, active: int) -> TimelinePlan:
        """The same with the playhead on another track."""
        return replace(self, active=active, places=self.scale.places(self.tracks[active].times))

    @property
    def track(self) -> Track:
        """The active one."""
        return self.tracks[self.active]

    @property
    def span(self) -> int:
        """From noise to image."""
        return self.width - 2 * MARGIN - (_LETTERS if self.compared is not None else 0)

    @property
    def bar(self) -> float:
        """How high a bar is."""
        return bar_height(len(self.tracks))

    @property
    def height(self) -> int:
        """Room for all lanes, and for the label of the last."""
        below = 8 if len(self.tracks) > 1 or self.tracks[0].label else 0
        lanes = min(len(self.tracks), LANES) - 1
        return round(self.lane_top(0) + pitch_of(1) * lanes) + 18 + below

    def x_at(self, t: float) -> float:
        """Where time `t` stands."""
        return MARGIN + self.scale.place(t) * self.span

    def x_of(self, k: int) -> float:
        """Where state `k` of the active track stands."""
        return MARGIN + (self.places[k] if self.places else 0.0) * self.span

    def within(self, x: float) -> float:
        """The place nearest to `x` that the playhead can reach."""
        return min(max(x, self.x_of(0)), self.x_of(self.track.last))

    def index_at(self, x: float) -> int:
        """The state of the active track nearest to `x`."""
        return nearest(self.places, (x - MARGIN) / max(1, self.span))

    def lane_at(self, y: float) -> int | None:
        """The number of the track whose lane is at `y`; None above and below them."""
        lane = int((y - TRACK + 4) // pitch_of(len(self.tracks)))
        return lane if 0 <= lane < len(self.tracks) else None

    def lane_top(self, lane: int) -> float:
        """The top of the bar of a track."""
        return TRACK + lane * pitch_of(len(self.tracks))
