"""The right-hand panel of the Train page: images, presets, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from diffusion_studio.core.describe import knobs
from diffusion_studio.core.words import plural, tr
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.presets import PRESETS, nearest_preset
from diffusion_studio.pages.page import titled
from diffusion_studio.pages.train.curve_by_hand import BY_HAND, CurveByHand
from diffusion_studio.pages.train.own_presets import OwnPresetsButton
from diffusion_studio.viewmodels.train.state import TrainState, fixed_reasons
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.forms.size_question import SizeQuestion
from diffusion_studio.widgets.frame.cards import DataCard, SkippedDialog
from diffusion_studio.widgets.look.theme import label

SECTIONS = (
    (tr("Length"), ["training.seconds", "training.steps"]),
    (tr("Objective"), ["objective"]),
    (tr("Noise schedule"), ["diffusion"]),
    (tr("Network"), ["model"]),
    (tr("Optimizer"), ["training", "seed"]),
    (
        tr("Images"),
        ["data.resolution", "data.channels", "data.fit", "data.background", "data.flip", "data.held_out"],
    ),
)

FEW = 3  # changes with which a preset is still that preset
NO_CODE = tr(
    "For larger pictures there is diffusion in a code: train an AutoencoderKL of these images first, on the "
    "Autoencoder page, and choose it here."
)


class TrainPanel(QWidget):
    """Says what a person chooses; shows what the state is."""

    open_requested = Signal()
    cancel_requested = Signal()
    preset_chosen = Signal(str)
    edited = Signal(str, object)  # path, value
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.data_card, self.sizes, self.skipped = DataCard(), SizeQuestion(), SkippedDialog(self)
        self.presets = Segmented(tr("Preset"), stretch=True)
        self.presets.set_options([(p.key, p.title, p.help) for p in PRESETS])
        self.own = OwnPresetsButton()
        self.curves = {path: CurveByHand(path, *look) for path, look in BY_HAND.items()}
        self.form = Form(SECTIONS)
        self._codes: dict[str, str] = {}  # names by path
        self._nearest = ""  # preset
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(16)
        column.addLayout(titled(tr("Data"), self.data_card, self.sizes))
        column.addLayout(titled(tr("Preset"), self.presets, self._build_changes(), self.own))
        for curve in self.curves.values():
            column.addWidget(curve)
        column.addWidget(self.form)
        self._connect()

    def _connect(self) -> None:
        self.data_card.open_requested.connect(self.open_requested)
        self.data_card.cancel_requested.connect(self.cancel_requested)
        self.data_card.skipped_requested.connect(self.skipped.open)
        self.presets.changed.connect(self.preset_chosen)
        self.form.edited.connect(self.edited)
        self.form.edit_finished.connect(self.settled)
        self.sizes.edited.connect(self.edited)
        self.sizes.settled.connect(self.settled)
        for curve in self.curves.values():
            curve.edited.connect(self.edited)
            curve.settled.connect(self.settled)

    def _build_changes(self) -> QWidget:
        """The line that says how far the parameters have left a preset, with the way back."""
        self.changes, line = label("", "muted"), QWidget()
        self.reset = QPushButton(tr("Reset"))
        self.reset.setProperty("link", True)
        self.reset.clicked.connect(self._go_back_to_preset)
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.changes)
        row.addWidget(self.reset)
        row.addStretch(1)
        self._changes_line = line
        return line

    def _go_back_to_preset(self) -> None:
        self.preset_chosen.emit(self._nearest)

    def _show_preset(self, config: RunConfig) -> None:
        """The nearest preset, and honestly what is not of it."""
        preset, paths = nearest_preset(config)
        self._nearest = preset.key
        self.presets.set_value(preset.key if len(paths) <= FEW else "")
        count = plural("{n} change", "{n} changes", len(paths))
        self.changes.setText(f"{preset.title}, {count}")
        titles = [knob.title for knob in knobs(config) if knob.path in paths]
        self.changes.setToolTip(tr("Changed: {titles}", titles=", ".join(titles)))
        self.reset.setToolTip(tr("Back to the values of “{title}”", title=preset.title))
        self._changes_line.setVisible(bool(paths))

    def show_config(self, state: TrainState) -> None:
        """The parameters, and what is wrong about them."""
        self._show_codes(state.config)
        for path, curve in self.curves.items():
            curve.show_curve(state.config, path in self.form.paths)
        for path in self.form.paths:
            self.form.set_error(path, dict(state.errors).get(path))
        diffusion = state.config.diffusion
        self.form.set_note("diffusion.schedule.kind", diffusion.remark())
        self._show_preset(state.config)

    def offer_codes(self, codes: Sequence[tuple[str, str]], config: RunConfig) -> None:
        """These (path, name), beside the pixels."""
        if dict(codes) != self._codes:
            self._codes = dict(codes)
            self._show_codes(config)

    def _show_codes(self, config: RunConfig) -> None:
        """Offers pixels, and the codes that there are; one that was chosen elsewhere stays."""
        chosen = config.model.code
        codes = {**({chosen: Path(chosen).name} if chosen else {}), **self._codes}
        self.form.set_options("model.code", [("", tr("pixels")), *codes.items()])
        self.form.set_choice(config)
        self.form.set_note("model.code", "" if codes else NO_CODE)

    def show_data(self, state: TrainState) -> None:
        """The images, and how far reading them is."""
        if state.reading is not None:
            self.data_card.set_progress(*state.reading)
        else:
            self.data_card.set_idle()
        self.sizes.ask(state.sides)
        data = state.data
        if data is not None:
            self.data_card.set_data(data.name, data.count, len(data.class_names), data.size, data.thumbnails)
            self.data_card.set_notes(data.how, data.notes)
            self.data_card.set_skipped(len(data.skipped))
            self.skipped.set_rows(list(data.skipped))
        elif state.reading is None:
            self.data_card.set_data(Path(state.config.data.source).name, 0, 0, "", None)
            self.data_card.set_notes("", ())
            self.data_card.set_skipped(0)

    def show_phase(self, state: TrainState) -> None:
        """What can be changed now, and why the rest cannot."""
        reasons = fixed_reasons(state)
        self.form.set_disabled_reasons(reasons)
        for path, curve in self.curves.items():
            curve.setEnabled(path not in reasons)
        self.sizes.ask(state.sides)
        self.presets.setEnabled(not state.busy)
        self.own.setEnabled(not state.busy)
        self.reset.setEnabled(not state.busy)
