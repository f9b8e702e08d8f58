"""How few calls of the network are as good as fifty DDIM steps, for the denoiser on show."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.evaluation.few_calls import CALLS, REFERENCE, RULES, FewCalls
from diffusion_studio.engine.evaluation.text import calls_sentence
from diffusion_studio.viewmodels.sample.side_models import CALLS_SAMPLES, CallsState
from diffusion_studio.widgets.chain.measure_row import MeasureRow
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.look.theme import label
from diffusion_studio.widgets.plots.curve import Line, XYPlot

COLORS = ("xt", "x0", "guidance", "score")  # of the rules
PLOT = 240  # pixels of height at least: its legend takes a third


NOT_MEASURED = tr(
    "How few calls are as good as {reference} DDIM steps? Not measured yet.", reference=REFERENCE
)
BEING_MEASURED = tr("What {reference} DDIM steps are worth is being measured …", reference=REFERENCE)


class CallsPanel(QWidget):
    """The distance over the number of calls, one line a rule; and a button that takes the best."""

    measure_requested = Signal()
    stop_requested = Signal()
    taken = Signal(object)  # Fare

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: FewCalls | None = None
        self.plot = XYPlot(tr("As good in fewer calls?"))
        self.plot.set_axes(tr("calls of the network"), tr("Fréchet distance"), x_log=True, y_log=True)
        self.plot.setToolTip(
            tr(
                "Fréchet distance between samples and the training images: smaller is nearer.\n"
                "The level line is that of {reference} DDIM steps. Rules are tried with {calls} and {most} "
                "calls, until one is as good.",
                reference=REFERENCE,
                calls=", ".join(map(str, CALLS[:-1])),
                most=CALLS[-1],
            )
        )
        self.plot.setMinimumHeight(PLOT)
        self.words = label("", "muted")
        self.words.setWordWrap(True)
        self.take = QPushButton(tr("Use it"))
        self.take.setToolTip(
            tr("Takes the sampler, its times and its number of steps for the chain on show.")
        )
        self.take.clicked.connect(self._take)
        self.foot = MeasureRow(
            tr("Makes {n} samples with each rule in the background and measures them", n=CALLS_SAMPLES),
            self.take,
        )
        self.foot.measure_requested.connect(self.measure_requested)
        self.foot.stop_requested.connect(self.stop_requested)
        card = Card()
        card.body.addWidget(self.plot, 1)
        card.body.addWidget(self.words)
        card.body.addWidget(self.foot)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(card, 1)
        self.show_state(CallsState())

    def show_state(self, state: CallsState) -> None:
        found = self._found = state.found
        best = None if found is None or state.measuring else found.best
        self.plot.set_empty_text(BEING_MEASURED if state.measuring else NOT_MEASURED)
        self.plot.set_lines({} if found is None else _lines(found))
        self.plot.set_mark(None if best is None else best.steps)
        self.words.setText(_words(state))
        self.words.setVisible(bool(self.words.text()))
        self.take.setVisible(best is not None)
        self.foot.show_progress(state.measuring, state.share, "")

    def _take(self) -> None:
        if self._found is not None and self._found.best is not None:
            self.taken.emit(self._found.best)


def _lines(found: FewCalls) -> dict[str, Line]:
    """The reference from the fewest calls to its own, and what each rule measured."""
    reference = found.reference
    level = Line([float(CALLS[0]), float(reference.steps)], [reference.frechet] * 2, "eps")
    lines = {tr("{rule}, {steps} steps", rule=reference.rule, steps=reference.steps): level}
    for rule, color in zip(RULES, COLORS, strict=True):
        fares = [fare for fare in found.fares if fare.rule == rule.name]
        if fares:
            x, y = [float(fare.steps) for fare in fares], [fare.frechet for fare in fares]
            lines[rule.title] = Line(x, y, color, dots=True)
    return lines


def _words(state: CallsState) -> str:
    if state.message or state.found is None or state.measuring:
        return state.message
    found = state.found
    if found.best is None and not state.complete:
        return tr("Stopped before any rule was as good.")
    scatter = tr(
        "Of {f.count} samples each; that of as many real images scatters by ± {f.spread:.3f}.", f=found
    )
    return f"{calls_sentence(found)} {scatter}"
