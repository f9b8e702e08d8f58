"""Where the references err: as printed, corrected, and the numbers that decide it."""

from __future__ import annotations

import torch

from diffusion_studio.core.denoisers.exact import GaussianDenoiser
from diffusion_studio.core.objective.elbo import (
    consistency_term,
    continuous_term,
    fixed_variance,
    last_term,
    printed_consistency_term,
    prior_term,
    term,
)
from diffusion_studio.core.objective.weights import (
    ddim_elbo_weight,
    ddpm_elbo_weight,
    printed_ddim_weight,
    reverse_variance,
)
from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.theory.erratum import Deciding, Erratum
from diffusion_studio.core.theory.further_errata import FURTHER
from diffusion_studio.core.words import tr

STEPS = 1000  # of the linear schedule that the numbers are taken from


def _linear() -> Tables:
    return Tables.from_betas(LinearSchedule().betas(STEPS))


def _ddim_weight() -> tuple[Deciding, ...]:
    tables = _linear()
    variance = reverse_variance(tables)
    weights = [f(tables, variance) for f in (printed_ddim_weight, ddim_elbo_weight, ddpm_elbo_weight)]
    return tuple(
        Deciding(tr("λ at t = {t}", t=t), *(float(w[t]) for w in weights)) for t in (2, 100, 500, 1000)
    )


def _posterior_variance() -> tuple[Deciding, ...]:
    """Kuppa theorem 2.5 against Bayes' rule: 1/σ² = α_t/β_t + 1/(1 − ᾱ_{t−1})."""
    tables = _linear()
    found = []
    for t in (2, 10, 100, 1000):
        before, rest = tables.alpha_bar_at(t - 1), 1 - tables.alpha_bar_at(t)
        beta = float(tables.beta[t])
        bayes = 1 / ((1 - beta) / beta + 1 / (1 - before))
        found.append(
            Deciding(
                tr("σ² at t = {t}", t=t), beta * (1 - before**0.5) / rest, beta * (1 - before) / rest, bayes
            )
        )
    return tuple(found)


def _ddim_marginal() -> tuple[Deciding, ...]:
    """The variance that x_{t−1} has given x_0 must be 1 − ᾱ_{t−1}; σ² is DDPM's."""
    tables = _linear()
    found = []
    for t in (2, 10, 100, 1000):
        rest, sigma2 = 1 - tables.alpha_bar_at(t - 1), float(tables.beta_tilde[t])
        found.append(
            Deciding(tr("Var(x_s | x₀) at t = {t}", t=t), rest + sigma2, rest - sigma2 + sigma2, rest)
        )
    return tuple(found)


def _noise_mean() -> tuple[Deciding, ...]:
    """μ̃ for x_0 = 1 and ε = 0, from the mean of the posterior itself."""
    tables = _linear()
    found = []
    for t in (2, 100, 500, 1000):
        alpha_bar, before = tables.alpha_bar_at(t), tables.alpha_bar_at(t - 1)
        alpha, beta, x_t = float(tables.alpha[t]), float(tables.beta[t]), alpha_bar**0.5
        truth = (alpha**0.5 * (1 - before) * x_t + before**0.5 * beta) / (1 - alpha_bar)
        found.append(Deciding(tr("μ̃ at t = {t}", t=t), x_t / alpha_bar**0.5, x_t / alpha**0.5, truth))
    return tuple(found)


def _stressed_times() -> tuple[Deciding, ...]:
    """Weight of the ε error when x_0 is trained with weight 1, against that of small t."""
    tables = _linear()
    ratio = 1 / tables.snr
    found = []
    for t in (10, 100, 500, 1000):
        relative = float(ratio[t] / ratio[10])
        found.append(Deciding(tr("weight at t = {t} ÷ at t = 10", t=t), 1 / relative, relative, relative))
    return tuple(found)


def _marginal_score() -> tuple[Deciding, ...]:
    """Mean square of both scores for data N(0, 0.25 I): the true one is 1 / Var(x_t)."""
    tables = _linear()
    found = []
    for t in (10, 100, 300, 1000):
        alpha_bar = tables.alpha_bar_at(t)
        true = 1 / (0.25 * alpha_bar + 1 - alpha_bar)
        found.append(Deciding(tr("E‖score‖² per dimension at t = {t}", t=t), 1 / (1 - alpha_bar), true, true))
    return tuple(found)


def _monotone() -> tuple[Deciding, ...]:
    """λ^DDPM against what a falling weight would be at most: the least value before."""
    weight = ddpm_elbo_weight(_linear(), reverse_variance(_linear()))
    found = []
    for t in (2, 350, 700, 1000):
        at_most = float(weight[1 : t + 1].min())
        found.append(Deciding(tr("λ at t = {t}", t=t), at_most, float(weight[t]), float(weight[t])))
    return tuple(found)


def _nodes(dims: int, std: float) -> tuple[torch.Tensor, ...]:
    """Points and masses that integrate x_0 ~ N(0, std²) and `dims` noises exactly up to degree 5."""
    points = torch.tensor([-(3**0.5), 0.0, 3**0.5], dtype=torch.float64)
    masses = torch.tensor([1 / 6, 2 / 3, 1 / 6], dtype=torch.float64)
    grid = torch.cartesian_prod(*[points] * (dims + 1)).reshape(-1, dims + 1)
    mass = torch.cartesian_prod(*[masses] * (dims + 1)).reshape(-1, dims + 1).prod(1)
    return mass, std * grid[:, :1], *(grid[:, k : k + 1] for k in range(1, dims + 1))


def _other_decomposition() -> tuple[Deciding, ...]:
    """The bound for an exact denoiser of N(0, 0.36), cosine schedule, by Luo eq. 45, by 44, and by 58."""
    found = []
    for steps in (5, 10, 20):
        tables, std = Tables.from_betas(CosineSchedule().betas(steps)), 0.6
        variance = reverse_variance(tables, "forward")
        model = fixed_variance(GaussianDenoiser(tables, std=std), variance)
        mass, x, e = _nodes(1, std)
        first = float((mass * term(model, tables, 1, x, e, continuous_term)).sum())
        last = float((mass * last_term(tables, x, e)).sum())
        bound = float((mass * prior_term(tables, x)).sum()) + sum(
            float((mass * term(model, tables, t, x, e, continuous_term)).sum()) for t in range(1, steps + 1)
        )
        mass3, x3, *noises = _nodes(3, std)
        one, two, three = noises
        sums = [
            first + last + sum(
                float((mass3 * f(model, tables, t, x3, (one, two, three))).sum()) for t in range(1, steps)
            )
            for f in (printed_consistency_term, consistency_term)
        ]  # fmt: skip
        found.append(Deciding(tr("bound at T = {steps}, nats", steps=steps), sums[0], sums[1], bound))
    return tuple(found)


ERRATA = (
    Erratum(
        "ddim_weight", "Stratos eq. 25, footnote 2", tr("The weight of DDIM's bound"),
        r"\lambda_t = \frac{\beta_t+(1-\beta_t)\sigma_t^2}{2\sigma_t^2(1-\beta_t)}",
        r"\lambda_t = \frac{(\sqrt{\bar\alpha_{t-1}}-c\sqrt{\bar\alpha_t})^2(1-\bar\alpha_t)}"
        r"{2\sigma_t^2\bar\alpha_t},\quad c=\sqrt{\frac{1-\bar\alpha_{t-1}-\sigma_t^2}{1-\bar\alpha_t}}",
        tr(
            "The footnote replaces (√a − √b)² by (√(a − b))². With σ² = β̃ both chains are the same "
            "(Corollary 3.2 of the same note), so the weight must be that of DDPM. As printed it is one "
            "more, at every t; for most t that is a hundred times too much."
        ),
        tr("λ of DDPM"), _ddim_weight,
    ),
    Erratum(
        "posterior_variance", "Kuppa theorem 2.5", tr("The variance of q(x_{t−1} | x_t, x₀)"),
        r"\sigma_q^2 = \frac{(1-\alpha_t)(1-\sqrt{\bar\alpha_{t-1}})}{1-\bar\alpha_t}",
        r"\sigma_q^2 = \frac{(1-\alpha_t)(1-\bar\alpha_{t-1})}{1-\bar\alpha_t} = \tilde\beta_t",
        tr(
            "A root too many. (The text also writes α for both α and ᾱ; read as printed, its fractions "
            "cancel to nonsense.) Two Gaussians multiplied by Bayes' rule have 1/σ² = α/β + 1/(1 − ᾱ_{t−1}), "
            "which is β̃."
        ),
        tr("Bayes' rule"), _posterior_variance,
    ),
    Erratum(
        "ddim_marginal", "Kuppa §2.1.6", tr("The conditional that keeps the marginals"),
        r"\mathcal{N}(\sqrt{\bar\alpha_{t-1}}x_0+\sqrt{1-\bar\alpha_{t-1}}\,\varepsilon,\;\sigma_t^2)",
        r"\mathcal{N}(\sqrt{\bar\alpha_{t-1}}x_0+\sqrt{1-\bar\alpha_{t-1}-\sigma_t^2}\,\varepsilon,"
        r"\;\sigma_t^2)",
        tr(
            "The noise that is added must be taken from the other part, or x_{t−1} has too much of it. The "
            "text's own later lines have the right root. Its heading “L1” introduces a squared L2 loss."
        ),
        "1 − ᾱ_{t−1}", _ddim_marginal,
    ),
    Erratum(
        "noise_mean", tr("Course §2.4, noise form of μ"), tr("The mean of a reverse step"),
        r"\mu = \frac{1}{\sqrt{\bar\alpha_t}}\left(x_t-\frac{1-\alpha_t}{\sqrt{1-\bar\alpha_t}}"
        r"\varepsilon\right)",
        r"\mu = \frac{1}{\sqrt{\alpha_t}}\left(x_t-\frac{1-\alpha_t}{\sqrt{1-\bar\alpha_t}}"
        r"\varepsilon\right)",
        tr(
            "One step undoes one factor √α_t, not all t of them, as the text's own Algorithm 3 has it. "
            "Without noise (ε = 0) and with x₀ = 1, the mean must be √ᾱ_{t−1}; as printed it is 1 at every "
            "t: the image in one step."
        ),
        tr("posterior mean"), _noise_mean,
    ),
    Erratum(
        "stressed_times", "Course remark 2.7", tr("Which times training on x₀ stresses"),
        tr(r"\text{the } x_0 \text{ error stresses small } t"),
        tr(
            r"\|x_0-\hat x_0\|^2 = \frac{1-\bar\alpha_t}{\bar\alpha_t}\|\varepsilon-\hat\varepsilon\|^2,"
            r"\;\text{which grows with } t"
        ),
        tr(
            "By the remark's own equation 2.10 the x₀ error is (1 − ᾱ)/ᾱ times the ε error, and that factor "
            "grows with t. Relative to training on ε, training on x₀ stresses large t."
        ),
        "(1 − ᾱ)/ᾱ", _stressed_times,
    ),
    Erratum(
        "marginal_score", "Luo eq. 151", tr("The score of x_t"),
        r"\nabla\log p(x_t) = -\frac{\varepsilon_0}{\sqrt{1-\bar\alpha_t}}",
        r"\nabla\log p(x_t) = -\frac{\mathbb{E}[\varepsilon_0\,|\,x_t]}{\sqrt{1-\bar\alpha_t}}",
        tr(
            "What is printed is the score of q(x_t | x₀), for the one noise that was added. The score of "
            "p(x_t) is its average over every x₀ that could have led to x_t. A network trained on the first "
            "learns the second, because the best answer to a squared error is the mean."
        ),
        tr("1 / Var(x_t), data N(0, ¼)"), _marginal_score,
    ),
    Erratum(
        "monotone", "Stratos §2.3", tr("Whether the weight falls with t"),
        tr(r"\lambda_t \text{ is larger for small } t"),
        tr(r"\lambda_2 > \lambda_{350} < \lambda_{1000}\;\text{(linear schedule)}"),
        tr(
            "True of the left end only. For the linear schedule with σ² = β̃ the weight falls from 0.6 at t "
            "= 2 to 0.005 at t ≈ 350 and doubles again until T. The first column is the most that a falling "
            "weight could be."
        ),
        tr("λ of DDPM"), _monotone,
    ),
    Erratum(
        "other_decomposition", "Luo eq. 45; Kuppa §2.1.3", tr("The bound over neighbours"),
        r"\mathbb{E}_{q(x_{t-1},x_{t+1}|x_0)}\,D_{\mathrm{KL}}(q(x_t|x_{t-1})\,\|\,p(x_t|x_{t+1}))",
        r"\mathbb{E}_{q(x_{t-1},x_t,x_{t+1}|x_0)}\,\ln\frac{q(x_t|x_{t-1})}{p(x_t|x_{t+1})}",
        tr(
            "Going from 44 to 45 the text averages over x_t as if x_{t+1} were not known, but x_{t+1} was "
            "made from that very x_t. The KL divergence draws a fresh x_t instead, and the sum is no longer "
            "the bound. The form of Luo eq. 44 is right; it needs x_t itself, which is why its estimate "
            "scatters so much more than that of Luo eq. 58. (Step 6 of Kuppa states outright that x_t given "
            "x_{t−1}, x_{t+1} and x_0 has the law of x_t given x_{t−1}.) Cosine schedule."
        ),
        tr("the bound by Luo eq. 58"), _other_decomposition,
    ),
    *FURTHER,
)  # fmt: skip
