"""The equations of a reverse step, of scores, and of the flow and the SDEs behind both."""

from __future__ import annotations

from diffusion_studio.core.theory.equations import Equation
from diffusion_studio.core.words import tr

_STEP, _SCORES = tr("Reverse step"), tr("Scores and flows")

REVERSE = (
    Equation(
        _STEP, tr("Posterior mean"),
        r"\tilde\mu_t = \frac{\sqrt{\alpha_t}(1-\bar\alpha_{t-1})\,x_t + \sqrt{\bar\alpha_{t-1}}\,\beta_t\,"
        r"\quantity{x0}{x_0}}{1-\bar\alpha_t}",
        "Stratos eq. 12; Luo eq. 84; Course lemma 2.5", "sample", "sampler.kind",
    ),
    Equation(
        _STEP, tr("Its noise form"),
        r"\mu_t = \frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,"
        r"\quantity{eps}{\hat\varepsilon}\right)",
        "Stratos eq. 16, 17; Luo eq. 124, 125; Course algorithm 3", "sample", "sampler.kind",
    ),
    Equation(
        _STEP, tr("Its score form"),
        r"\mu_t = \frac{1}{\sqrt{\alpha_t}}\left(x_t + \beta_t\,\quantity{score}{\hat s}\right)",
        "Luo eq. 142, 143", "sample", "sampler.kind",
    ),
    Equation(
        _STEP, tr("Between any two times"),
        r"x_t|x_s \sim \mathcal N(\sqrt{\bar\alpha_t/\bar\alpha_s}\,x_s,\,\beta_{t|s} I),\quad"
        r" \beta_{t|s} = 1-\frac{\bar\alpha_t}{\bar\alpha_s}",
        "VDM appendix A", "sample", "spacing.kind",
    ),
    Equation(
        _STEP, tr("One family"),
        r"x_s = \sqrt{\bar\alpha_s}\,\quantity{x0}{\hat x_0} + \sqrt{1-\bar\alpha_s-\sigma_t^2}\,"
        r"\quantity{eps}{\hat\varepsilon} + \sigma_t\,\quantity{noise}{z},\quad"
        r" \sigma_t^2 \leq 1-\bar\alpha_s",
        "Stratos lemma 3.1; DDIM eq. 7, 12", "sample", "sampler.kind",
    ),
    Equation(
        _STEP, tr("Inverted"),
        r"x_t = \sqrt{\bar\alpha_t}\,\quantity{x0}{\hat x_0(x_s)} + \sqrt{1-\bar\alpha_t}\,"
        r"\quantity{eps}{\hat\varepsilon(x_s)},\quad t > s",
        "DDIM §4.3", "sample", "start.kind",
    ),
)  # fmt: skip

SCORES = (
    Equation(
        _SCORES, tr("Score of x_t"),
        r"\nabla\log p(x_t) = -\frac{\mathbb E[\quantity{eps}{\varepsilon}\,|\,x_t]}{\sqrt{1-\bar\alpha_t}}",
        tr("Luo eq. 151, corrected; Vincent 2011"), "plane", "t",
    ),
    Equation(
        _SCORES, tr("Energy"),
        r"\quantity{score}{s_\theta(x)} = -\nabla f_\theta(x) = \nabla\log p_\theta(x)",
        "Luo eq. 152–156", "plane", "t",
    ),
    Equation(
        _SCORES, tr("Fisher divergence"),
        r"\mathbb E_{p(x)}\|\quantity{score}{s_\theta(x)}-\nabla\log p(x)\|^2", "Luo eq. 157", "plane",
        "learning.objective",
    ),
    Equation(
        _SCORES, tr("Without weights"),
        tr(r"p = c_1p_1 + c_2p_2:\; \nabla\log p \approx \nabla\log p_k \text{ near mode } k"), "Luo eq. 159",
        "plane", "process.steps",
    ),
    Equation(
        _SCORES, tr("Noise levels"),
        r"p_{\sigma_t}(x_t) = \int p(x)\,\mathcal N(x_t;\,x,\,\sigma_t^2 I)\,dx", "Luo eq. 160", "plane",
        "learning.levels",
    ),
    Equation(
        _SCORES, tr("Score matching over all levels"),
        r"\sum_t\lambda_t\,\mathbb E\|\quantity{score}{s_\theta(x_t,t)}-\nabla\log p_{\sigma_t}(x_t)\|^2",
        "Luo eq. 161", "plane", "learning.levels",
    ),
    Equation(
        _SCORES, tr("Forward SDE"), r"dx = -\tfrac12\beta x\,dt + \sqrt\beta\,dW", "score SDE eq. 11",
        "train", "diffusion.schedule.kind",
    ),
    Equation(
        _SCORES, tr("Reverse SDE"),
        r"dx = \left(-\tfrac12\beta x - \beta\,\quantity{score}{s}\right)dt + \sqrt\beta\,d\bar W",
        "score SDE eq. 6", "sample", "sampler.kind", "reverse_sde",
    ),
    Equation(
        _SCORES, tr("Probability flow"),
        r"dx = \left(-\tfrac12\beta x - \tfrac12\beta\,\quantity{score}{s}\right)dt,\quad"
        r" \frac{d(x/\sqrt{\bar\alpha})}{d\varsigma} = \quantity{eps}{\hat\varepsilon}",
        "score SDE eq. 13; DDIM eq. 14", "sample", "sampler.kind", "euler",
    ),
    Equation(
        _SCORES, tr("Likelihood along the flow"), r"\frac{d\log p_t(x)}{dt} = -\nabla\cdot f(x,t)",
        "score SDE eq. 39", "plane", "t",
    ),
)  # fmt: skip
