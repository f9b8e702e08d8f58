"""The tracks of a reverse chain on one axis: what is computed, where they part, and where one stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolTip, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.chain.ruler import Ruler, TimeRuler
from diffusion_studio.widgets.chain.timeline_lanes import LanePainter
from diffusion_studio.widgets.chain.timeline_marks import paint_letters, paint_playhead
from diffusion_studio.widgets.chain.timeline_plan import MARGIN, TimelinePlan
from diffusion_studio.widgets.chain.tracks import Axis, TimeAxis, Track, checked
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots.math import lowered

_LANE_KEYS = {Qt.Key.Key_PageUp: -1, Qt.Key.Key_PageDown: 1}


class Timeline(QWidget):
    """Draws tracks from noise to image, a lane each; the playhead on the active one can be dragged."""

    seek_requested = Signal(int)  # a state of the active track
    track_requested = Signal(int)  # followed by the state to go to
    rename_requested = Signal(int)
    delete_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None, ruler: Ruler | None = None) -> None:
        super().__init__(parent)
        self._ruler = ruler or TimeRuler()
        self._plan = TimelinePlan()  # but for the width
        self._axis: Axis = "t"
        self._values: tuple[float, ...] = ()
        self._position = 0
        self._dragged: float | None = None  # where the playhead is held, in pixels
        self._keyboard = False
        self._named = False  # whether tracks have names, and branches that can be deleted
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(160)
        self.setAccessibleName(tr("Timeline"))
        theme().changed.connect(self.update)

    # --- what is shown ----------------------------------------------------------------------------------

    @property
    def plan(self) -> TimelinePlan:
        """Where everything stands."""
        return replace(self._plan, width=self.width())

    @property
    def tracks(self) -> tuple[Track, ...]:
        return self._plan.tracks

    @property
    def active(self) -> int:
        """The number of the track that the playhead stands on."""
        return self._plan.active

    @property
    def times(self) -> tuple[int, ...]:
        """The times of the active track."""
        return self._plan.track.times

    @property
    def position(self) -> int:
        return self._position

    @property
    def last(self) -> int:
        """The index of the active track's last state, the image."""
        return self._plan.track.last

    def set_times(self, times: Sequence[int]) -> None:
        """One track with these decreasing times, T … 0; keeps the axis, goes back to the first state."""
        self._position = 0
        self.set_compared(None)
        self.set_tracks([Track(tuple(times))], 0)
        self._named = False

    def set_tracks(self, tracks: Sequence[Track], active: int) -> None:
        """Draw `tracks`, the main chain first, a lane each; the playhead stands on number `active`.

        Keeps the axis, but for log SNR of other times, and the position's number.
        Raises ValueError for no track, an unknown `active`, or a parent that does not come before.
        """
        if not 0 <= active < len(tracks):
            raise ValueError(f"no track {active} among {len(tracks)}")
        self._named = True
        before = self.tracks[0].times
        self._plan = replace(self._plan, tracks=checked(tracks), active=active)
        self.set_compared(self._plan.compared)  # it may be gone
        same = self._axis != "log_snr" or before == self.tracks[0].times
        self.set_axis(self._axis if same else "t", self._values)
        self.set_position(self._position)
        if self.height() != self._plan.height:
            self.setFixedHeight(self._plan.height)

    def set_axis(self, axis: Axis, values: Sequence[float] = ()) -> None:
        """Space the main chain's states by t, by step number, or by its finite `values` (log SNR).

        Times of other tracks stand between them. Raises ValueError when the number of values is not
        that of the main chain's times.
        """
        times = self.tracks[0].times
        if axis == "t":
            times = tuple(sorted({t for track in self.tracks for t in track.times}, reverse=True))
            values = [-t for t in times]
        elif axis == "step":
            values = range(len(times))
        if len(values) != len(times):
            raise ValueError(f"{len(values)} places for {len(times)} states")
        self._axis, self._values = axis, tuple(values) if axis == "log_snr" else ()
        self._plan = replace(self._plan, scale=TimeAxis(times, values)).placed(self.active)
        self.update()

    def set_position(self, k: int) -> None:
        """Stand at state `k` of the active track."""
        self._position = min(max(k, 0), self.last)
        self.update()

    def set_ready(self, k: int) -> None:
        """States 0 … k of the main chain are computed; -1 for none."""
        main, *others = self.tracks
        ready = replace(main, ready=min(max(k, -1), main.last))
        self._plan = replace(self._plan, tracks=(ready, *others))
        self.update()

    def set_compared(self, track: int | None) -> None:
        """Mark the active track A and `track` B; None takes both letters away."""
        known = track is not None and 0 <= track < len(self.tracks)
        self._plan = replace(self._plan, compared=track if known else None)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(480, self._plan.height)

    # --- what a person does -----------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self.times:
            return
        lane, x = self._plan.lane_at(event.position().y()), event.position().x()
        if lane is None or lane == self.active:
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
        lane = self.active + _LANE_KEYS.get(key, 0)
        if key in _LANE_KEYS and 0 <= lane < len(self.tracks):
            self._go_to(lane, self.plan.x_of(self._position))
            self._dragged = None
        elif key == Qt.Key.Key_F2 and self.times and self._named:
            self.rename_requested.emit(self.active)
        elif key == Qt.Key.Key_Delete and self.active > 0:
            self.delete_requested.emit(self.active)
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        lane = self.active if by_key else self._plan.lane_at(event.pos().y())
        if lane is None or not self.times or not self._named:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("Rename …\tF2"), lambda: self.rename_requested.emit(lane))
        delete = menu.addAction(tr("Delete\tDel"), lambda: self.delete_requested.emit(lane))
        delete.setEnabled(lane > 0)  # the main chain stays
        menu.popup(event.globalPos())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            lane = self._plan.lane_at(event.pos().y()) if self.times else None
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
        self._plan = self._plan.placed(lane)
        asked = self._position = self.plan.index_at(x)
        self.track_requested.emit(lane)
        self._dragged = self.plan.within(x)
        self.set_position(asked)
        self.seek_requested.emit(asked)

    def _drag(self, x: float) -> None:
        """The head follows the pointer; the state nearest to it is asked for once."""
        self._dragged = self.plan.within(x)
        before, self._position = self._position, self.plan.index_at(x)
        if self._position != before:
            self.seek_requested.emit(self._position)
        self.update()

    def _about(self, lane: int) -> str:
        track = self.plan.tracks[lane]
        words = [track.label or (tr("main chain") if lane == 0 else tr("track {number}", number=lane))]
        words += [tr("leaves at t = {t}", t=track.leaves)] if lane else []
        done, total = track.ready + 1, len(track.times)
        words.append(tr("{done} of {total} states computed", done=done, total=total))
        return lowered(" · ".join(words))

    # --- painting ---------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        plan = self.plan
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._ruler.paint(painter, plan)
        if plan.track.times:
            lanes = LanePainter(painter, plan.tracks, plan.active, plan.x_at, MARGIN)
            lanes.draw(right=MARGIN + plan.span)
            paint_letters(painter, plan)
            x = plan.x_of(self._position) if self._dragged is None else self._dragged
            paint_playhead(painter, plan, x, self._keyboard)
        painter.end()
