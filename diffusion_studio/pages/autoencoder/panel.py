"""The right-hand panel of the Autoencoder page: images, kind, parameters."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.pages.page import titled
from diffusion_studio.viewmodels.autoencoder.state import CodeState, fixed_reasons
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.forms.size_question import SizeQuestion
from diffusion_studio.widgets.frame.cards import DataCard, SkippedDialog

KINDS = (
    ("ae", "AE", tr("A plain autoencoder: the squared error alone")),
    ("vae", "VAE", tr("A variational autoencoder: both terms of the ELBO")),
    ("hvae", tr("Hierarchy"), tr("A Markov chain of latents; a diffusion model is one of them")),
)
SECTIONS = (
    (tr("Balance"), ["kl_weight"]),
    (tr("Code"), ["code"]),
    (tr("Levels"), ["hierarchy"]),
    (tr("Decoder"), ["decoder", "draws"]),
    (tr("Training"), ["training", "seed"]),
    (
        tr("Images"),
        ["data.resolution", "data.channels", "data.fit", "data.background", "data.flip", "data.held_out"],
    ),
)


class CodePanel(QWidget):
    """Says what a person chooses; shows what the state is."""

    kind_chosen = Signal(str)
    edited = Signal(str, object)  # path, value
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.data_card, self.sizes, self.skipped = DataCard(), SizeQuestion(), SkippedDialog(self)
        self.kinds = Segmented(tr("Kind of autoencoder"), stretch=True)
        self.kinds.set_options(list(KINDS))
        self.form = Form(SECTIONS)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(16)
        column.addLayout(titled(tr("Kind"), self.kinds))
        column.addWidget(self.form)
        column.addLayout(titled(tr("Data"), self.data_card, self.sizes))
        self.data_card.skipped_requested.connect(self.skipped.open)
        self.kinds.changed.connect(self.kind_chosen)
        self.form.edited.connect(self.edited)
        self.form.edit_finished.connect(self.settled)
        self.sizes.edited.connect(self.edited)
        self.sizes.settled.connect(self.settled)

    def show_config(self, state: CodeState) -> None:
        """The parameters, and what is wrong about them."""
        self.kinds.set_value(state.config.kind)
        self.form.set_choice(state.config)
        for path in self.form.paths:
            self.form.set_error(path, dict(state.errors).get(path))

    def show_phase(self, state: CodeState) -> None:
        """What can be changed now, and why the rest cannot."""
        self.form.set_disabled_reasons(fixed_reasons(state))
        self.sizes.ask(state.sides)
        self.kinds.setEnabled(not state.busy)

    def show_data(self, state: CodeState) -> None:
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
