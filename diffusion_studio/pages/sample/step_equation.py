"""The equation of one reverse step: its terms as LaTeX, and the same line with its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from diffusion_studio.core.guidance.guides import Guide
from diffusion_studio.core.steps.update import SYMBOLS, Quantity, Update
from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.viewmodels.sample.chain_views import StepNumbers
from diffusion_studio.widgets.equations.equation import Term
from diffusion_studio.widgets.look.theme import subscripts


@dataclass(frozen=True)
class Meaning:
    """How a quantity looks and what is said of it."""

    color: str
    tooltip: str


MEANINGS: dict[Quantity, Meaning] = {
    "x_t": Meaning("xt", tr("The present state of the chain")),
    "x0_hat": Meaning("x0", tr("The estimate of the image at this step")),
    "eps_hat": Meaning("eps", tr("The estimate of the noise at this step")),
    "x0_next": Meaning("x0", tr("The estimate of the image further down within this step")),
    "x0_before": Meaning("x0", tr("The estimate of the image at the step before")),
    "x0_before_2": Meaning("x0", tr("The estimate of the image two steps before")),
    "eps_next": Meaning("eps", tr("The estimate of the noise at the end of an Euler step")),
    "eps_middle": Meaning("eps", tr("The mean of two estimates of the noise in the middle of the step")),
    "eps_before": Meaning("eps", tr("The estimate of the noise at the step before")),
    "eps_before_2": Meaning("eps", tr("The estimate of the noise two steps before")),
    "eps_before_3": Meaning("eps", tr("The estimate of the noise three steps before")),
    "noise": Meaning("noise", tr("Fresh noise of this step")),
    "class_gradient": Meaning("guidance", tr("Where the class becomes more likely, says the classifier")),
    "learned_noise": Meaning(
        "noise",
        tr("Fresh noise of this step, wider in each pixel as the network says: v is 0 at β̃ and 1 at β"),
    ),
    "learned_gradient": Meaning(
        "guidance", tr("What the classifier adds to the mean, times the variance of each pixel")
    ),
}


@dataclass(frozen=True)
class Acts:
    """Where a term of the equation acts."""

    controls: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    words: str = ""


_GUIDANCE = ("guidance", "guide.kind", "curve.kind", "guide.form")
_GUIDE_CURVE = "‖ε̂(y) − ε̂(∅)‖"
_SIGMA = ("sampler.eta", "sampler.variance", "sampler.points", "sampler.size", "sampler.ratio")
ACTS = {
    "x_s": Acts(words=tr("the next state: x_t one step on")),
    "x_t": Acts(("seed",), (), tr("the state: view x_t (T)")),
    "x0_hat": Acts(("clip.kind", "guidance"), ("ᾱ",), tr("the image: view x̂₀ (X), curve ᾱ")),
    "x0_next": Acts(("guidance",), (), tr("the image, estimated further down within the step")),
    "x0_before": Acts(("steps",), (), tr("the image one step before")),
    "x0_before_2": Acts(("steps",), (), tr("the image two steps before")),
    "eps_hat": Acts(("guidance", *_SIGMA), ("‖ε̂‖",), tr("the noise: view ε̂ (E), curve ‖ε̂‖")),
    "eps_next": Acts(("guidance",), ("‖ε̂‖",), tr("ε̂ after a first Euler step")),
    "eps_middle": Acts(("guidance",), ("‖ε̂‖",), tr("ε̂ in the middle of the step, the mean of two")),
    "eps_before": Acts(("steps",), ("‖ε̂‖",), tr("the noise one step before")),
    "eps_before_2": Acts(("steps",), ("‖ε̂‖",), tr("the noise two steps before")),
    "eps_before_3": Acts(("steps",), ("‖ε̂‖",), tr("the noise three steps before")),
    "noise": Acts(("seed", *_SIGMA), ("σ",), tr("fresh noise: view z (N), curve σ")),
    "class_gradient": Acts(_GUIDANCE, (_GUIDE_CURVE,), tr("the classifier's gradient: view γ (G)")),
    "unguided": Acts(("guide.negative", "guide.step"), (), tr("ε̂ without the class")),
    "direction": Acts(_GUIDANCE, (_GUIDE_CURVE,), tr("what guidance adds: view γ (G)")),
    "learned_noise": Acts(
        ("seed", "sampler.variance"), ("σ",), tr("fresh noise, its size learned: view z (N), curve σ")
    ),
    "learned_gradient": Acts(
        _GUIDANCE, (_GUIDE_CURVE,), tr("the classifier's gradient, times σ²: view γ (G)")
    ),
}


def equation_of(step: StepNumbers | None, spec: SampleSpec) -> tuple[list[Term], list[Term], str]:
    """Formula, numbers and caption of a step of the chain `spec`; None: there is none left."""
    if step is None:
        return [Term("x_0", "x0")], [], tr("the finished image")
    formula, numbers = step_equation(step.update, step.s)
    if step.gamma is not None:
        formula, numbers = with_guidance(formula, numbers, spec.guide, step.gamma)
    return formula, numbers, f"t = {step.t} → s = {step.s} · {type(spec.sampler).source}"


def step_equation(update: Update, s: int) -> tuple[list[Term], list[Term]]:
    """The formula of the step down to s, and the line with its numbers."""
    state = Term("x_s", "xt", tr("The next state"), "x_s")
    formula, numbers = [state, Term("=")], [Term(text=f"x{subscripts(s)} =")]
    _add(update, formula, numbers)
    if update.inner is not None and update.when != "probe" and update.repeats:
        inner_formula, inner_numbers = [Term(r"x \leftarrow")], [Term(text="x ←")]
        _add(update.inner, inner_formula, inner_numbers)
        times = Term(text=f"{update.repeats} ×", color_key="muted")
        then = Term(text=tr("then"), color_key="muted", opens=True)
        parts = [(formula, numbers), ([times, *inner_formula], [times, *inner_numbers])]
        first, second = parts if update.when == "after" else reversed(parts)
        return [*first[0], then, *second[0]], [*first[1], then, *second[1]]
    return formula, numbers


def with_guidance(
    formula: list[Term], numbers: list[Term], guide: Guide, gamma: float
) -> tuple[list[Term], list[Term]]:
    """A step's equation with what guidance makes of ε̂."""
    if guide.parts is None:
        return formula, numbers
    unguided, direction = guide.parts
    whereas = Term(text=tr("with"), color_key="muted", opens=True)
    eps = Term(r"\hat\varepsilon", "eps", tr("The guided estimate of the noise"), "eps_hat")
    plain = Term(unguided, "eps", tr("The estimate of the noise at γ = 0"), "unguided")
    push = Term(direction, "guidance", tr("What guidance adds for each unit of γ"), "direction")
    strength = Term(r"\gamma_t", "guidance", number(gamma, ".4g"), "direction")
    return (
        [*formula, whereas, eps, Term("="), plain, Term("+"), strength, push],
        [*numbers, whereas, eps, Term("="), plain, Term(text=f"+ {_number(gamma)}"), push],
    )


def _add(update: Update, formula: list[Term], numbers: list[Term]) -> None:
    """Appends every term of the update."""
    for place, term in enumerate(update.terms):
        meaning = MEANINGS[term.quantity]
        minus = term.value < 0
        latex, sign = _signed(term.formula, minus)
        if place or sign == "-":
            formula.append(Term(sign))
        if latex:
            formula.append(Term(latex, tooltip=number(abs(term.value), ".4g"), name=term.quantity))
        formula.append(Term(SYMBOLS[term.quantity], meaning.color, meaning.tooltip, term.quantity))
        lead = ("− " if minus else "") if not place else ("− " if minus else "+ ")
        numbers.append(Term(text=f"{lead}{_number(abs(term.value))}"))
        numbers.append(Term(SYMBOLS[term.quantity], meaning.color))


def _signed(latex: str, minus: bool) -> tuple[str, str]:
    """A coefficient without the minus that it carries itself, and its sign in the sum."""
    if minus and r"\frac{-" in latex:
        return latex.replace(r"\frac{-", r"\frac{", 1), "-"
    return latex, "+"


def _number(value: float) -> str:
    return number(value, ".3f" if 0.001 <= value < 100 or value == 0 else ".2e")
