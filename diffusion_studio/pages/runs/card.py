"""What is said of the run that is shown, and what a person writes about it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.labbook.entries import MOST_NAME, Entry, common_tags
from diffusion_studio.pages.runs.table import COLUMNS
from diffusion_studio.viewmodels.runs.comparison import RunRead
from diffusion_studio.viewmodels.runs.state import RunsState
from diffusion_studio.viewmodels.runs.summary import RunSummary, samples_in
from diffusion_studio.widgets.actions.keys import hint
from diffusion_studio.widgets.forms.slider import ThinSlider
from diffusion_studio.widgets.forms.texts import LineEdit, NoteEdit
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import ANY_SIZE, label, tabular

GRID_HEIGHT, LOW_GRID = 200, 136  # pixels for the samples: at least, and in a low window

_SHORT = 24  # letters of what is kept on one line


class RunCard(QWidget):
    """Passive: it shows what it is given, and says what a person writes."""

    renamed = Signal(str)
    tagged = Signal(str)
    noted = Signal(str)
    star_pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[Path, ...] = ()
        self.head = label(tr("Run"), "section")
        self.name, self.tags, self.note = LineEdit(), LineEdit(), NoteEdit()
        self.star = QToolButton()
        self.facts = label("", "muted")
        self.grid = ImageGrid(tr("Samples of the run"), selectable=False)
        self.history, self.moment = ThinSlider(), label("", "muted")
        self._previews: tuple[tuple[int, Path], ...] = ()
        self._side = 0
        self._prepare()
        self._lay_out()
        self.name.settled.connect(self.renamed)
        self.tags.settled.connect(self.tagged)
        self.note.settled.connect(self.noted)
        self.star.clicked.connect(self.star_pressed)

    def _prepare(self) -> None:
        self.name.setMaxLength(MOST_NAME)
        self.name.setAccessibleName(tr("Name of the run"))
        self.name.setToolTip(hint("rename-run"))
        self.tags.setAccessibleName(tr("Tags"))
        self.tags.setPlaceholderText(tr("Tags, between commas"))
        self.tags.setToolTip(hint("tag-run"))
        self.note.setAccessibleName(tr("Note"))
        self.note.setPlaceholderText(tr("What was it for, what came out?"))
        self.note.setToolTip(hint("note-run"))
        self.star.setToolTip(hint("star-run"))
        self.star.setProperty("flat", True)
        self.facts.setWordWrap(True)
        self.grid.set_empty_text(tr("No samples yet"))
        self.set_low(False)
        self.history.setAccessibleName(tr("Step of training whose samples are shown"))
        self.history.setToolTip(tr("Look at the samples over training; the noise is always the same"))
        self.history.valueChanged.connect(self._show_step)
        self.moment.setFont(tabular(self.moment.font()))

    def _lay_out(self) -> None:
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        row.addWidget(self.name, 1)
        row.addWidget(self.star)
        column.addWidget(self.head)
        column.addLayout(row)
        column.addWidget(self.tags)
        column.addWidget(self.note)
        column.addWidget(self.facts)
        column.addWidget(self.grid, 1)
        over_training = QHBoxLayout()
        over_training.addWidget(self.history, 1)
        over_training.addWidget(self.moment)
        column.addLayout(over_training)

    def set_low(self, low: bool) -> None:
        """In a low window two rows of samples, so that what can be done with the run stays in sight."""
        self.grid.setMinimumHeight(LOW_GRID if low else GRID_HEIGHT)
        self.grid.setMaximumHeight(LOW_GRID if low else ANY_SIZE)

    def settle(self) -> None:
        """What is being written counts, before another run is shown."""
        for field in (self.name, self.tags, self.note):
            field.settle()

    def show_state(self, state: RunsState) -> None:
        """The run that was chosen last, and the tags that all chosen ones have in common."""
        run = state.summary(state.selected)
        for widget in (self.name, self.tags, self.note, self.star):
            widget.setEnabled(run is not None)
        entries = [found.entry for path in state.chosen if (found := state.summary(path)) is not None]
        many = len(entries) > 1
        self.head.setText(tr("The last of {count} chosen runs", count=len(entries)) if many else tr("Run"))
        self.tags.show_text(", ".join(common_tags(entries)))
        self.tags.setPlaceholderText(tr("Tags of all of them") if many else tr("Tags, between commas"))
        self._show_star(entries)
        self._show_run(run)

    def _show_star(self, entries: list[Entry]) -> None:
        starred = bool(entries) and all(entry.star for entry in entries)
        set_icon(self.star, "star-full" if starred else "star", "accent" if starred else "muted")
        self.star.setAccessibleName(tr("Take the star away") if starred else tr("Give it a star"))

    def _show_run(self, run: RunSummary | None) -> None:
        if run is None:
            self.name.show_text("")
            self.note.show_text("")
            self.facts.setText(tr("Nothing is chosen."))
            self.grid.set_images(None)
            return
        self.name.show_text(run.name)
        self.note.show_text(run.entry.note)
        self.facts.setText(run.problem or _facts(run))
        if not self._previews or self._previews[-1][1].parent.parent != run.path:
            self.grid.set_images(run.picture)

    def show_previews(self, read: RunRead | None) -> None:
        """The samples that the shown run drew over its training; the newest at first."""
        before, self._previews = self._previews, () if read is None else read.previews
        self._side = 0 if read is None else read.side
        if before != self._previews:
            last = max(len(self._previews) - 1, 0)
            self.history.setRange(0, last)
            self.history.setValue(last)
        self.history.setEnabled(len(self._previews) > 1)
        self._show_step(self.history.value())

    def _show_step(self, place: int) -> None:
        """Those of one step; where its file is gone, none."""
        if not self._previews:
            self.moment.setText("")
            return
        step, path = self._previews[min(place, len(self._previews) - 1)]
        self.moment.setText(tr("step {step:,}", step=step))
        self.grid.set_images(samples_in(path, self._side))


def _held(text: str) -> str:
    """A time or a number stays on one line; a name may be longer than there is room."""
    return text.replace(" ", "\u00a0") if len(text) <= _SHORT else text


def _facts(run: RunSummary) -> str:
    """What the columns say, and where it is."""
    told = [f"{column.title}\u00a0{_held(text)}" for column in COLUMNS[3:] if (text := column.words(run))]
    line = "\u00a0· ".join(told)
    return "\n".join(filter(None, (line, run.remark, str(run.path))))
