"""Timeline, buttons and keys that move along a reverse chain, as in a video editor."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFrame,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QSizePolicy,
    QTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from diffusion_studio.widgets.chain.button_row import ButtonRow
from diffusion_studio.widgets.chain.ruler import Ruler
from diffusion_studio.widgets.chain.timeline import Timeline
from diffusion_studio.widgets.chain.tracks import Axis, Track
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import GRID, tabular

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_FASTEST = 16
_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: 10, Qt.Key.Key_Down: -10}
_ARROWS = frozenset(_STEPS) | {Qt.Key.Key_Home, Qt.Key.Key_End}
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_TEXT_FIELDS = (QLineEdit, QAbstractSpinBox, QPlainTextEdit, QTextEdit)
_ARROW_FIELDS = (QAbstractSlider, QAbstractItemView, QComboBox)


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
        self.setAccessibleName("Transport")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._note = ""
        self._factor = 0  # of the last J or L; 0 when paused
        self._keys: _PageKeys | None = None
        self._timeline = Timeline(self, ruler)
        self._timeline.seek_requested.connect(self._on_dragged)
        self._timeline.track_requested.connect(self.track_requested)
        self._timeline.rename_requested.connect(self.rename_requested)
        self._timeline.delete_requested.connect(self.delete_requested)
        self._where = ElidedLabel(role="muted")
        self._where.setFont(tabular(self._where.font()))
        self._play = self._button("play", "Play (Space)", self.play_toggled.emit)
        self._play.setProperty("primary", True)
        self._loop = self._button("loop", "Play again from the noise at the end", lambda: None)
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
        what = "Pause (Space)" if playing else "Play (Space)"
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

    def install_on(self, page: QWidget) -> None:
        """Take this transport's keys wherever in `page` the focus is, except in fields that need them."""
        if page.focusPolicy() == Qt.FocusPolicy.NoFocus:
            page.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._keys = _PageKeys(self, page)

    def handle_key(self, event: QKeyEvent) -> bool:
        """Do what the key asks for; whether it was one of ours."""
        if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            return False
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self.play_toggled.emit()
        elif key in _STEPS:
            self.step_requested.emit(_STEPS[key])
        elif key in (Qt.Key.Key_J, Qt.Key.Key_L):
            self._shuttle(1 if key == Qt.Key.Key_L else -1)
        else:
            plain = {
                Qt.Key.Key_Home: self.home,
                Qt.Key.Key_End: self.end,
                Qt.Key.Key_K: self.pause_requested,
            }
            if key not in plain:
                return False
            plain[key].emit()
        return True

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
        words = [f"step {k} of {self._timeline.last}"] if times else []
        if times:
            words.append(f"t = {times[k]} → {times[k + 1]}" if k + 1 < len(times) else f"t = {times[k]}")
        words += [self._note] if self._note else []
        self._where.setText(" · ".join(words))
        several = len(self._timeline.tracks) > 1
        track = [self._timeline.tracks[self._timeline.active].label] if several else []
        self._timeline.setAccessibleDescription(" · ".join([*filter(None, track), *words]))

    def _build(self) -> None:
        moves = (
            self._button("first", "To the noise (Home)", self.home.emit),
            self._button("step-back", "One step back (←)", lambda: self.step_requested.emit(-1)),
            self._play,
            self._button("step-forward", "One step on (→)", lambda: self.step_requested.emit(1)),
            self._button("last", "To the image (End)", self.end.emit),
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
        self.setToolTip("Speed of playing")
        self._menu = QMenu(self)
        self._group = QActionGroup(self)
        self._actions = {speed: self._action(speed) for speed in SPEEDS}
        self.setMenu(self._menu)
        self.show_speed(1.0)

    def show_speed(self, speed: float) -> None:
        if speed not in self._actions:
            raise ValueError(f"no speed {speed!r}")
        self._actions[speed].setChecked(True)
        self.setText(f"{speed:g}×")
        self.setAccessibleName(f"Speed {speed:g}")

    def _action(self, speed: float) -> QAction:
        action = self._menu.addAction(f"{speed:g}×")
        action.setCheckable(True)
        action.triggered.connect(lambda: self._choose(speed))
        return self._group.addAction(action)

    def _choose(self, speed: float) -> None:
        self.show_speed(speed)
        self.chosen.emit(speed)


class _PageKeys(QObject):
    """Sees the keys of a page before the widget that has the focus, by watching only that one."""

    def __init__(self, transport: Transport, page: QWidget) -> None:
        super().__init__(transport)
        self._transport, self._page = transport, page
        self._watched: QWidget | None = None
        page.installEventFilter(self)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._on_focus)
        self._on_focus(None, QApplication.focusWidget())

    def _on_focus(self, before: QWidget | None, now: QWidget | None) -> None:
        if self._watched is not None and isValid(self._watched):
            self._watched.removeEventFilter(self)
        self._watched = now if now is not None and self._page.isAncestorOf(now) else None
        if self._watched is not None:
            self._watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.KeyPress or not isinstance(event, QKeyEvent):
            return False
        focus = QApplication.focusWidget()
        if belongs_to_field(focus, Qt.Key(event.key())):
            return False
        if event.key() in _ENTER and isinstance(focus, QAbstractButton) and watched is focus:
            focus.click()  # since Space is ours, Enter presses the button
            return True
        return self._transport.handle_key(event)


def belongs_to_field(focus: QWidget | None, key: Qt.Key) -> bool:
    """Whether `focus` needs `key` itself: text fields need all, sliders, lists and the like the arrows."""
    if isinstance(focus, _TEXT_FIELDS) or (isinstance(focus, QComboBox) and focus.isEditable()):
        return True
    keeps = isinstance(focus, _ARROW_FIELDS) or bool(focus is not None and focus.property("keepsArrows"))
    return keeps and key in _ARROWS
