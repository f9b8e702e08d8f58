"""What is minimised, as an equation whose parts have their colours and say what they are."""

from __future__ import annotations

from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.config import ObjectiveSpec
from diffusion_studio.widgets.equations.equation import Term

_INPUT = Term(
    r"(\sqrt{\bar\alpha_t}\,\quantity{x0}{x_0}+\sqrt{1-\bar\alpha_t}\,\quantity{eps}{\varepsilon},\,t)",
    tooltip=tr("an image x₀ to which noise was added"),
)


def loss_terms(objective: ObjectiveSpec) -> tuple[Term, ...]:
    """The terms of the loss of this objective."""
    average = Term(r"\mathbb{E}_{t,\varepsilon}", tooltip=tr("Average over timesteps and noise"))
    if objective.variance == "vlb":
        bound = r"T\,D_{\mathrm{KL}}(q(x_{t-1}|x_t,\quantity{x0}{x_0})\,\|\,p(x_{t-1}|x_t))"
        return average, Term(bound, tooltip=tr("One term of the bound; at t = 1 it is −log p(x₀|x₁)"))
    reading = READINGS[objective.predict]
    opening, closing = objective.loss.brackets
    factor = rf"\,{reading.factor}" if reading.factor else ""
    weight = Term(
        rf"\quantity{{weight}}{{\lambda_t}}{factor}",
        "weight",
        tr("How much the error of each t counts") + (tr(", turned to this error") if factor else ""),
    )
    difference = Term(rf"{opening}{reading.latex}", tooltip=reading.summary)
    told = Term(rf"-\;{reading.hat}", tooltip=tr("what the network takes for it, in"))
    end = Term(_INPUT.latex + closing, tooltip=_INPUT.tooltip)
    plus = (Term(r"+\;0.001\,L_{\mathrm{vlb}}", tooltip=tr("for the learned variance; iDDPM eq. 16")),)
    return average, weight, difference, told, end, *(plus if objective.variance == "hybrid" else ())
