"""Up to four runs over each other: losses, errors by timestep, quality, settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from PySide6.QtWidgets import QCheckBox, QStackedWidget, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.labbook.settings import Setting, settings_of
from diffusion_studio.pages.runs.beside import BesideRow, BesideTable
from diffusion_studio.pages.runs.disk import DiskView
from diffusion_studio.viewmodels.runs.comparison import RunRead
from diffusion_studio.viewmodels.runs.state import MOST
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.enlarge import can_enlarge
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.plots import RUN_LOOKS, Line, LossPlot, Mark, RunCurve, XYPlot

VIEWS = (
    ("loss", tr("Loss"), tr("The loss of every step, as it was minimised")),
    ("errors", tr("Errors by t"), tr("The newest error of ε̂ at every timestep")),
    ("quality", tr("Quality"), tr("How far the samples of the previews are from the training images")),
    ("disk", tr("Disk"), tr("What the chosen runs take on the disk, and what of it can go")),
    ("settings", tr("Settings"), tr("Every parameter, and where the chosen runs differ")),
)
AXES = (
    ("t", "t/T", tr("The errors over t as a share of T: runs of another T can be compared")),
    ("log_snr", "ln SNR", tr("The errors over the signal-to-noise ratio, so that schedules can be compared")),
)


class CompareCard(Card):
    """Passive: it shows the runs that it is given."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._runs: tuple[RunRead, ...] = ()
        self.view, self.axis = Segmented(), Segmented()
        self.view.set_options(VIEWS)
        self.view.setAccessibleName(tr("What of the chosen runs is shown"))
        self.axis.set_options(AXES)
        self.axis.setAccessibleName(tr("Axis of the errors"))
        self.differences = QCheckBox(tr("Only differences"))
        self.differences.setChecked(True)
        self.differences.setToolTip(tr("Between the chosen runs; of a single one, from the defaults"))
        self.loss = LossPlot(tr("Loss, as minimised"))
        self.errors, self.quality = XYPlot(tr("Errors by timestep")), XYPlot(tr("Quality of the samples"))
        self.settings = BesideTable(tr("Settings of the chosen runs"))
        self.disk = DiskView()
        self.views = QStackedWidget()
        for view in (self.loss, self.errors, self.quality, self.disk, self.settings):
            self.views.addWidget(view)
        self.note = ElidedLabel(role="muted")
        head = FlowRow()
        for widget in (self.view, self.axis, self.differences, self.note):
            head.addWidget(widget)
        self.body.addLayout(head)
        self.body.addWidget(self.views, 1)
        can_enlarge(self, tr("Chosen runs"))
        self._say_what_comes()
        self.view.changed.connect(self.show_view)
        self.axis.changed.connect(lambda _: self._show_errors())
        self.differences.toggled.connect(lambda _: self._show_settings())
        self.show_view("loss")

    def _say_what_comes(self) -> None:
        self.loss.set_empty_text(tr("Of the chosen runs no loss is known."))
        self.errors.set_empty_text(tr("Of the chosen runs no error by timestep is known."))
        self.quality.set_empty_text(tr("Of the chosen runs no preview of 64 samples or more was measured."))

    def show_view(self, key: str) -> None:
        """One of `VIEWS`."""
        self.view.set_value(key)
        self.views.setCurrentIndex([view for view, *_ in VIEWS].index(key))
        self.axis.setVisible(key == "errors")
        self.differences.setVisible(key == "settings")
        self._show_settings()

    def show_runs(self, runs: tuple[RunRead, ...], chosen: int) -> None:
        """What these runs have told, of so many that are chosen."""
        self._runs = runs
        self.note.setText(tr("the first {most} of {chosen} chosen runs", most=MOST, chosen=chosen))
        self.note.setVisible(chosen > MOST)
        self._show_loss()
        self._show_errors()
        self._show_quality()
        self._show_settings()
        self.disk.show_runs(runs)

    def _show_loss(self) -> None:
        curves = [RunCurve(r.name, r.losses.steps, r.losses.losses, (), _restarts(r)) for r in self._runs]
        self.loss.set_runs(curves)
        alone = self._runs[0].marks if len(self._runs) == 1 else ()
        self.loss.set_marks([Mark(float(step), text) for step, text in alone])

    def _show_errors(self) -> None:
        by_snr = self.axis.value == "log_snr"
        self.errors.set_axes("ln SNR" if by_snr else "t/T", tr("error of ε̂ by timestep"), y_log=True)
        lines = {}
        for run, (color, dash) in self._looks():
            if (told := run.errors) is not None:
                x = told.log_snr if by_snr else told.errors.t / told.total
                order = np.argsort(x)
                lines[run.name] = Line(x[order], told.errors.error[order], color, dash)
        self.errors.set_lines(lines)

    def _show_quality(self) -> None:
        self.quality.set_axes(tr("step"), tr("Fréchet distance of the samples"))
        lines = {}
        for run, (color, dash) in self._looks():
            if run.quality:
                steps, distances = zip(*((step, found.frechet) for step, found in run.quality), strict=True)
                lines[run.name] = Line(steps, distances, color, dash, dots=True)
        self.quality.set_lines(lines)

    def _show_settings(self) -> None:
        """To name all settings of four runs takes a while, so only where they are looked at."""
        if self.view.value != "settings":
            return
        only = self.differences.isChecked()
        settings = settings_of([run.config for run in self._runs]) if self._runs else ()
        rows = [_row(one, one.differs and not only) for one in settings if one.differs or not only]
        several = len(self._runs) > 1
        alike = (
            tr("The chosen runs have the same settings.") if several else tr("All settings are the defaults.")
        )
        self.settings.show_rows(_names(self._runs), rows, alike if self._runs else tr("Nothing is chosen."))

    def _looks(self) -> Iterator[tuple[RunRead, Any]]:
        return zip(self._runs, RUN_LOOKS, strict=False)


def _row(setting: Setting, marked: bool) -> BesideRow:
    title = f"{setting.title}  {setting.symbol}".rstrip()
    return BesideRow(title, setting.values, f"{setting.help}\n{setting.path}", marked)


def _names(runs: Iterable[RunRead]) -> list[str]:
    return [run.name for run in runs]


def _restarts(run: RunRead) -> tuple[float, ...]:
    """Where another loss is measured from then on."""
    return tuple(float(step) for step, _ in run.marks)
