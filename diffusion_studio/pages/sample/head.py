"""The line above the pictures: which quantity is shown, in which layout, and what the chains cost."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.viewmodels.sample.state import SampleState
from diffusion_studio.widgets.actions.keys import hint
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.elided import ElidedLabel

VIEWS = (
    ("x0_hat", "x̂_0"), ("x_t", "x_t"), ("eps_hat", "ε̂"), ("score", "s"), ("noise", "z"), ("change", "Δ"),
    ("forward", "q"), ("guidance", "γ"),
)  # fmt: skip
WORDS = {
    "x0_hat": tr("estimate of the image"), "x_t": tr("state of the chain"),
    "eps_hat": tr("estimate of the noise"), "score": tr("score"),
    "noise": tr("fresh noise of this step"), "change": tr("what this step changes"),
    "forward": tr("forward process"), "guidance": tr("what guidance adds"),
}  # fmt: skip
QUANTITIES = {
    "x0_hat": "x0", "x_t": "xt", "eps_hat": "eps", "score": "score", "noise": "noise", "forward": "xt",
    "guidance": "guidance",
}  # fmt: skip
LAYOUTS = [
    ("grid", tr("Grid"), tr("Every sample at this step")),
    ("strip", tr("Strip"), tr("The whole chain of the first samples, from noise to image")),
    (
        "guided",
        tr("With | without γ"),
        tr("x̂_0 with guidance and without it, side by side, and their difference"),
    ),
]
SOON = 5  # looks: what is complete by then is not worth a word


class SampleHead(QWidget):
    """Chooses what is seen."""

    view_chosen = Signal(str)
    layout_chosen = Signal(str)
    stop_requested = Signal()
    resume_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.views = Segmented(tr("Quantity that is shown"))
        self.layouts = Segmented(tr("Layout of the pictures"))
        self.about = ElidedLabel("", "muted")
        self.views.set_options([(key, symbol, hint(f"view-{key}")) for key, symbol in VIEWS])
        self.views.set_quantities(QUANTITIES)
        self.layouts.set_options(LAYOUTS)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.views)
        row.addWidget(self.layouts)
        row.addWidget(self.about, 1)
        self.about.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.about.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.halt = QPushButton(tr("Stop"))
        self.halt.setProperty("link", True)
        self.halt.setToolTip(tr("Ends the computing; what there is by now stays"))
        self.resume = QPushButton(tr("Go on"))
        self.resume.setProperty("link", True)
        self.halt.clicked.connect(self.stop_requested)
        self.resume.clicked.connect(self.resume_requested)
        for button in (self.halt, self.resume):
            row.addWidget(button)
            button.hide()
        self._looks = 0  # in a row at chains that are not complete
        self.views.changed.connect(self.view_chosen)
        self.layouts.changed.connect(self.layout_chosen)

    def show_state(self, state: SampleState) -> None:
        self.views.set_value(state.pictures.view)
        self.layouts.set_value(state.pictures.layout)
        self._looks = self._looks + 1 if state.chains.busy else 0
        slow = self._looks > SOON
        words = _about(state, slow)
        self.about.setText(words)
        self.about.set_short(words.removeprefix(f"{WORDS[state.pictures.view]} · "))
        self.halt.setVisible(slow)
        self.resume.setVisible(not state.chains.busy and bool(state.progress))


def _about(state: SampleState, slow: bool) -> str:
    """ "16 chains · 50 steps · 3.1 MB", or how far they have come."""
    facts = state.chains.facts
    steps = max(len(facts.times) - 1, 0)
    if not steps:
        return ""
    calls = state.spec.sampler.calls(steps)
    cost = tr(" · {calls} calls", calls=calls) if calls != steps else ""
    kept = tr(" on disk") if facts.on_disk else ""
    doing = state.chains.doing or (state.progress if slow or not state.chains.busy else "")
    count = state.parameters.tree.spec.count
    what = doing or tr("{count} chains · {steps} steps{cost}", count=count, steps=steps, cost=cost)
    what = what if doing else f"{WORDS[state.pictures.view]} · {what}"
    return f"{what} · {number(facts.megabytes, '.1f')} MB{kept}"
