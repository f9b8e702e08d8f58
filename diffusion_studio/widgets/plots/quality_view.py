"""How near samples come to the training images: one preview in numbers, the distance over training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.widgets.look.theme import label, tabular
from diffusion_studio.widgets.plots.legend import LegendEntry, Mark
from diffusion_studio.widgets.plots.loss import LossPlot, RunCurve


@dataclass(frozen=True)
class Measures:
    """The measures of the samples of one step; `real` are those of as many real images, `noise` of noise."""

    step: int
    count: int
    frechet: float
    real_frechet: float
    real_spread: float
    precision: float
    real_precision: float
    recall: float
    real_recall: float
    nearest: float
    real_nearest: float
    noise: tuple[float, float, float, float]  # distance, precision, recall, nearest


class DistancePlot(LossPlot):
    """The Fréchet distance of the previews over training, beside the one of real images."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Fréchet distance"), decay=0.0, parent=parent)
        self.spare_the_training()
        self.setAccessibleName(tr("Fréchet distance over the steps of training"))

    def _area(self, *_: object, **__: object) -> None:
        """No band: each value is one preview."""

    def _entries(self) -> list[LegendEntry]:
        dash = Qt.PenStyle.DashLine
        return [
            LegendEntry(self._title), LegendEntry(tr("samples"), "eps", sample=True),
            LegendEntry(tr("real images"), "sky", dash, True),
        ]  # fmt: skip


class QualityView(QWidget):
    """Passive: it shows what it is given."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = DistancePlot()
        self.plot.setFixedHeight(132)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.plot, 1)
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(0, 1)
        self._head = label("", "muted")
        grid.addWidget(self._head, 0, 2, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(label(tr("noise"), "muted"), 0, 3, Qt.AlignmentFlag.AlignRight)
        self._cells = []
        for row, name in enumerate(
            (tr("Fréchet distance"), tr("precision"), tr("recall"), tr("nearest training image")), 1
        ):
            cells = label(), label("", "muted"), label("", "muted")
            for cell in cells:
                cell.setFont(tabular(cell.font()))
                cell.setAlignment(Qt.AlignmentFlag.AlignRight)
            grid.addWidget(label(name, "muted"), row, 0)
            for place, cell in enumerate(cells, start=1):
                grid.addWidget(cell, row, place)
            self._cells.append(cells)
        column.addLayout(grid)

    def set_history(self, history: Sequence[Measures], marks: Sequence[tuple[int, str]]) -> None:
        """Draw the distance of every preview."""
        steps = [m.step for m in history]
        self.plot.set_marks([Mark(float(step), "") for step, _ in marks])
        self.plot.set_runs([
            RunCurve(tr("samples"), steps, [m.frechet for m in history]),
            RunCurve(tr("real images"), steps, [m.real_frechet for m in history]),
        ] if steps else [])  # fmt: skip

    def show_measures(self, m: Measures | None) -> None:
        """Say the numbers of one preview; None hides them."""
        self.setVisible(m is not None)
        if m is None:
            return
        self._head.setText(tr("{count} real", count=m.count))
        self._head.setToolTip(
            tr(
                "The same measures for {count} real images against the others. With so few, every number is "
                "rough: compare it with this column and that of noise, the two ends of the scale, not with "
                "figures from elsewhere.",
                count=m.count,
            )
        )
        rows = (
            (_short(m.frechet), f"{_short(m.real_frechet)} ± {_short(m.real_spread)}"),
            (_short(m.precision), _short(m.real_precision)),
            (_short(m.recall), _short(m.real_recall)),
            (_short(m.nearest), _short(m.real_nearest)),
        )
        for cells, texts, noise in zip(self._cells, rows, m.noise, strict=True):
            for cell, text in zip(cells, (*texts, _short(noise)), strict=True):
                cell.setText(text)


def _short(value: float) -> str:
    return number(value, ".2f")
