"""The right-hand panel of the Sample page: denoiser, class, sampler, guidance, start."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr, trc
from diffusion_studio.pages.page import titled
from diffusion_studio.viewmodels.sample.state import SampleState
from diffusion_studio.widgets.forms.controls import QuietCombo
from diffusion_studio.widgets.forms.field import SHARES, NameLabel
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.images.drop import ImageDrop
from diffusion_studio.widgets.images.mosaic import as_image, packed
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import tip
from diffusion_studio.widgets.plots.math import tick_text

SECTIONS = (
    (tr("Sampler"), ["sampler", "steps", "spacing", "clip"]),
    (tr("Guidance"), ["guidance", "guide", "curve"]),
    (trc("noun", "Start"), ["seed", "count", "start"]),
)


class SamplePanel(QWidget):
    """Says what a person chooses; shows what the state is."""

    edited = Signal(str, object)  # path, new value
    edit_finished = Signal()  # one undo step is complete
    source_chosen = Signal(str)
    folder_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._build_denoiser()
        self.form, self.images = Form(SECTIONS), ImageDrop()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(16)
        column.addLayout(titled(tr("Denoiser"), self._chosen, self.class_row))
        column.addWidget(self.form)
        column.addWidget(self.images)
        self.form.edited.connect(self.edited)
        self.form.edit_finished.connect(self.edit_finished)
        self.sources.activated.connect(self._choose_source)
        self.labels.activated.connect(self._choose_label)
        self.browse.clicked.connect(self.folder_requested)
        self.images.files_changed.connect(self._choose_images)

    def _build_denoiser(self) -> None:
        self.sources = QuietCombo()
        self.sources.setAccessibleName(tr("Denoiser"))
        self.sources.setToolTip(
            tr("The model whose chain is shown: a trained run, or the exact denoiser of a data set")
        )
        self.browse = QToolButton()
        set_icon(self.browse, "folder")
        self.browse.setToolTip(tr("Open a run or a model folder from elsewhere"))
        self.browse.setAccessibleName(tr("Open a run or a model folder"))
        self.labels = QuietCombo()
        self.labels.setAccessibleName(tr("Class"))
        self.labels.setToolTip(tr("The class that is asked for (Luo eq. 162)"))
        self._chosen, self.class_row = QWidget(), QWidget()
        _row(self._chosen, self.sources, self.browse)
        named = _row(self.class_row, NameLabel(tr("class"), "y"), self.labels)
        for place, share in enumerate(SHARES):  # as the fields below
            named.setStretch(place, share)
        self.labels.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    # --- what the person does ---------------------------------------------------------------------------

    def _choose_source(self, index: int) -> None:
        self.source_chosen.emit(self.sources.itemData(index))

    def _choose_label(self, index: int) -> None:
        self._edit_at_once("label", self.labels.itemData(index))

    def _choose_images(self, files: list[str]) -> None:
        self._edit_at_once("start.images", tuple(files))

    def _edit_at_once(self, path: str, value: object) -> None:
        self.edited.emit(path, value)
        self.edit_finished.emit()

    # --- what is shown ----------------------------------------------------------------------------------

    def show_state(self, before: SampleState | None, state: SampleState) -> None:
        """Renders what differs from the state before."""
        classes = state.chains.facts.class_names
        same_classes = before is not None and before.chains.facts.class_names == classes
        same_tree = before is not None and before.tree.parameters == state.tree.parameters
        if before is None or before.choices != state.choices:
            self._show_choices(state)
        if not same_classes:
            self._show_classes(classes)
        if not same_classes or not same_tree:
            self._show_parameters(state)
        if before is None or before.tree.errors != state.tree.errors:
            errors = dict(state.tree.errors)
            for path in self.form.paths:
                self.form.set_error(path, errors.get(path))
        if before is None or (before.choices, before.parameters) != (state.choices, state.parameters):
            self.sources.setCurrentIndex(self.sources.findData(state.parameters.source))

    def _show_choices(self, state: SampleState) -> None:
        self.sources.clear()
        for choice in state.choices:
            self.sources.addItem(choice.title, choice.key)
            self.sources.setItemData(self.sources.count() - 1, tip(choice.key), Qt.ItemDataRole.ToolTipRole)

    def _show_classes(self, names: tuple[str, ...]) -> None:
        self.labels.clear()
        self.labels.addItem(tr("all in turn"), -1)
        for place, name in enumerate(names):
            self.labels.addItem(name, place)
        self.labels.addItem(tr("none (∅)"), -2)
        self.class_row.setVisible(bool(names))
        classes = list(enumerate(names))
        for path, none in (("guide.negative", tr("no class (∅)")), ("guide.second", tr("none"))):
            self.form.set_options(path, [(-1, none), *classes] if classes else [])

    def _show_parameters(self, state: SampleState) -> None:
        spec = state.spec
        self.form.set_choice(spec)
        self.form.set_note(
            "guidance", tr("w = γ − 1 = {w} for Ho & Salimans", w=tick_text(spec.guidance - 1))
        )
        self.images.setVisible(spec.start.is_given)
        self.images.set_files(spec.start.files)
        self.labels.setCurrentIndex(max(self.labels.findData(spec.label), 0))
        self._show_reasons(state)

    def _show_reasons(self, state: SampleState) -> None:
        """Greys what cannot be changed now, and says why."""
        spec, reasons = state.spec, dict[str, str]()
        if not state.chains.facts.class_names and spec.guide.needs == "labels":
            words = tr("This model was trained without labels; this kind of guidance needs them.")
            reasons |= dict.fromkeys(
                ("guidance", "curve", "guide.negative", "guide.second", "guide.share"), words
            )
        if state.parameters.tree.active:
            reasons |= dict.fromkeys(("start", "count"), tr("A branch begins where it leaves its parent."))
        if state.chains.facts.code:
            reasons["clip"] = tr("The chain runs in a code, which has no range that an estimate could leave.")
        if spec.spacing.kind == "explicit":
            reasons["steps"] = tr("The list of times says how many steps there are.")
        self.form.set_disabled_reasons(reasons)

    def show_thumbnails(self, pixels: dict[str, NDArray[Any]], errors: dict[str, str]) -> None:
        """Small pictures of files (H, W, C), and why some have none."""
        images = {file: as_image(packed(values[None])[0]) for file, values in pixels.items()}
        self.images.set_thumbnails(images, errors)


def _row(holder: QWidget, *widgets: QWidget) -> QHBoxLayout:
    """Lays widgets side by side; combo boxes take what room there is."""
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    for widget in widgets:
        row.addWidget(widget, int(isinstance(widget, QuietCombo)))
    return row
