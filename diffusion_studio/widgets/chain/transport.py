"""Timeline and buttons that move along a reverse chain, as in a video editor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QFrame, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.actions.keys import hint
from diffusion_studio.widgets.chain.button_row import ButtonRow
from diffusion_studio.widgets.chain.ruler import Ruler
from diffusion_studio.widgets.chain.timeline import Timeline
from diffusion_studio.widgets.chain.tracks import Axis, Track
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import GRID, tabular

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_FASTEST = 16


class Transport(QFrame):
    """Shows where one stands in a chain and says where the person wants to go; moves nothing itself."""

    seek_requested = Signal(int)
    step_requested = Signal(int)
    home = Signal()
    end = Signal()
    play_toggled = Signal()
    play_requested = Signal(int)  # times the speed, negative is backwards
    pause_requested = Signal()
    loop_toggled = Signal(bool)
    speed_changed = Signal(float)
    track_requested = Signal(int)  # followed by the state to go to
    rename_requested = Signal(int)
    delete_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None, ruler: Ruler | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self.setAccessibleName(tr("Transport"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._note = ""
        self._factor = 0  # of the last J or L; 0 when paused
        self._timeline = Timeline(self, ruler)
        self._timeline.seek_requested.connect(self._on_dragged)
        self._timeline.track_requested.connect(self.track_requested)
        self._timeline.rename_requested.connect(self.rename_requested)
        self._timeline.delete_requested.connect(self.delete_requested)
        self._where = ElidedLabel(role="muted")
        self._where.setFont(tabular(self._where.font()))
        self._play = self._button("play", hint("play", tr("Play")), self.play_toggled.emit)
        self._play.setProperty("primary", True)
        self._loop = self._button("loop", tr("Play again from the noise at the end"), lambda: None)
        self._loop.setCheckable(True)
        self._loop.toggled.connect(self.loop_toggled)
        self._speed = _SpeedButton(self)
        self._speed.chosen.connect(self.speed_changed)
        self._build()
        self.set_playing(False)
        self._show_where()

    @property
    def position(self) -> int:
        return self._timeline.position

    @property
    def timeline(self) -> Timeline:
        return self._timeline

    def set_times(self, times: Sequence[int]) -> None:
        """The decreasing times of the states, T … 0: one more than there are steps."""
        self._timeline.set_times(times)
        self._show_where()

    def set_position(self, k: int) -> None:
        """Stand at state `k`, 0 is pure noise; without a signal."""
        self._timeline.set_position(k)
        self._show_where()

    def set_ready(self, k: int) -> None:
        """States 0 … k of the main chain are computed."""
        self._timeline.set_ready(k)

    def set_axis(self, axis: Axis, values: Sequence[float] = ()) -> None:
        """Space the states by "t", "step" or, with one finite value for each of the main chain, "log_snr"."""
        self._timeline.set_axis(axis, values)

    def set_tracks(self, tracks: Sequence[Track], active: int) -> None:
        """The main chain and its branches, a lane each; positions are states of track `active`."""
        self._timeline.set_tracks(tracks, active)
        self._show_where()

    def set_compared(self, track: int | None) -> None:
        """Mark the active track A and `track` B; None takes both letters away."""
        self._timeline.set_compared(track)

    def set_playing(self, playing: bool) -> None:
        """Show whether the chain plays; the button then offers the other."""
        if not playing:
            self._factor = 0
        set_icon(self._play, "pause" if playing else "play", "on_accent", 20)
        what = hint("play", tr("Pause") if playing else tr("Play"))
        self._play.setToolTip(what)
        self._play.setAccessibleName(what)

    def set_loop(self, on: bool) -> None:
        self._loop.setChecked(on)

    def set_speed(self, speed: float) -> None:
        """Show `speed`, without a signal. Raises ValueError for one that is not in SPEEDS."""
        self._speed.show_speed(speed)

    def set_note(self, text: str) -> None:
        """More about the present step, behind its number: "12 ms"."""
        self._note = text
        self._show_where()

    def add_action(self, button: QToolButton) -> None:
        """Put `button` at the right end of the row of buttons; it has a drawing and a name."""
        self._row.add_action(button)

    def acts(self) -> dict[str, Act]:
        """What can be done here, by the names of the table of actions."""
        steps = {"step-on": 1, "step-back": -1, "ten-on": 10, "ten-back": -10}
        return {
            **{name: Act(partial(self.step_requested.emit, by)) for name, by in steps.items()},
            "play": Act(self.play_toggled.emit),
            "hold": Act(self.pause_requested.emit),
            "forwards": Act(partial(self._shuttle, 1)),
            "backwards": Act(partial(self._shuttle, -1)),
            "to-first": Act(self.home.emit),
            "to-last": Act(self.end.emit),
        }

    def _shuttle(self, direction: int) -> None:
        """Play that way; twice as fast when it already does."""
        same = self._factor * direction > 0
        self._factor = max(-_FASTEST, min(_FASTEST, self._factor * 2)) if same else direction
        self.play_requested.emit(self._factor)

    def _on_dragged(self, k: int) -> None:
        self._show_where()
        self.seek_requested.emit(k)

    def _show_where(self) -> None:
        times, k = self._timeline.times, self._timeline.position
        words = [tr("step {k} of {last}", k=k, last=self._timeline.last)] if times else []
        if times:
            words.append(f"t = {times[k]} → {times[k + 1]}" if k + 1 < len(times) else f"t = {times[k]}")
        self._where.set_short(words[-1] if words else "")  # where one stands rather than how far
        words += [self._note] if self._note else []
        self._where.setText(" · ".join(words))
        several = len(self._timeline.tracks) > 1
        track = [self._timeline.tracks[self._timeline.active].label] if several else []
        self._timeline.setAccessibleDescription(" · ".join([*filter(None, track), *words]))

    def _build(self) -> None:
        back, on = (partial(self.step_requested.emit, by) for by in (-1, 1))
        moves = (
            self._button("first", hint("to-first", tr("To the noise")), self.home.emit),
            self._button("step-back", hint("step-back", tr("One step back")), back),
            self._play,
            self._button("step-forward", hint("step-on", tr("One step on")), on),
            self._button("last", hint("to-last", tr("To the image")), self.end.emit),
        )
        self._row = ButtonRow(moves, self._where, (self._loop, self._speed))
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 12, 14, 12)
        column.setSpacing(GRID)
        column.addWidget(self._timeline)
        column.addWidget(self._row)

    def _button(self, icon: str, tip: str, act: object) -> QToolButton:
        button = QToolButton(self)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setFixedSize(40, 32)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.clicked.connect(act)
        set_icon(button, icon)
        return button


class _SpeedButton(QToolButton):
    chosen = Signal(float)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setFixedHeight(32)
        self.setMinimumWidth(48)
        self.setToolTip(tr("Speed of playing"))
        self._menu = QMenu(self)
        self._group = QActionGroup(self)
        self._actions = {speed: self._action(speed) for speed in SPEEDS}
        self.setMenu(self._menu)
        self.show_speed(1.0)

    def show_speed(self, speed: float) -> None:
        if speed not in self._actions:
            raise ValueError(f"no speed {speed!r}")
        self._actions[speed].setChecked(True)
        self.setText(_times(speed))
        self.setAccessibleName(tr("Speed {speed:g}", speed=speed))

    def _action(self, speed: float) -> QAction:
        action = self._menu.addAction(_times(speed))
        action.setCheckable(True)
        action.triggered.connect(lambda: self._choose(speed))
        return self._group.addAction(action)

    def _choose(self, speed: float) -> None:
        self.show_speed(speed)
        self.chosen.emit(speed)


def _times(speed: float) -> str:
    return f"{number(speed, 'g')}×"
