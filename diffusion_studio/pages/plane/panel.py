"""The right-hand panel of the 2-D page: distribution, movement, particles, learning."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.process.forward import missed_end
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import number, plural, tr
from diffusion_studio.engine.plane.shapes import CUSTOM, SHAPES, Modes, modes_from_picture
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.pages.page import titled
from diffusion_studio.pages.plane.guidance import why_not
from diffusion_studio.viewmodels.plane.state import LearningState, PlaneState
from diffusion_studio.widgets.forms.controls import QuietCombo
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import label, tabular, unbroken
from diffusion_studio.widgets.plane.ink import ink_of_picture, ink_of_text

SECTIONS = (
    (tr("Reference"), ["reference", "memorised"]),
    (tr("Noise level"), ["t", "schedule", "forward"]),
    (tr("Movement"), ["process.step", "process.heat", "process.adjusted", "process.sampler",
                      "process.steps", "process.spacing", "process.climb"]),
    (tr("Guidance"), ["guide"]),
    (tr("Particles"), ["count", "start", "start_x", "start_y", "seed"]),
)  # fmt: skip
ONLY_POINTS = tr("The mixture is known itself; choose “its points” to know only some of them.")
MODE = ("x", "y", "sd_1", "sd_2", "angle", "weight", "label")


class PlanePanel(QWidget):
    """Says what a person chooses; shows what the state is."""

    shape_chosen = Signal(str)
    picture_chosen = Signal(object)  # Modes
    complained = Signal(str)
    brush_toggled = Signal(bool)
    mode_edited = Signal(str, object)
    learn_requested = Signal()
    pause_requested = Signal()
    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: PlaneSpec | None = None  # but for the modes
        self._build_shapes()
        self.note = label("", "small")
        self.note.setWordWrap(True)
        self.mode_form = Form([(tr("Mode"), MODE)])
        self.mode_form.edited.connect(self.mode_edited)
        self.form = Form(SECTIONS)
        self.learning_form = Form([(tr("Learning"), ["learning"])])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(16)
        column.addLayout(titled(tr("Distribution"), self._shape_row, self.note))
        column.addWidget(self.mode_form)
        column.addWidget(self.form)
        column.addWidget(self.learning_form)
        column.addWidget(self._build_learning())

    def _build_shapes(self) -> None:
        self.shapes = QuietCombo()
        self.shapes.setAccessibleName(tr("Distribution"))
        self.shapes.setToolTip(tr("What the data are: always a mixture of Gaussians, so that all is exact"))
        for shape in SHAPES:
            self.shapes.addItem(shape.title, shape.key)
            self.shapes.setItemData(self.shapes.count() - 1, shape.help, Qt.ItemDataRole.ToolTipRole)
        for text, key in (
            (tr("drawn by hand"), CUSTOM),
            (tr("a word …"), "word"),
            (tr("a picture …"), "picture"),
        ):
            self.shapes.addItem(text, key)
        self.shapes.activated.connect(self._choose)
        self.brush = QToolButton()
        self.brush.setCheckable(True)
        self.brush.setToolTip(tr("Draw a distribution with a brush"))
        self.brush.setAccessibleName(tr("Brush"))
        set_icon(self.brush, "brush")
        self.brush.toggled.connect(self.brush_toggled)
        self._shape_row = QWidget()
        row = QHBoxLayout(self._shape_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.shapes, 1)
        row.addWidget(self.brush)

    def _build_learning(self) -> QWidget:
        self.learn, self.pause = QPushButton(tr("Learn")), QPushButton(tr("Pause"))
        self.stop = QPushButton(tr("Stop"))
        self.learn.setToolTip(
            tr("Train a small network on the shown distribution and watch its field sharpen")
        )
        self.learn.clicked.connect(self.learn_requested)
        self.pause.clicked.connect(self.pause_requested)
        self.stop.clicked.connect(self.stop_requested)
        self.progress = label("", "small")
        self.progress.setFont(tabular(self.progress.font()))
        self.progress.setWordWrap(True)
        holder = QWidget()
        row = QHBoxLayout()
        row.setSpacing(8)
        for button in (self.learn, self.pause, self.stop):
            row.addWidget(button)
        row.addStretch(1)
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.progress)
        return holder

    # --- what the person does ---------------------------------------------------------------------------

    def _choose(self, index: int) -> None:
        key = self.shapes.itemData(index)
        if key == "word":
            self.ask_for_word()
        elif key == "picture":
            self.ask_for_picture()
        elif key != CUSTOM:
            self.shape_chosen.emit(key)

    def ask_for_word(self) -> None:
        """Asks for a word to be the density."""
        dialog = QInputDialog(self)
        dialog.setWindowTitle(tr("A word as a distribution"))
        dialog.setLabelText(tr("The points lie on the letters:"))
        dialog.setTextValue("ELBO")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.textValueSelected.connect(self.take_word)
        dialog.open()

    def take_word(self, text: str) -> None:
        """The density of a word."""
        if text.strip():
            self._take(ink_of_text(text.strip()[:12]))

    def ask_for_picture(self) -> None:
        """Asks for a picture file to be the density."""
        dialog = QFileDialog(self, tr("A picture as a distribution"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilter(tr("Pictures (*.png *.jpg *.jpeg *.bmp *.gif *.webp)"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.take_picture)
        dialog.open()

    def take_picture(self, path: str) -> None:
        """The density of a picture: what stands out from its ground."""
        image = QImage(path)
        if image.isNull():
            self.complained.emit(tr("{path} is not a picture that can be read.", path=path))
        else:
            self._take(ink_of_picture(image))

    def _take(self, ink: Any) -> None:
        try:
            modes: Modes = modes_from_picture(ink)
        except Refused as error:
            self.complained.emit(str(error))
        else:
            self.picture_chosen.emit(modes)

    # --- what is shown ----------------------------------------------------------------------------------

    def show_state(self, state: PlaneState) -> None:
        """Distribution, mode and parameters."""
        spec, plain = state.spec, state.spec.model_copy(update={"modes": (), "shape": ""})
        if plain != self._shown:  # not at every move of a mode
            self._shown = plain
            self.form.set_choice(spec)
            self.learning_form.set_choice(spec)
            self.form.set_note("forward.kind", missed_end(spec.tables()))
        reasons = {"memorised": ONLY_POINTS} if spec.reference == "law" else {}
        if reason := why_not(state):
            reasons["guide.gamma"] = reason
        self.form.set_disabled_reasons(reasons)
        self.shapes.setCurrentIndex(self.shapes.findData(spec.shape))
        self.brush.setChecked(state.brush)
        self.note.setText(_about(state))
        chosen = 0 <= state.selected < len(spec.modes)
        self.mode_form.setVisible(chosen)
        if chosen:
            self.mode_form.set_choice(spec.modes[state.selected])

    def show_learning(self, state: LearningState, spec: PlaneSpec) -> None:
        """How far the network is, and how far from the exact score of what is shown, if it learned that."""
        self.learn.setVisible(not state.running)
        self.learn.setText(tr("Learn again") if state.trained else tr("Learn"))
        self.pause.setVisible(state.running)
        self.pause.setText(tr("Go on") if state.paused else tr("Pause"))
        self.stop.setVisible(state.running)
        words = []
        if state.running or state.trained:
            how_long = tr("{s.seconds:.0f} s of {s.total:.0f} s", s=state)
            words.append(how_long if state.running else tr("learned"))
            words.append(plural("{n} step", "{n} steps", state.step, n=number(state.step, ",")))
            words.append(tr("loss {loss:.3f}", loss=state.loss))
        if words and state.law != spec.law:
            words.append(tr("of another distribution than the one shown"))
        elif state.error == state.error:
            where = tr("over all t") if state.t is None else tr("at t = {t}", t=state.t)
            share = 100 * state.error
            words.append(tr("score error {share:.1f} % of E‖s‖² {where}", share=share, where=where))
        self.progress.setText(unbroken(" · ".join(words)))
        self.progress.setVisible(bool(words))


def _about(state: PlaneState) -> str:
    modes = len(state.spec.modes)
    if state.brush:
        return tr("Draw with the left button; each stroke joins those before it.")
    if state.spec.reference == "points":
        told = state.spec.memorised
        return tr("Exact is what {told} points say: the memorising denoiser of them.", told=told)
    if modes > 30:
        return tr(
            "A fine mixture of {n} Gaussians stands for this shape; for it everything is exact.", n=modes
        )
    return tr("Drag means; click one for its ellipse; the wheel changes its weight; double-click for more.")
