"""What runs take on the disk, and what of it can go."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.labbook.disk import OLDER, PARTS
from diffusion_studio.pages.runs.beside import BesideRow, BesideTable
from diffusion_studio.pages.runs.trash import megabytes
from diffusion_studio.viewmodels.runs.comparison import RunRead
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.theme import label


class DiskView(QWidget):
    """Passive. What deletes asks to be pressed twice, since it cannot be undone."""

    drop_requested = Signal(object)  # Path of a run whose older checkpoints are to go

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table, self.free = BesideTable(tr("Disk use of the chosen runs")), label("", "muted")
        self.drop = QPushButton()
        self.drop.setToolTip(tr("The newest checkpoint stays, so the run can be used and resumed as before"))
        self._run: Path | None = None
        self._sure = False  # the next press deletes
        column, row = QVBoxLayout(self), FlowRow()
        column.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.free)
        row.add_stretch()
        row.addWidget(self.drop)
        column.addWidget(self.table, 1)
        column.addLayout(row)
        self.drop.clicked.connect(self._drop)
        self.show_runs(())

    def show_runs(self, runs: tuple[RunRead, ...]) -> None:
        """These runs; checkpoints are deleted of a single one."""
        rows = [
            BesideRow(part, tuple(megabytes(run.disk[part]) for run in runs))
            for part in PARTS
            if any(run.disk[part] for run in runs)
        ]
        total = BesideRow(tr("in all"), tuple(megabytes(sum(run.disk.values())) for run in runs), marked=True)
        self.table.show_rows(
            [run.name for run in runs], [*rows, total] if runs else [], tr("Nothing is chosen.")
        )
        self.free.setText(tr("{free:,.1f} GB are free", free=runs[-1].free / 1e9) if runs else "")
        alone = runs[0] if len(runs) == 1 and runs[0].disk[OLDER] else None
        self._run, self._size = (alone.path, alone.disk[OLDER]) if alone is not None else (None, 0)
        self.drop.setEnabled(self._run is not None)
        self._ask(False)

    def _ask(self, sure: bool) -> None:
        self._sure = sure
        really = tr("Really delete {size} of checkpoints?", size=megabytes(self._size))
        self.drop.setText(really if sure else tr("Delete older checkpoints"))

    def _drop(self) -> None:
        if self._sure and self._run is not None:
            self.drop_requested.emit(self._run)
        self._ask(not self._sure)
