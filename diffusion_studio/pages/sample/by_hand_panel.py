"""σ, the visited times and γ over the chain, drawn by hand."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.pages.sample.columns import card_of, fill
from diffusion_studio.viewmodels.sample.chain_views import ChainFacts
from diffusion_studio.widgets.editors.gamma_editor import GammaEditor
from diffusion_studio.widgets.editors.sigma_editor import SigmaEditor
from diffusion_studio.widgets.editors.tau_editor import TauEditor
from diffusion_studio.widgets.frame.elided import ElidedLabel


class ByHandPanel(QWidget):
    """Three editors of curves over the chain."""

    points_edited = Signal(list)
    times_edited = Signal(list)
    gammas_edited = Signal(list)  # [(t, γ_t), …]
    sigma_wanted = Signal()  # a curve to draw
    edit_finished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sigma_editor = SigmaEditor()
        self.tau_editor = TauEditor()
        self.gamma_editor = GammaEditor()
        self.sigma_editor.points_edited.connect(self.points_edited)
        self.sigma_editor.edit_requested.connect(self.sigma_wanted)
        self.tau_editor.times_edited.connect(self.times_edited)
        self.gamma_editor.points_edited.connect(self.gammas_edited)
        for editor in (self.sigma_editor, self.tau_editor, self.gamma_editor):
            editor.edit_finished.connect(self.edit_finished)
        hint = ElidedLabel(
            tr("Drag a dot. Double-click adds one, right-click or Delete removes it."), "muted"
        )
        self._gamma_card = card_of(self.gamma_editor)
        fill(self, card_of(self.sigma_editor), card_of(self.tau_editor), self._gamma_card, hint)

    def show_chain(self, facts: ChainFacts) -> None:
        """What depends on the chain alone, not on how far it has been walked."""
        noise, alpha_bar = facts.noise, facts.alpha_bar
        if noise is None or alpha_bar is None:
            return
        self.sigma_editor.set_steps(noise.times, noise.ceiling, noise.sigma, noise.named)
        self.sigma_editor.set_points(noise.points)
        self.tau_editor.set_schedule(alpha_bar)
        self.tau_editor.set_times(noise.times)
        self._gamma_card.setVisible(bool(facts.gammas))  # no class: no guidance
        if facts.gammas:
            self.gamma_editor.set_steps(noise.times, facts.gammas)
            self.gamma_editor.set_points(facts.drawn_gammas)
