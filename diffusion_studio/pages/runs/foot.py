"""What can be done with the run that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND
from diffusion_studio.engine.runs.trash import Trashed
from diffusion_studio.pages.runs.trash import in_words
from diffusion_studio.viewmodels.queue import QueueState
from diffusion_studio.viewmodels.runs.summary import RunSummary
from diffusion_studio.widgets.actions.keys import hint

EXPORTS = (  # what, the ending of its name, filters
    (tr("Model for diffusers …"), "", tr("Folder (*)")),
    (tr("Network as ONNX …"), "onnx", "ONNX (*.onnx)"),
    (tr("Film of its training …"), "gif", "GIF (*.gif);;WebP (*.webp);;APNG (*.apng);;MP4 (*.mp4)"),
)


class RunFoot(QWidget):
    """Passive: buttons that are there for what can be done now."""

    export_requested = Signal(int)  # which of `EXPORTS`
    queue_requested = Signal(bool)  # whether a new run like it is meant, and not going on with it

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sample = QPushButton(tr("Walk through its chain"))
        self.resume = QPushButton(tr("Resume training"))
        self.sample.setProperty("primary", True)
        self.show_curves, self.again = QPushButton(tr("Show its curves")), QPushButton(tr("New run like it"))
        self.again.setToolTip(hint("run-again"))
        self.queue = QPushButton(tr("Queue"))
        self.queue.setToolTip(tr("It trains when those before it have ended"))
        self.export, self.open_folder = QPushButton(tr("Export")), QPushButton(tr("Open its folder"))
        self.trash, self.leave = QPushButton(tr("Move to trash")), QPushButton(tr("Off the list"))
        self.leave.setToolTip(hint("leave-run"))
        self.show_queue = QPushButton(tr("Queue"))
        self.show_queue.setProperty("link", True)
        self.show_queue.setToolTip(hint("show-queue"))
        self.show_queue.hide()
        self.show_trash = QPushButton(tr("Trash"))
        self.show_trash.setProperty("link", True)
        self.show_trash.setToolTip(hint("show-trash"))
        self.actions_of_run = (
            self.sample, self.resume, self.show_curves, self.again, self.queue, self.export,
            self.open_folder, self.trash,
        )  # fmt: skip
        self._build_export()
        self._lay_out()

    def _build_export(self) -> None:
        menu = QMenu(self.export)
        for number, (text, *_) in enumerate(EXPORTS):
            menu.addAction(text, partial(self.export_requested.emit, number))
        self.export.setMenu(menu)
        later = QMenu(self.queue)
        later.addAction(tr("Go on with it later"), partial(self.queue_requested.emit, False))
        later.addAction(tr("A new run like it later"), partial(self.queue_requested.emit, True))
        self.queue.setMenu(later)

    def _lay_out(self) -> None:
        column, grid = QVBoxLayout(self), QGridLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        grid.setSpacing(8)
        first, *others = (*self.actions_of_run, self.leave)
        grid.addWidget(first, 0, 0, 1, 2)
        for number, button in enumerate(others):
            grid.addWidget(button, 1 + number // 2, number % 2)
        column.addLayout(grid)
        column.addWidget(self.show_queue)
        column.addWidget(self.show_trash)

    def show_run(self, run: RunSummary | None, can_leave: bool) -> None:
        """What can be done with this run, which may be on the list only because it was opened."""
        self.leave.setVisible(can_leave)
        for button in self.actions_of_run:
            button.setEnabled(run is not None)
        if run is None:
            return
        sound, code = not run.problem, run.kind in BY_KIND
        self.sample.setText(tr("Look into its code") if code else tr("Walk through its chain"))
        self.sample.setEnabled(sound and run.step > 0)
        self.resume.setEnabled(sound)
        self.again.setEnabled(sound)
        self.queue.setEnabled(sound and not code)
        self.export.setEnabled(sound and run.step > 0)
        self.show_curves.setEnabled(sound and not code)

    def say_queue(self, queue: QueueState) -> None:
        """How many trainings wait; nothing where none does."""
        self.show_queue.setText(tr("Queue: {waiting} …", waiting=queue.in_words()))
        self.show_queue.setVisible(bool(queue.items))

    def say_trash(self, trash: Sequence[Trashed]) -> None:
        """How much lies in the trash; nothing where nothing does."""
        self.show_trash.setText(tr("Trash: {contents} …", contents=in_words(tuple(trash))))
        self.show_trash.setVisible(bool(trash))
