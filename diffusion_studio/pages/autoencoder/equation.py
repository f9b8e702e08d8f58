"""What is minimised, as an equation whose parts have their colours and say what they are."""

from __future__ import annotations

from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig, HVAEConfig, VAEConfig
from diffusion_studio.widgets.equations.equation import Term


def loss_terms(config: AutoencoderConfig) -> tuple[Term, ...]:
    """The terms of the loss of this config."""
    if not isinstance(config, VAEConfig):
        return (
            Term(
                r"\|\quantity{x0}{x} - D(E(\quantity{x0}{x}))\|^2",
                tooltip=tr("The image minus what comes back"),
            ),
        )
    if isinstance(config, HVAEConfig):
        given = Term(
            r"-\mathbb{E}_q\,\ln p(\quantity{x0}{x}|z_1)", "x0", tr("What the image costs, given z₁")
        )
        levels = Term(
            r"+\;\quantity{weight}{\lambda}\sum_t \mathbb{E}_q\,\ln\frac{q(z_t|z_{t-1})}{p(z_t|z_{t+1})}",
            "weight", tr("What each level costs; the last one against N(0, I)"),
        )  # fmt: skip
        return given, levels
    given = Term(
        r"-\mathbb{E}_{q(z|x)}\,\ln p(\quantity{x0}{x}|z)",
        "x0",
        tr("Reconstruction: what the image costs, given z"),
    )
    kl = Term(
        r"+\;\quantity{weight}{\lambda}\,D_{\mathrm{KL}}(q(z|x)\,\|\,\mathcal{N}(0,I))", "weight",
        tr("What the code costs"),
    )  # fmt: skip
    return given, kl


def caption(config: AutoencoderConfig) -> str:
    """Where it stands, with its numbers."""
    if not isinstance(config, VAEConfig):
        return f"k = {config.code.size} · Course §1.1"
    if isinstance(config, HVAEConfig):
        return f"T = {config.hierarchy.levels}, λ = {number(config.kl_weight, 'g')} · Luo eq. 28, 44"
    weight = number(config.kl_weight, "g")
    return f"k = {config.code.size}, λ = {weight}, L = {config.draws} · Luo eq. 19, 22"
