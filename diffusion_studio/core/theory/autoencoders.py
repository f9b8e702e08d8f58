"""The equations of autoencoders and of the way from them to diffusion, as the references number them."""

from __future__ import annotations

from diffusion_studio.core.theory.equations import Equation
from diffusion_studio.core.words import tr

_PAGE = "autoencoder"
_CODES, _BOUND, _LEVELS = tr("Autoencoders"), tr("The bound of a VAE"), tr("Hierarchy and bridge")

AUTOENCODERS = (
    Equation(
        _CODES, tr("A code and back"), r"z = E(\quantity{x0}{x}),\quad \quantity{x0}{\hat x} = D(z)",
        "Course §1.1", _PAGE, "code.size",
    ),
    Equation(
        _CODES, tr("Reconstruction loss"), r"\mathbb{E}\,\|\quantity{x0}{x} - D(E(\quantity{x0}{x}))\|^2",
        "Course §1.1", _PAGE, "code.network",
    ),
    Equation(
        _CODES, tr("Probabilistic PCA"),
        r"W = U(\Lambda-\sigma^2 I)^{1/2}R,\quad \sigma^2 = \frac{1}{d-k}\sum_{i>k}\lambda_i",
        "Tipping & Bishop 1999, eq. 7, 8", _PAGE, "code.size",
    ),
    Equation(
        _BOUND, tr("Marginal and chain rule"), r"p(x) = \int p(x,z)\,dz = \frac{p(x,z)}{p(z|x)}",
        "Luo eq. 1, 2", _PAGE, "decoder.kind",
    ),
    Equation(
        _BOUND, "ELBO",
        r"\log p(x) \geq \mathbb{E}_{q(z|x)}\,\log\frac{p(x,z)}{q(z|x)}",
        "Luo eq. 3–8; Course definition 1.1", _PAGE, "kl_weight",
    ),
    Equation(
        _BOUND, tr("Its gap"),
        r"\log p(x) = \mathrm{ELBO}(x) + D_{\mathrm{KL}}(q(z|x)\,\|\,p(z|x))",
        "Luo eq. 9–16; Course proposition 1.2", _PAGE, "kl_weight",
    ),
    Equation(
        _BOUND, tr("Two terms"),
        r"\mathbb{E}_{q(z|x)}\,\log p(\quantity{x0}{x}|z) - D_{\mathrm{KL}}(q(z|x)\,\|\,p(z))",
        "Luo eq. 17–19; Course definition 1.1", _PAGE, "kl_weight",
    ),
    Equation(
        _BOUND, tr("Encoder and prior"),
        r"q(z|x) = \mathcal{N}(\mu_\phi(x),\,\mathrm{diag}\,\sigma_\phi^2(x)),\quad p(z) = \mathcal{N}(0,I)",
        "Luo eq. 20, 21; Course eq. 1.1", _PAGE, "code.size",
    ),
    Equation(
        _BOUND, tr("KL of two normal distributions"),
        r"\frac{1}{2}(\mathrm{tr}\,\Sigma_q^{-1}\Sigma_p + (\mu_q-\mu_p)^\top\Sigma_q^{-1}(\mu_q-\mu_p) - k"
        r" + \ln\frac{|\Sigma_q|}{|\Sigma_p|})",
        "Course proposition 1.5", _PAGE, "kl_weight",
    ),
    Equation(
        _BOUND, tr("KL to the prior"), r"\frac{1}{2}\sum_i(\sigma_i^2 + \mu_i^2 - 1 - \ln\sigma_i^2)",
        "Course eq. 1.2", _PAGE, "kl_weight",
    ),
    Equation(
        _BOUND, tr("Gaussian decoder"),
        r"\log p(x|z) = -d\log(\sqrt{2\pi}\sigma) - \frac{1}{2\sigma^2}\|\quantity{x0}{x}-\mu_\theta(z)\|^2",
        "Course eq. 1.3, 1.4", _PAGE, "decoder.kind",
    ),
    Equation(
        _BOUND, tr("By draws"),
        r"\frac{1}{L}\sum_{l=1}^{L}\log p(\quantity{x0}{x}|z^{(l)}) - D_{\mathrm{KL}}(q(z|x)\,\|\,p(z))",
        "Luo eq. 22", _PAGE, "draws",
    ),
    Equation(
        _BOUND, tr("Reparameterised"), r"z = \mu_\phi(x) + \sigma_\phi(x)\odot\quantity{eps}{\varepsilon}",
        "Course eq. 1.5, proposition 1.9", _PAGE, "draws",
    ),
    Equation(
        _BOUND, tr("By importance weights"),
        r"\log p(x) \geq \mathbb{E}\log\frac{1}{K}\sum_{k=1}^{K}\frac{p(x,z_k)}{q(z_k|x)}",
        "Burda et al. 2016, eq. 8", _PAGE, "draws",
    ),
    Equation(
        _LEVELS, tr("Joint"), r"p(x,z_{1:T}) = p(z_T)\,p(x|z_1)\prod_{t=2}^{T}p(z_{t-1}|z_t)", "Luo eq. 23",
        _PAGE, "hierarchy.levels",
    ),
    Equation(
        _LEVELS, tr("Encoder"), r"q(z_{1:T}|x) = q(z_1|x)\prod_{t=2}^{T}q(z_t|z_{t-1})", "Luo eq. 24", _PAGE,
        "hierarchy.levels",
    ),
    Equation(
        _LEVELS, tr("Its bound"),
        r"\log p(x) \geq \mathbb{E}_q\,\log\frac{p(z_T)\,p(x|z_1)\prod_t p(z_{t-1}|z_t)}"
        r"{q(z_1|x)\prod_t q(z_t|z_{t-1})}",
        "Luo eq. 25–29", _PAGE, "hierarchy.levels",
    ),
    Equation(
        _LEVELS, tr("First restriction"), r"\dim z_t = \dim x", "Luo eq. 30", _PAGE,
        "hierarchy.same_dimension",
    ),
    Equation(
        _LEVELS, tr("Second restriction"),
        r"q(x_t|x_{t-1}) = \mathcal{N}(\sqrt{\alpha_t}\,x_{t-1},\,(1-\alpha_t) I)", "Luo eq. 31", _PAGE,
        "hierarchy.fixed_encoder",
    ),
    Equation(
        _LEVELS, tr("Third restriction"), r"p(x_T) = \mathcal{N}(0,I)", "Luo eq. 32, 33", _PAGE,
        "hierarchy.standard_end",
    ),
)  # fmt: skip
