"""The classifier of noisy images: trained here, with its loss and where it stops knowing."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import tr
from diffusion_studio.engine.classifier.accuracy import AccuracyCurve
from diffusion_studio.viewmodels.sample.classifier import ClassifierState
from diffusion_studio.viewmodels.train.series import LossSeries
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.cards import Card, RemainderCard
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.theme import label
from diffusion_studio.widgets.plots import LossPlot, RunCurve
from diffusion_studio.widgets.plots.curve import Line, XYPlot

LEARNED = tr(
    "It sees a noisy image xₜ and its t, and says which class it shows. Its gradient leads a chain to a "
    "class, even of a model that never saw a label; where noise hides the class it can only guess, and "
    "leads nowhere."
)
EXACT = tr(
    "Nothing to train here: which image xₜ came from is known exactly, and so is its class. No classifier "
    "of these images can know more; where even this one guesses, the class is not decided yet."
)
USE = tr("It leads the chain where the guide is “by a classifier”.")
TIMES = [
    ("30", "30 s", tr("Enough for small images")),
    ("120", "2 min", ""),
    ("600", "10 min", tr("For large images")),
]


class ClassifierPanel(QWidget):
    """What it is for and its training above, its curves below."""

    train_requested = Signal(float)  # seconds
    pause_requested = Signal()  # or go on
    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self._build_training())
        self.accuracy = XYPlot(tr("Accuracy over t"))
        self.accuracy.set_axes("t", tr("accuracy"))
        self.accuracy.setToolTip(
            tr("On images that it never learned from: how often the likeliest class is right")
        )
        self.loss = LossPlot(tr("Cross-entropy"), decay=0.95)
        self._accuracy_card, self._loss_card = RemainderCard(), RemainderCard()
        for card, plot, share in ((self._accuracy_card, self.accuracy, 3), (self._loss_card, self.loss, 2)):
            plot.spare_the_training()
            card.body.addWidget(plot)
            column.addWidget(card, share)
        column.addStretch(0)
        self._drawn: tuple[AccuracyCurve | None, int, bool] | None = None
        self.show_state(ClassifierState())
        self.show_losses(LossSeries())

    def _build_training(self) -> Card:
        card = Card(tr("Classifier of noisy images"))
        card.setToolTip(LEARNED)
        card.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.card, self.words, self.knowledge = card, label(LEARNED, "muted"), label("")
        self.notice, self.detail = label("", "muted"), ElidedLabel("", "small")
        for text in (self.words, self.knowledge, self.notice):
            text.setWordWrap(True)
        self.button = QPushButton(tr("Train a classifier"))
        self.button.setProperty("primary", True)
        self.pause, self.halt = QPushButton(tr("Pause")), QPushButton(tr("Stop && save"))
        self.seconds = Segmented(tr("Training time"))
        self.seconds.set_options(TIMES)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        row = FlowRow()
        for widget in (self.button, self.pause, self.halt, self.seconds):
            row.addWidget(widget)
        for text in (self.words, self.knowledge, self.notice):
            card.body.addWidget(text)
        card.body.addLayout(row)
        card.body.addWidget(self.bar)
        card.body.addWidget(self.detail)
        self.button.clicked.connect(lambda: self.train_requested.emit(float(self.seconds.value)))
        self.pause.clicked.connect(self.pause_requested)
        self.halt.clicked.connect(self.stop_requested)
        return card

    # --- what is shown ----------------------------------------------------------------------------------

    def show_state(self, state: ClassifierState) -> None:
        busy = state.busy
        self._say(self.words, "" if busy else EXACT if state.exact else USE if state.trained else LEARNED)
        self._say(self.knowledge, state.knowledge.replace(" %", "\u00a0%"))
        self._say(self.notice, state.notice)
        self.button.setText(tr("Train it again") if state.trained else tr("Train a classifier"))
        idle: tuple[QWidget, ...] = (self.button, self.seconds)
        for widget in idle:
            widget.setVisible(not busy and not state.exact and state.run is not None)
        for widget in (self.pause, self.halt, self.bar):
            widget.setVisible(busy)
        self._say(self.detail, state.detail if busy else "")
        self.pause.setText(tr("Resume") if state.phase == "paused" else tr("Pause"))
        self.pause.setEnabled(state.phase in ("running", "paused"))
        self.halt.setEnabled(state.phase != "stopping")
        self.bar.setValue(round(1000 * state.fraction))
        self.card.set_title(tr("Classifier of noisy images"), state.run.name if state.run and busy else "")
        drawn = (state.curve, state.classes, state.exact)
        if drawn != self._drawn:  # progress is told many times a second
            self._drawn = drawn
            self._show_accuracy(*drawn)

    def show_losses(self, losses: LossSeries) -> None:
        self._loss_card.setVisible(len(losses.steps) > 0)
        self.loss.set_runs([RunCurve("", losses.steps, losses.values)])

    def set_time(self, t: int) -> None:
        """Marks the t of the state that is shown."""
        self.accuracy.set_mark(t)

    def _show_accuracy(self, curve: AccuracyCurve | None, classes: int, exact: bool) -> None:
        """Learned is dashed, exact is solid; guessing is dotted."""
        self._accuracy_card.setVisible(curve is not None)
        if curve is None:
            self.accuracy.set_lines({})
            return
        dash = Qt.PenStyle.SolidLine if exact else Qt.PenStyle.DashLine
        chance = [1 / classes] * 2
        name = tr("exact posterior") if exact else tr("classifier")
        self.accuracy.set_lines(
            {
                name: Line(curve.t, curve.accuracy, "guidance", dash),
                tr("guessing"): Line([curve.t[0], max(curve.t[-1], 2)], chance, "muted", Qt.PenStyle.DotLine),
            }
        )

    @staticmethod
    def _say(place: QLabel, text: str) -> None:
        place.setText(text)
        place.setVisible(bool(text))
