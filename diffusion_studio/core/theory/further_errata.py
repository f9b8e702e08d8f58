"""Further slips of the references: claims that hold less widely than they are stated."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffusion_studio.core.autoencoder.gaussians import kl_to_standard
from diffusion_studio.core.process.schedules import LinearSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.theory.erratum import Deciding, Erratum
from diffusion_studio.core.words import number, tr

STD = 0.5  # of the data N(0, ¼), whose every figure is known


def _linear() -> Tables:
    return Tables.from_betas(LinearSchedule().betas(1000))


def _kernels() -> tuple[Deciding, ...]:
    """How many c solve σ² + c² (1−ᾱ_t) = 1−ᾱ_s, by formula and by looking for changes of sign."""
    tables, found = _linear(), []
    room, rest = 1 - tables.alpha_bar_at(300), 1 - tables.alpha_bar_at(500)
    for share in (0.0, 0.5, 1.5):
        radicand = room * (1 - share) / rest
        c = torch.linspace(-2, 2, 1000, dtype=torch.float64)
        excess = torch.sign(share * room + c**2 * rest - room)
        seen = int((excess[1:] != excess[:-1]).sum())
        found.append(
            Deciding(tr("kernels for σ² = {share:g} (1 − ᾱ_s)", share=share), 1, 2 * (radicand > 0), seen)
        )
    return tuple(found)


def _at_the_image() -> tuple[Deciding, ...]:
    """The step to x_0 adds σ², and no factor c of x_t makes room for it."""
    tables = _linear()
    named = {"β_1": float(tables.beta[1]), "β̃_2": float(tables.beta_tilde[2]), number(0.01): 0.01}
    return tuple(Deciding(f"Var(x_0 | x_0), σ² = {name}", value, 0, 0) for name, value in named.items())


def _trivial_optimum() -> tuple[Deciding, ...]:
    """ln SNR from +end to −end over data N(0, ¼), in the limit of many steps."""
    found = []
    for end in (8, 4, 1, 0.01):
        first, last = STD**2 * math.exp(end), STD**2 * math.exp(-end)
        matching = 0.5 * (math.log1p(first) - math.log1p(last))  # ½ ∫ E‖x_0 − x̂_0‖² dSNR
        alpha_bar = 1 / (1 + math.exp(end))
        left = STD**2 / (1 + first)  # Var(x_0 | x_1)
        prior = 0.5 * (alpha_bar * STD**2 - alpha_bar - math.log(1 - alpha_bar))
        whole = matching + _entropy(left) + prior
        variance = alpha_bar * STD**2 + 1 - alpha_bar  # of x_T
        truth = _entropy(STD**2) + 0.5 * (variance - 1 - math.log(variance))
        found.append(Deciding(tr("ends of ln SNR ± {end:g}, nats", end=end), matching, whole, truth))
    return tuple(found)


def _entropy(variance: float) -> float:
    return 0.5 * math.log(2 * math.pi * math.e * variance)


def _guided_score() -> tuple[Deciding, ...]:
    """Both sides of Luo eq. 170, and the score of p(x_t) p(y|x_t)^γ, for two classes at ±1."""
    alpha_bar, found = _linear().alpha_bar_at(300), []

    def logs(x: Tensor) -> tuple[Tensor, Tensor]:
        """(ln p(x_t|y), ln p(x_t)), up to a constant."""
        variance = 0.04 * alpha_bar + 1 - alpha_bar
        both = torch.stack([-((x - sign * alpha_bar**0.5) ** 2) / (2 * variance) for sign in (1, -1)])
        return both[0], torch.logsumexp(both, 0) - math.log(2)

    for gamma in (0.0, 2.0, 4.0):
        x = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
        told, plain = logs(x)
        tilted = plain + gamma * (told - plain)
        of_told, of_plain, of_tilted = (
            float(torch.autograd.grad(each, x, retain_graph=True)[0]) for each in (told, plain, tilted)
        )
        right = gamma * of_told + (1 - gamma) * of_plain
        found.append(
            Deciding(tr("score at x = 0.2, t = 300, γ = {gamma:g}", gamma=gamma), of_told, of_tilted, right)
        )
    return tuple(found)


def _inside_the_logarithm() -> tuple[Deciding, ...]:
    """−KL of a Gaussian encoder whose k latents are alike."""
    found = []
    for mean, std, k in ((0.0, 1.0, 8), (0.0, 1.0, 2), (0.5, 0.5, 4)):
        log_variance = torch.full((k,), 2 * math.log(std), dtype=torch.float64)
        truth = -float(kl_to_standard(torch.full_like(log_variance, mean), log_variance).sum())
        rest = k * (-(std**2) - mean**2)
        printed = 0.5 * (rest + k * math.log(std**2 + k))
        corrected = 0.5 * (rest + k * math.log(std**2) + k)
        found.append(
            Deciding(
                tr("−KL at μ = {mean:g}, σ = {std:g}, k = {k}", mean=mean, std=std, k=k),
                printed,
                corrected,
                truth,
            )
        )
    return tuple(found)


def _noise_coefficient() -> tuple[Deciding, ...]:
    """What multiplies ε in the posterior mean, from the mean itself."""
    tables, found = _linear(), []
    for t in (2, 100, 500, 1000):
        alpha, rest, before = float(tables.alpha[t]), 1 - tables.alpha_bar_at(t), tables.alpha_bar_at(t - 1)
        of_x_0 = before**0.5 * (1 - alpha) / rest
        truth = of_x_0 * rest**0.5 / tables.alpha_bar_at(t) ** 0.5
        printed, corrected = ((1 - alpha) / (alpha * under) ** 0.5 for under in (1 - alpha, rest))
        found.append(Deciding(tr("coefficient at t = {t}", t=t), printed, corrected, truth))
    return tuple(found)


FURTHER = (
    Erratum(
        "only_kernel", "Stratos lemma 3.1", tr("How many kernels keep the marginals"),
        tr(r"\text{the only distribution of the form } \mathcal N(c\,x_t+b,\,\sigma_t^2 I)"),
        r"c = \pm\sqrt{\frac{1-\bar\alpha_s-\sigma_t^2}{1-\bar\alpha_t}},\quad"
        r" \sigma_t^2 \leq 1-\bar\alpha_s",
        tr(
            "The proof asks for σ² + c² (1 − ᾱ_t) = 1 − ᾱ_s, and takes the positive root of it. The negative "
            "one keeps the marginals as well, with the noise of x_t turned round; and above 1 − ᾱ_s there is "
            "none, which the lemma does not say."
        ),
        tr("changes of sign that are counted"), _kernels,
    ),
    Erratum(
        "noise_at_the_image", "Stratos eq. 24, §3.3", tr("The last step, to the image"),
        r"x_0 \sim \mathcal N(f_\theta + \sqrt{1-\bar\alpha_0-\sigma_{\tau_1}^2}\,\varepsilon_\theta,\,"
        r"\sigma_{\tau_1}^2 I)",
        r"\sigma_{\tau_1} = 0",
        tr(
            "At l = 1 the root is √(1 − ᾱ_0 − σ²) = √(−σ²): no such kernel exists unless σ at τ_1 is 0, and "
            "then the weight of equation 25 divides by 0 there. x_0 given x_0 has no variance; the printed "
            "step adds σ² to it."
        ),
        tr("of a point"), _at_the_image,
    ),
    Erratum(
        "first_variance", "Course eq. 2.6, 2.7, 2.8, remark 2.8; Kuppa §2.1.4", tr("The variance at t = 1"),
        r"\sigma_1^2 = \tilde\beta_1 = \frac{\beta_1(1-\bar\alpha_0)}{1-\bar\alpha_1}",
        tr(r"\tilde\beta_1 = 0,\quad \text{so } \sigma_1^2 > 0 \text{ must be chosen: } \tilde\beta_2"),
        tr(
            "With the recommended variance σ_1² is 0, and it stands in a denominator of the very sums that "
            "it is recommended for, in log p(x_0|x_1) too. The literature puts β̃_2 there, as this program "
            "does."
        ),
    ),
    Erratum(
        "trivial_optimum", "Luo eq. 100", tr("Learning the schedule by the matching terms"),
        r"\arg\min_{\theta,\eta}\ \mathbb E_t\,D_{\mathrm{KL}}(q(x_{t-1}|x_t,x_0)\,\|\,p_\theta)",
        r"\arg\min_{\theta,\eta}\ L_0 + \sum_t L_{t-1} + L_T",
        tr(
            "The text says that 100 must now optimise over the schedule as well. Without reconstruction and "
            "prior that has a trivial optimum, a constant SNR: the closer its ends, the smaller the sum. "
            "With both, the whole is the bound, and never below what the data cost. Data N(0, ¼), its exact "
            "denoiser."
        ),
        tr("entropy and KL(x_T ‖ N(0, 1))"), _trivial_optimum,
    ),
    Erratum(
        "guided_score", "Luo eq. 166, 168–170", tr("What guidance follows"),
        r"\nabla\log p(x_t|y) = \gamma\nabla\log p(x_t|y) + (1-\gamma)\nabla\log p(x_t)",
        r"\nabla\log\left[p(x_t)\,p(y|x_t)^\gamma\right] = \gamma\nabla\log p(x_t|y)"
        r" + (1-\gamma)\nabla\log p(x_t)",
        tr(
            "For γ ≠ 1 the left side is not the conditional score; read literally, 170 forces both scores to "
            "be equal. The right side is the score of p(x_t) times p(y|x_t) to the power γ, at one t, and "
            "these densities are not the noised versions of one another, so no chain samples any of them "
            "exactly. Two classes N(±1, 0.2²)."
        ),
        tr("right side of 170"), _guided_score,
    ),
    Erratum(
        "mean_of_draws", "Luo eq. 22, 161", tr("Two letters"),
        r"\sum_{l=1}^{L}\log p(x|z^{(l)})\,,\quad s_\theta(x,t)",
        r"\frac1L\sum_{l=1}^{L}\log p(x|z^{(l)})\,,\quad s_\theta(x_t,t)",
        tr(
            "The estimate of an expectation by L draws is their mean; as printed, more draws would weigh the "
            "reconstruction more. And the network that learns all noise levels is asked about x_t."
        ),
    ),
    Erratum(
        "inside_the_logarithm", "Course §1.2.3", tr("The KL term in the last ELBO of the section"),
        r"\sum_{i=1}^{k}\log[\sigma_\phi^2(x)_i + k]",
        r"\sum_{i=1}^{k}\log[\sigma_\phi^2(x)]_i + k",
        tr(
            "The bracket closes too late, and k comes to stand inside the logarithm. For an encoder that is "
            "the prior the term must vanish."
        ),
        tr("−KL of k latents"), _inside_the_logarithm,
    ),
    Erratum(
        "noise_coefficient", "Kuppa §2.1.5", tr("The coefficient of the noise"),
        r"\mu = \frac{1}{\sqrt{\alpha_t}}x_t - \frac{1-\alpha_t}{\sqrt{\alpha_t(1-\alpha_t)}}\,\varepsilon",
        r"\mu = \frac{1}{\sqrt{\alpha_t}}x_t - \frac{1-\alpha_t}{\sqrt{\alpha_t(1-\bar\alpha_t)}}\,"
        r"\varepsilon",
        tr(
            "The second root has the noise of all steps under it, 1 − ᾱ_t, not that of one. The bound of the "
            "same section has the same slip in its weight."
        ),
        tr("from the posterior mean"), _noise_coefficient,
    ),
    Erratum(
        "shared_network", "Stratos footnote 1", tr("When weights do not matter"),
        tr(r"\lambda_t \leftarrow 1 \text{ changes the objective, also for a network of each } t"),
        tr(r"\text{a network of its own for each } t:\quad \text{the same optimum for all } {\lambda_t > 0}"),
        tr(
            "Networks that are not shared over t are fitted one by one, and a factor before the loss of each "
            "does not move its optimum. With one network for all t it does: there the weights say what is "
            "sacrificed for what."
        ),
    ),
    Erratum(
        "small", tr("Course §2.4; Kuppa §2.1.3; Luo after eq. 60"), tr("Small slips"),
        tr(r"{\alpha_0 = 1\,,\quad \text{reconstruction terms}\,,\quad 2T \text{ variables}}"),
        tr(r"{\bar\alpha_0 = 1\,,\quad \text{one reconstruction term}\,,\quad 2(T+1) \text{ variables}}"),
        tr(
            "The product over no step is 1, not a step of its own. Only the step to the image reconstructs; "
            "the others match. And {ε*_t, ε_t} for t = 0 … T are T + 1 pairs."
        ),
    ),
)  # fmt: skip
