"""Every equation of the references that is at work here: LaTeX, source, and where it acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.describe import Choice, Member, every_knob, families, knobs, members
from diffusion_studio.core.words import tr


@dataclass(frozen=True)
class Equation:
    """One equation; `page` and `path` say where a person meets it."""

    group: str
    title: str
    latex: str
    source: str
    page: str  # train, sample, plane, autoencoder, theory
    path: str = ""  # of the parameter, or a part of the Theory page
    value: str = ""  # that the parameter must have


_FORWARD, _PREDICTIONS = tr("Forward process"), tr("Predictions")
_BOUND, _GUIDANCE = tr("The bound"), tr("Guidance")

_FIXED = (
    Equation(
        _FORWARD, tr("Noise in one step"),
        r"q(x_t|x_{t-1}) = \mathcal{N}(\sqrt{1-\beta_t}\,x_{t-1},\,\beta_t I)",
        "Stratos eq. 7; Luo eq. 31; Course eq. 2.4; Kuppa eq. 2.1", "train", "diffusion.schedule.kind",
    ),
    Equation(
        _FORWARD, tr("Noise at once"),
        r"x_t = \sqrt{\bar\alpha_t}\,\quantity{x0}{x_0} + \sqrt{1-\bar\alpha_t}\,\quantity{eps}{\varepsilon}",
        "Stratos eq. 8; Luo eq. 69; Course eq. 2.5; Kuppa eq. 2.4", "train", "diffusion.steps",
    ),
    Equation(
        _FORWARD, tr("Signal-to-noise ratio"),
        r"\mathrm{SNR}(t) = \frac{\bar\alpha_t}{1-\bar\alpha_t}", "Luo eq. 109", "theory", "schedules",
    ),
    Equation(
        _FORWARD, tr("Zero terminal SNR"),
        r"\sqrt{\bar\alpha_t}' = (\sqrt{\bar\alpha_t}-\sqrt{\bar\alpha_T})"
        r"\frac{\sqrt{\bar\alpha_1}}{\sqrt{\bar\alpha_1}-\sqrt{\bar\alpha_T}}",
        "Lin et al. 2024, algorithm 1", "train", "diffusion.zero_terminal",
    ),
    *(
        Equation(_PREDICTIONS, each.title, each.formula, each.source, "train", "objective.predict", kind)
        for kind, each in READINGS.items()
    ),
    Equation(
        _PREDICTIONS, tr("Their errors are tied"),
        " = ".join(rf"{each.factor}\|{each.latex}-{each.hat}\|^2" for each in READINGS.values()),
        "Course eq. 2.10; Luo eq. 99, 130, 148", "theory", "weights",
    ),
    Equation(
        _BOUND, tr("Three terms"),
        r"-\log p(x_0) \leq L_0 + \sum_{t=2}^{T} L_{t-1} + L_T",
        "Stratos eq. 1; Luo eq. 58; Course proposition 2.3; Kuppa eq. 2.19, 2.20", "theory", "elbo",
    ),
    Equation(
        _BOUND, tr("Reconstruction"),
        r"L_0 = -\mathbb{E}_{q(x_1|x_0)}\,\log p(x_0|x_1)",
        "Stratos eq. 1; Luo eq. 58; Course proposition 2.3; Kuppa eq. 2.19; Ho et al. 2020, eq. 13", "theory",
        "elbo",
    ),
    Equation(
        _BOUND, tr("Denoising matching"),
        r"L_{t-1} = \mathbb{E}\,D_{\mathrm{KL}}(q(x_{t-1}|x_t,x_0)\,\|\,p(x_{t-1}|x_t))",
        "Stratos eq. 1; Luo eq. 58; Course proposition 2.3; Kuppa eq. 2.20", "theory", "elbo",
    ),
    Equation(
        _BOUND, tr("Prior matching"),
        r"L_T = D_{\mathrm{KL}}(q(x_T|x_0)\,\|\,\mathcal{N}(0,I))",
        "Stratos eq. 1; Luo eq. 58; Course proposition 2.3; Kuppa eq. 2.19", "theory", "elbo",
    ),
    Equation(
        _BOUND, tr("Over triples"),
        r"\mathbb{E}_{q(x_{t-1},x_t,x_{t+1}|x_0)}\,\ln\frac{q(x_t|x_{t-1})}{p(x_t|x_{t+1})}",
        "Luo eq. 44", "theory", "elbo",
    ),
    Equation(
        _BOUND, tr("Of any chain"),
        r"L_{s|t} = \mathbb{E}\,D_{\mathrm{KL}}(q_\lambda(x_s|x_t,x_0)\,\|\,p(x_s|x_t))",
        "DDIM eq. 11; Bao et al. 2022", "theory", "elbo",
    ),
    Equation(
        _BOUND, tr("The best reverse variance"),
        r"\sigma_*^2 = \lambda^2 + \left(\sqrt{\bar\alpha_s} - \sqrt{1-\bar\alpha_s-\lambda^2}\,"
        r"\sqrt{\frac{\bar\alpha_t}{1-\bar\alpha_t}}\right)^2 \frac{\mathbb{E}\|x_0-\hat x_0\|^2}{d}",
        "Bao et al. 2022, theorem 1", "theory", "elbo",
    ),
    Equation(
        _BOUND, tr("Posterior variance"),
        r"\tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t",
        "Stratos eq. 13; Luo eq. 85; Course lemma 2.5, remark 2.8", "theory", "schedules",
    ),
    Equation(
        _BOUND, tr("Learned variance"),
        r"\sigma_t^2 = \exp(v\ln\beta_t+(1-v)\ln\tilde\beta_t)", "iDDPM eq. 15", "train",
        "objective.variance",
    ),
    Equation(
        _BOUND, tr("Learned variance, in a step"),
        r"x_s = \mu_{\tilde\beta}(x_t, \quantity{x0}{\hat x_0})"
        r" + \sqrt{\tilde\beta_t}\,(\beta_{t|s}/\tilde\beta_t)^{v/2}\,\quantity{noise}{z}",
        "iDDPM eq. 15", "sample", "sampler.kind", "ddpm",
    ),
    Equation(
        _BOUND, tr("Hybrid loss"),
        r"L_{\mathrm{hybrid}} = L_{\mathrm{simple}} + 0.001\,L_{\mathrm{vlb}}", "iDDPM eq. 16", "train",
        "objective.variance",
    ),
    Equation(
        _GUIDANCE, tr("Classifier-free"),
        r"\quantity{eps}{\hat\varepsilon} = \quantity{guidance}{\gamma}\,\hat\varepsilon(x_t,y)"
        r" + (1-\quantity{guidance}{\gamma})\,\hat\varepsilon(x_t,\varnothing)",
        "Luo eq. 170", "sample", "guidance",
    ),
    Equation(
        _GUIDANCE, tr("By a classifier"),
        r"\nabla\log p(x_t) + \quantity{guidance}{\gamma}\,\nabla\log p(y|x_t)", "Luo eq. 166", "sample",
        "guide.kind",
    ),
    Equation(
        _GUIDANCE, tr("What it samples"),
        r"\nabla\log\left[p(x_t)\,p(y|x_t)^{\quantity{guidance}{\gamma}}\right]",
        tr("Luo eq. 166, 170, corrected"), "plane", "guide.gamma",
    ),
    Equation(
        _GUIDANCE, tr("Asked for a class"), r"p(x_{0:T}|y) = p(x_T)\prod_{t=1}^{T}p_\theta(x_{t-1}|x_t,y)",
        "Luo eq. 162", "train", "training.label_dropout",
    ),
)  # fmt: skip


def equations(choices: Mapping[str, Choice]) -> tuple[Equation, ...]:
    """The fixed ones, one of each member of a family that is chosen from, and those of single parameters.

    Args:
        choices: what is chosen on each page.
    """
    found = list(_FIXED)
    for page, choice in choices.items():
        for path, base in families(choice).items():
            if not any(each.group == base.family for each in found):  # one family may be on several pages
                found += of_family(base, page, f"{path}.kind")
    return (*found, *_of_parameters(choices, {each.latex for each in found}))


def of_family(base: type[Member], page: str, path: str) -> list[Equation]:
    """One of each member, met where the parameter at `path` is."""
    return [
        Equation(base.family, cls.title, cls.formula, cls.source, page, path, kind)
        for kind, cls in members(base).items()
    ]


def _of_parameters(choices: Mapping[str, Choice], known: set[str]) -> list[Equation]:
    """The formulas of parameters that are not known yet; those of other members are met at their family."""
    found = []
    for page, choice in choices.items():
        shown = {knob.path for knob in knobs(choice)}
        for knob in every_knob(choice):
            if knob.formula and knob.source and knob.type != "family" and knob.formula not in known:
                known.add(knob.formula)
                path = knob.path if knob.path in shown else f"{knob.path.rpartition('.')[0]}.kind"
                found.append(Equation(tr("Parameters"), knob.title, knob.formula, knob.source, page, path))
    return found
