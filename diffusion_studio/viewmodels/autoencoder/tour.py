"""The cards of the tour: what to look at, what to try, and how that is done."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from diffusion_studio.core.describe import with_values
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.viewmodels.autoencoder.model import AutoencoderViewModel
from diffusion_studio.viewmodels.autoencoder.state import View, as_kind, first_config
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.tours.once_idle import OnceIdle
from diffusion_studio.viewmodels.tours.tour import TourCard

Kept = tuple[AutoencoderConfig, View, Path | None]


@dataclass(frozen=True)
class CodeAction:
    """One thing to try: a kind, parameters, where to look, and whether a training begins."""

    title: str
    kind: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    view: View = "learn"
    trains: bool = True


_QUICK = {"training.seconds": 12.0, "training.steps": 0}
CARDS = (
    TourCard(
        tr("A code for images"),
        tr(
            "Encoder and decoder press an image into k numbers and back. With a linear network and the "
            "squared error it learns what the principal components span: look at the angle under Exact "
            "case. Turning the code changes nothing, so its numbers have no meaning of their own."
        ),
        "Course §1.1",
        (
            CodeAction(tr("Linear, k = 2"), "ae", _QUICK | {"code.network": "linear", "code.size": 2},
                       "exact"),
            CodeAction("MLP, k = 2", "ae", _QUICK | {"code.network": "mlp", "code.size": 2}),
        ),
    ),
    TourCard(
        tr("Why it does not generate"),
        tr(
            "Decode codes drawn from N(0, I): the samples are poor, because the decoder never saw such "
            "codes. A VAE pulls codes towards N(0, I) with the second term of the ELBO, and its samples "
            "look like data."
        ),
        "Course §1.1, definition 1.1; Luo eq. 17–19",
        (
            CodeAction("AE, k = 8", "ae", _QUICK | {"code.network": "mlp", "code.size": 8}),
            CodeAction("VAE, k = 8", "vae", _QUICK | {"code.network": "mlp", "code.size": 8}),
        ),
    ),
    TourCard(
        tr("Two terms that pull"),
        tr(
            "Reconstruction wants sharp codes, the KL wants none. Drag its weight λ while it trains: at 0 "
            "it is nearly a plain autoencoder, at 10 most latents collapse. The bars say which are active."
        ),
        "Course remark 1.4",
        (
            CodeAction("k = 16, λ = 1", "vae", _QUICK | {"code.size": 16, "kl_weight": 1.0}),
            CodeAction("k = 16, λ = 10", "vae", _QUICK | {"code.size": 16, "kl_weight": 10.0}),
        ),
    ),
    TourCard(
        tr("The map of codes"),
        tr(
            "With two latents one sees all of them: move the pointer over the plane. Digits that look alike "
            "are neighbours, and the way between two images goes through pictures that are in between."
        ),
        "Luo eq. 20–22; Course eq. 1.5",
        (CodeAction("VAE, k = 2", "vae", _QUICK | {"code.size": 2, "kl_weight": 1.0}, "code"),),
    ),
    TourCard(
        tr("Collapse has a threshold"),
        tr("The linear VAE is probabilistic PCA: its best bound is log p(x) itself, and a latent is active "
        "exactly if its eigenvalue exceeds σ². Drag σ² across the eigenvalues."),
        "Tipping & Bishop 1999, eq. 7; Course proposition 1.2",
        (
            CodeAction(tr("Exact case"), view="exact", trains=False),
            CodeAction(tr("Learn it"), "vae", _QUICK | {"code.network": "linear", "code.size": 16}, "exact"),
        ),
    ),
    TourCard(
        tr("Several levels"),
        tr(
            "A Markov chain of latents, each decoded from the one above. One bound measures it in two ways: "
            "over triples, and by the posterior of each step. Measure: both have one mean, the second "
            "scatters less."
        ),
        "Luo eq. 23–29, 44, 58",
        (CodeAction("T = 2", "hvae", _QUICK | {"hierarchy.levels": 2, "code.size": 16}, "bridge"),),
    ),
    TourCard(
        tr("Across the bridge"),
        tr(
            "Three restrictions turn a hierarchy into a diffusion model: every level as large as the image, "
            "an encoder that only adds noise, and N(0, I) at T. Train with each and measure; then measure "
            "your own diffusion run by the same routine."
        ),
        "Luo eq. 30–33",
        (
            CodeAction(tr("1 dimension"), "hvae", _QUICK | {"hierarchy.levels": 4,
                       "hierarchy.same_dimension": True}, "bridge"),
            CodeAction(tr("2 encoder"), "hvae", _QUICK | {"hierarchy.levels": 4,
                       "hierarchy.same_dimension": True, "hierarchy.fixed_encoder": True}, "bridge"),
            CodeAction("3 N(0, I)", "hvae", _QUICK | {"hierarchy.levels": 8,
                       "hierarchy.same_dimension": True, "hierarchy.fixed_encoder": True,
                       "hierarchy.standard_end": True}, "bridge"),
        ),
    ),
)  # fmt: skip


class TouredCodes:
    """The Autoencoder page, as its tour sets it. What else trains is never stopped by it."""

    def __init__(self, model: AutoencoderViewModel) -> None:
        self._model, self._idle = model, OnceIdle(model)
        self._own: Path | None = None  # the run that the tour began

    def apply(self, action: CodeAction) -> None:
        """What a card proposes."""
        model = self._model
        model.show(action.view)
        if not action.trains or model.refused_while_busy():
            return
        base = as_kind(first_config().model_copy(update={"data": model.config.data}), action.kind)
        try:
            model.editor.set(with_values(base, action.values.items()))
        except Refused as error:
            model.tell(Notice("error", str(error)))
        else:
            model.start()
            self._own = model.state.run

    def kept(self) -> Kept:
        state = self._model.state
        return state.config, state.view, state.run

    def put_back(self, kept: Kept) -> None:
        state = self._model.state
        if not state.busy or state.run == self._own:
            self._idle.do(partial(self._put_back, *kept))

    def _put_back(self, config: AutoencoderConfig, view: View, run: Path | None) -> None:
        model = self._model
        model.editor.set(config)
        model.show(view)
        if run is not None and run != model.state.run:
            with suppress(Refused):  # it may be gone by now
                model.look_at(Run.open_as(run, AutoencoderConfig))
