"""An evaluation in a few lines."""

from __future__ import annotations

from collections.abc import Sequence

from diffusion_studio.core.words import tr
from diffusion_studio.engine.evaluation.chain_costs import ChainCost
from diffusion_studio.engine.evaluation.evaluation import Evaluation
from diffusion_studio.engine.evaluation.few_calls import FewCalls, title_of
from diffusion_studio.engine.evaluation.flow_bits import FlowReport
from diffusion_studio.engine.evaluation.measured_bound import VARIANCES, BoundReport
from diffusion_studio.engine.evaluation.yardsticks import RAW, Yardsticks
from diffusion_studio.engine.runs.quality import Quality


def lines(evaluation: Evaluation) -> list[str]:
    """What was measured, for a terminal."""
    found = [f"{evaluation.run}, step {evaluation.step:,}"]
    if evaluation.elbo is not None:
        found += _bound(evaluation.elbo, "held-out" if evaluation.held_out else "training")
    if evaluation.flow is not None:
        found.append(flow_line(evaluation.flow, "held-out" if evaluation.held_out else "training"))
    if evaluation.yardsticks is not None:
        found += yardstick_lines(evaluation.yardsticks)
    if evaluation.quality is not None:
        found += quality_lines(evaluation.quality)
    if evaluation.calls is not None:
        found += calls_lines(evaluation.calls)
    return found


def _bound(b: BoundReport, split: str) -> list[str]:
    told = ", class told" if b.conditional else ""
    return [
        f"bound on −log p, bits per dimension ({b.images} {split} images, {b.draws} draws each{told}, "
        f"σ² {VARIANCES[b.variance]})",
        f"  total                    {b.total:8.4f} ± {b.total_error:.4f}",
        f"  L_0, reconstruction      {b.reconstruction:8.4f}",
        f"  L_1 … L_(T−1), matching  {b.matching:8.4f}",
        f"  L_T, prior               {b.prior:8.4f}",
        f"  total, σ² {VARIANCES[b.other_variance]:14} {b.other_total:8.4f}",
        f"  by triples (Luo eq. 44)  {b.chain_total:8.4f} ± {b.chain_error:.4f}",
        f"  one draw scatters by     {b.draw_spread:8.4f}, by triples {b.chain_draw_spread:.4f}",
        *_chains(b.chains),
    ]


def _chains(costs: Sequence[ChainCost]) -> list[str]:
    """The bound with fewer steps."""
    if not costs:
        return []
    head = "".join(f"{cost.rule:>22}" for cost in costs)
    rows = (
        f"  {steps:5,}" + "".join(f"{cost.bits[row]:22.4f}" for cost in costs)
        for row, steps in enumerate(costs[0].steps)
    )  # fmt: skip
    return ["what fewer steps cost: the bound by S, times even from T on", f"  {'S':>5}{head}", *rows]


def flow_line(f: FlowReport, split: str) -> str:
    """−log p along the flow, for a terminal."""
    told = ", class told" if f.conditional else ""
    within = "" if f.within is None else f", within {f.within:g}"
    return (
        f"−log p along the flow, bits per dimension: {f.bits:.4f} ± {f.error:.4f} ({f.images} {split} images"
        f"{told}, {f.probes} probe each{within})"
    )


def yardstick_lines(y: Yardsticks) -> list[str]:
    """What the same images cost without a network, for a terminal."""
    fit = "pixels together" if y.together else "each pixel on its own"
    return [
        "yardsticks: the same images under models of the training images that learn nothing",
        f"  raw bytes                {RAW:8.4f}   the {y.levels} levels that occur {y.raw:.4f}",
        f"  histogram of each pixel  {y.histogram:8.4f}",
        f"  one normal distribution  {y.gaussian:8.4f}   {fit}",
    ]


def quality_lines(q: Quality) -> list[str]:
    """How near samples come to the training images, for a terminal."""
    spread = f"± {q.real_frechet_spread:.4f}"
    return [
        f"quality of {q.count} samples (beside: as many real images, as many of noise)",
        f"  Fréchet distance         {q.frechet:8.4f}   real {q.real_frechet:.4f} {spread}"
        f"   noise {q.noise_frechet:.4f}",
        f"  precision                {q.precision:8.3f}   real {q.real_precision:.3f}   "
        f"noise {q.noise_precision:.3f}",
        f"  recall                   {q.recall:8.3f}   real {q.real_recall:.3f}   noise {q.noise_recall:.3f}",
        f"  nearest training image   {q.nearest:8.4f}   real {q.real_nearest:.4f}   "
        f"noise {q.noise_nearest:.4f}",
    ]


def calls_lines(calls: FewCalls) -> list[str]:
    """How few calls of the network are as good as fifty, for a terminal."""
    rows = [f"  {fare.steps:5} calls, {fare.rule:27}{fare.frechet:8.4f}" for fare in calls.fares]
    reference = f"  {calls.reference.steps:5} calls, {calls.reference.rule:27}{calls.reference.frechet:8.4f}"
    return [
        f"Fréchet distance by calls of the network ({calls.count} samples each; that of as many real images "
        f"scatters by ± {calls.spread:.4f})",
        reference,
        *rows,
        calls_sentence(calls),
    ]


def calls_sentence(calls: FewCalls) -> str:
    """What is found: the fewest calls that are as good, or that none are."""
    wanted = tr("{steps} steps of {rule}", steps=calls.reference.steps, rule=title_of(calls.reference))
    if calls.best is None:
        return tr("Nothing measured with fewer calls is as good as {wanted}.", wanted=wanted)
    return tr(
        "As good as {wanted} in {steps} calls: {rule}.",
        wanted=wanted,
        steps=calls.best.steps,
        rule=title_of(calls.best),
    )
