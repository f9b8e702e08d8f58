"""The tracks of a reverse chain on one axis: what is computed, where they part, and where one stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolTip, QWidget

from diffusion_studio.widgets.chain.timeline_lanes import LANES, TRACK, LanePainter, bar_height, pitch_of
from diffusion_studio.widgets.chain.tracks import Axis, TimeAxis, Track, checked, nearest, quantity_of
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots.math import lowered

_MARGIN = 10  # room for half a playhead at both ends
_LETTERS = 18  # room for A and B
_TICKS = 24  # top, below the end labels
_LANE_KEYS = {Qt.Key.Key_PageUp: -1, Qt.Key.Key_PageDown: 1}


class Timeline(QWidget):
    """Draws tracks from noise to image, a lane each; the playhead on the active one can be dragged."""

    seek_requested = Signal(int)  # a state of the active track
    track_requested = Signal(int)  # followed by the state to go to
    rename_requested = Signal(int)
    delete_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tracks: tuple[Track, ...] = (Track(()),)
        self._active, self._position = 0, 0
        self._compared: int | None = None
        self._axis: Axis = "t"
        self._values: tuple[float, ...] = ()
        self._scale = TimeAxis()
        self._places: list[float] = []  # of the active track's states, from 0 (noise) to 1 (image)
        self._dragged: float | None = None  # where the playhead is held, in pixels
        self._keyboard = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(160)
        self.setAccessibleName("Timeline")
        theme().changed.connect(self.update)

    @property
    def tracks(self) -> tuple[Track, ...]:
        return self._tracks

    @property
    def active(self) -> int:
        """The number of the track that the playhead stands on."""
        return self._active

    @property
    def times(self) -> tuple[int, ...]:
        """The times of the active track."""
        return self._tracks[self._active].times

    @property
    def position(self) -> int:
        return self._position

    @property
    def last(self) -> int:
        """The index of the active track's last state, the image."""
        return self._tracks[self._active].last

    def set_times(self, times: Sequence[int]) -> None:
        """One track with these decreasing times, T … 0; keeps the axis, goes back to the first state."""
        self._position, self._compared = 0, None
        self.set_tracks([Track(tuple(times))], 0)

    def set_tracks(self, tracks: Sequence[Track], active: int) -> None:
        """Draw `tracks`, the main chain first, a lane each; the playhead stands on number `active`.

        Keeps the axis, but for log SNR of other times, and the position's number.
        Raises ValueError for no track, an unknown `active`, or a parent that does not come before.
        """
        if not 0 <= active < len(tracks):
            raise ValueError(f"no track {active} among {len(tracks)}")
        before, self._tracks, self._active = self._tracks[0].times, checked(tracks), active
        if self._compared is not None and self._compared >= len(tracks):
            self._compared = None
        same = self._axis != "log_snr" or before == self._tracks[0].times
        self.set_axis(self._axis if same else "t", self._values)
        self.set_position(self._position)
        if self.height() != (height := self.sizeHint().height()):
            self.setFixedHeight(height)

    def set_axis(self, axis: Axis, values: Sequence[float] = ()) -> None:
        """Space the main chain's states by t, by step number, or by its finite `values` (log SNR).

        Times of other tracks stand between them. Raises ValueError when the number of values is not
        that of the main chain's times.
        """
        times = self._tracks[0].times
        if axis == "t":
            times = tuple(sorted({t for track in self._tracks for t in track.times}, reverse=True))
            values = [-t for t in times]
        elif axis == "step":
            values = range(len(times))
        if len(values) != len(times):
            raise ValueError(f"{len(values)} places for {len(times)} states")
        self._axis, self._values = axis, tuple(values) if axis == "log_snr" else ()
        self._scale = TimeAxis(times, values)
        self._places = self._scale.places(self.times)
        self.update()

    def set_position(self, k: int) -> None:
        """Stand at state `k` of the active track."""
        self._position = min(max(k, 0), self.last)
        self.update()

    def set_ready(self, k: int) -> None:
        """States 0 … k of the main chain are computed; -1 for none."""
        main = self._tracks[0]
        self._tracks = (replace(main, ready=min(max(k, -1), main.last)), *self._tracks[1:])
        self.update()

    def set_compared(self, track: int | None) -> None:
        """Mark the active track A and `track` B; None takes both letters away."""
        self._compared = track if track is not None and 0 <= track < len(self._tracks) else None
        self.update()

    # places

    def x_at(self, t: float) -> float:
        """Where time `t` stands, in pixels."""
        return _MARGIN + self._scale.place(t) * self._span()

    def x_of(self, k: int) -> float:
        """Where state `k` of the active track stands, in pixels."""
        return _MARGIN + (self._places[k] if self._places else 0.0) * self._span()

    def index_at(self, x: float) -> int:
        """The state of the active track nearest to `x` pixels."""
        return nearest(self._places, (x - _MARGIN) / max(1, self._span()))

    def lane_at(self, y: float) -> int | None:
        """The number of the track whose lane is at `y` pixels; None above and below them."""
        lane = int((y - TRACK + 4) // pitch_of(len(self._tracks)))
        return lane if 0 <= lane < len(self._tracks) else None

    def lane_top(self, lane: int) -> float:
        """The top of the bar of a track, in pixels."""
        return TRACK + lane * pitch_of(len(self._tracks))

    def _span(self) -> int:
        return self.width() - 2 * _MARGIN - (_LETTERS if self._compared is not None else 0)

    def sizeHint(self) -> QSize:
        below = 8 if len(self._tracks) > 1 or self._tracks[0].label else 0  # for the label of the last
        lanes = min(len(self._tracks), LANES) - 1
        return QSize(480, round(self.lane_top(0) + pitch_of(1) * lanes) + 18 + below)

    # what a person does

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self.times:
            return
        lane, x = self.lane_at(event.position().y()), event.position().x()
        if lane is None or lane == self._active:
            self._drag(x)
        else:
            self._go_to(lane, x)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragged is not None:
            self._drag(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._dragged = None
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        lane = self._active + _LANE_KEYS.get(key, 0)
        if key in _LANE_KEYS and 0 <= lane < len(self._tracks):
            self._go_to(lane, self.x_of(self._position))
            self._dragged = None
        elif key == Qt.Key.Key_F2 and self.times:
            self.rename_requested.emit(self._active)
        elif key == Qt.Key.Key_Delete and self._active > 0:
            self.delete_requested.emit(self._active)
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        lane = self._active if by_key else self.lane_at(event.pos().y())
        if lane is None or not self.times:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Rename …\tF2", lambda: self.rename_requested.emit(lane))
        delete = menu.addAction("Delete\tDel", lambda: self.delete_requested.emit(lane))
        delete.setEnabled(lane > 0)  # the main chain stays
        menu.popup(event.globalPos())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            lane = self.lane_at(event.pos().y()) if self.times else None
            area = QRect() if lane is None else QRect(0, event.pos().y() - 4, self.width(), 8)
            QToolTip.showText(event.globalPos(), "" if lane is None else self._about(lane), self, area)
            return True
        return super().event(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._keyboard = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._keyboard = False
        self.update()

    def _go_to(self, lane: int, x: float) -> None:
        """Ask for the track `lane` and for its state nearest to `x`."""
        self._active = lane
        self._places = self._scale.places(self.times)
        self._position = self.index_at(x)
        asked = self._position
        self.track_requested.emit(lane)
        self._dragged = min(max(x, self.x_of(0)), self.x_of(self.last))
        self.set_position(asked)
        self.seek_requested.emit(asked)

    def _drag(self, x: float) -> None:
        """The head follows the pointer; the state nearest to it is asked for once."""
        self._dragged = min(max(x, self.x_of(0)), self.x_of(self.last))
        before, self._position = self._position, self.index_at(x)
        if self._position != before:
            self.seek_requested.emit(self._position)
        self.update()

    def _about(self, lane: int) -> str:
        track = self._tracks[lane]
        words = [track.label or ("main chain" if lane == 0 else f"track {lane}")]
        words += [f"leaves at t = {track.leaves}"] if lane else []
        words.append(f"{track.ready + 1} of {len(track.times)} states computed")
        return lowered(" · ".join(words))

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_ends(painter)
        if self.times:
            self._draw_ticks(painter)
            lanes = LanePainter(painter, self._tracks, self._active, self.x_at, _MARGIN)
            lanes.draw(right=_MARGIN + self._span())
            self._draw_letters(painter)
            self._draw_playhead(painter)
        painter.end()

    def _draw_ends(self, painter: QPainter) -> None:
        painter.setPen(QColor(theme().palette.muted))
        room = QRectF(_MARGIN, 0, self._span(), 18)
        first, last = (self.times[0], self.times[-1]) if self.times else ("T", 0)
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft, f"noise   t = {first}")
        painter.drawText(room, Qt.AlignmentFlag.AlignRight, f"t = {last}   image")

    def _draw_ticks(self, painter: QPainter) -> None:
        colors = theme().palette
        spacing = self._span() / max(1, self.last)
        every = next((n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n * spacing >= 4), 1000)
        major = every * (5 if every in (2, 20, 200) else 10)
        for k in range(0, len(self.times), every):
            long = k % major == 0 or k == self.last
            painter.setPen(QPen(QColor(colors.muted if long else colors.faint), 1))
            x = round(self.x_of(k)) + 0.5
            painter.drawLine(QPointF(x, _TICKS if long else _TICKS + 3), QPointF(x, _TICKS + 9))

    def _draw_letters(self, painter: QPainter) -> None:
        if self._compared is None:
            return
        font = painter.font()
        font.setBold(True)
        painter.save()
        painter.setFont(font)
        for letter, lane in (("A", self._active), ("B", self._compared)):
            top = self.lane_top(lane) + bar_height(len(self._tracks)) / 2 - 8
            side = 0 if letter == "A" or lane != self._active else 9
            painter.setPen(QColor(theme().palette.ink(quantity_of(lane))))
            room = QRectF(_MARGIN + self._span() + 6 + side, top, 16, 16)
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, letter)
        painter.restore()

    def _draw_playhead(self, painter: QPainter) -> None:
        colors = theme().palette
        x = self.x_of(self._position) if self._dragged is None else self._dragged
        bottom = self.lane_top(self._active) + bar_height(len(self._tracks)) + 2
        painter.setPen(QPen(QColor(colors.text), 2))
        painter.drawLine(QPointF(x, _TICKS), QPointF(x, bottom))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.accent if self._keyboard else colors.text))
        head = [(-6, -8), (6, -8), (6, -2), (0, 5), (-6, -2)]
        painter.drawPolygon(QPolygonF([QPointF(x + dx, _TICKS + dy) for dx, dy in head]))
