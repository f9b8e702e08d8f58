"""The per-timestep panel: four curves over t, their axis, a slider through the training, and a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.forms.slider import ThinSlider
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.theme import label, tabular
from diffusion_studio.widgets.plots.timestep import Axis, TimestepPlot

AXES = (
    ("t", "t", tr("Timestep, image on the left")),
    ("step", tr("step"), tr("Reverse step, from noise to image")),
    ("log_snr", "log SNR", tr("Signal-to-noise ratio, ln")),
)
HEIGHTS = (("linear", "lin", tr("Linear heights")), ("log", "log", tr("Logarithmic heights")))
FROZEN, NOTHING = "freeze", ""
_LOOK_BACK = tr("Look back at the errors of earlier steps")


class TimestepPanel(QWidget):
    """The plot with what steers it; it shows what it is given."""

    axis_changed = Signal(str)
    moment_changed = Signal(int)  # index into the history
    compare_requested = Signal(str)  # "freeze", "" for nothing, or a choice's key
    choices_requested = Signal()  # the menu opens: `set_choices` may follow

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = TimestepPlot()
        self.axis = Segmented(tr("Axis of the timesteps"))
        self.heights = Segmented(tr("Scale of the heights"))
        self.axis.set_options(AXES)
        self.heights.set_options(HEIGHTS)
        self.compare = QToolButton()
        self.compare.setText(tr("Compare"))
        self.compare.setToolTip(tr("Hold this moment, or lay another run over it"))
        self.compare.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.compare.setMenu(QMenu(self.compare))
        self.compare.menu().aboutToShow.connect(self.choices_requested)
        both = QWidget()  # they stand beside each other, or neither beside the legend
        both.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        row = FlowRow(both)
        for widget in (self.heights, self.axis):
            row.addWidget(widget)
        self.plot.add_header_widget(both)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.plot, 1)
        column.addLayout(self._build_history())
        self.axis.changed.connect(self._change_axis)
        self.heights.changed.connect(lambda key: self.plot.set_log(key == "log"))
        self.set_choices([])
        self.set_history([], [])

    def _build_history(self) -> FlowRow:
        self.history = ThinSlider()
        self.history.setAccessibleName(tr("Step of training whose errors are shown"))
        self.history.setToolTip(_LOOK_BACK)
        self.history.valueChanged.connect(self._move)
        self.moment = ElidedLabel(role="muted")
        self.moment.setFont(tabular(self.moment.font()))
        self.history.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        row = FlowRow()
        for widget in (
            label(tr("first"), "muted"), self.history, label(tr("now"), "muted"), self.moment, self.compare,
        ):  # fmt: skip
            row.addWidget(widget)
        return row

    # what it shows

    def set_choices(self, choices: Sequence[tuple[str, str]]) -> None:
        """What can be compared with: (key, name) of other runs."""
        menu = self.compare.menu()
        menu.clear()
        for key, name in ((FROZEN, tr("Hold this moment")), *choices, (NOTHING, tr("Compare with nothing"))):
            if key == NOTHING or (choices and key == choices[0][0]):
                menu.addSeparator()
            action = QAction(name, menu)
            action.triggered.connect(lambda _=False, key=key: self.compare_requested.emit(key))
            menu.addAction(action)

    def set_history(self, steps: Sequence[int], marks: Sequence[tuple[int, str]]) -> None:
        """The steps of training at which the errors are known, and what was changed when."""
        follows = self.follows
        self._steps, self._marks = list(steps), list(marks)
        self.history.blockSignals(True)
        self.history.setRange(0, max(len(steps) - 1, 0))
        self.history.setEnabled(len(steps) > 1)
        if follows:
            self.history.setValue(self.history.maximum())
        self.history.blockSignals(False)
        self._say()

    @property
    def follows(self) -> bool:
        """Whether the newest errors are shown as they come."""
        return self.history.value() >= self.history.maximum()

    @property
    def shown_axis(self) -> Axis:
        chosen = self.axis.value
        return "log_snr" if chosen == "log_snr" else "step" if chosen == "step" else "t"

    def set_axis(self, axis: str) -> None:
        self.axis.set_value(axis)
        self._change_axis(axis)

    def _change_axis(self, axis: str) -> None:
        self.plot.set_axis(self.shown_axis)
        self.axis_changed.emit(axis)

    def _move(self, index: int) -> None:
        self._say()
        self.moment_changed.emit(index)

    def _say(self) -> None:
        """The shown step, and the newest change before it."""
        if not self._steps:
            self.moment.setText("")
            return
        step = self._steps[min(self.history.value(), len(self._steps) - 1)]
        changed = [(at, text) for at, text in self._marks if at <= step]
        since = ""
        if changed:
            since = tr(" · from step {step:,}: {change}", step=changed[-1][0], change=changed[-1][1])
        self.moment.setText(tr("step {step:,}", step=step))
        self.history.setToolTip(f"{_LOOK_BACK}{since}")
