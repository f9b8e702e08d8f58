"""What guidance does in the plane, in arrows and in words."""

from __future__ import annotations

from diffusion_studio.core.words import tr
from diffusion_studio.engine.plane.measures import Measures
from diffusion_studio.pages.plane.cards import figures
from diffusion_studio.viewmodels.plane.state import PlaneState, PointReading
from diffusion_studio.widgets.plane.arrows import Arrow

NO_CLASS = tr("Choose a class above: guidance leads to it.")
NOT_THERE = tr("No mode has this class. Click a mode to see and change its class.")
NOT_TOLD = tr("The network was told of no classes. Lower “labels dropped”, and learn again.")


def why_not(state: PlaneState) -> str:
    """Why γ changes nothing now; "" when it does."""
    if state.spec.guides:
        return ""
    return NO_CLASS if state.spec.guide.label < 0 else NOT_THERE


def arrows_of(reading: PointReading | None) -> tuple[Arrow, ...]:
    """The score, what guidance adds at its tip, and their sum."""
    if reading is None or reading.guide is None:
        return ()
    guide = reading.guide
    push = (guide.gamma * guide.gradient[0], guide.gamma * guide.gradient[1])
    return (
        Arrow(reading.score, "score"),
        Arrow(push, "guidance", 1.5, after=0),
        Arrow(guide.guided, "guidance", 3.5),
    )


def guide_words(reading: PointReading) -> str:
    """The numbers of the three arrows."""
    guide = reading.guide
    if guide is None:
        return ""
    (gx, gy), (sx, sy) = guide.gradient, guide.guided
    return tr(
        "p(y={guide.label}|x) {guide.share:.3f}   ∇ln p(y|x) ({gx:.2f}, {gy:.2f})   "
        "guided, γ = {guide.gamma:g} ({sx:.2f}, {sy:.2f})",
        guide=guide, gx=gx, gy=gy, sx=sx, sy=sy,
    )  # fmt: skip


def end_words(state: PlaneState, found: Measures | None) -> str:
    """How far the particles are from the density whose score they follow."""
    guide = state.spec.guide
    if not state.spec.guides:
        return ""
    words = [tr("guided to class {guide.label}, γ = {guide.gamma:g}", guide=guide)]
    learning = state.learning
    if state.look.field != "exact" and learning.trained and not learning.labelled:
        words.append(NOT_TOLD)
    if found is None or found.t != state.t:
        return "\n".join(words)
    if not found.proper:
        words.append(tr("p(x) p(y|x)^γ has no finite sum here: there is nothing to compare with"))
    else:
        said = figures(found)
        at = "₀" if found.t == 0 else "ₜ"
        words += [
            tr(
                "particles against p{at}(x) p{at}(y|x)^γ: "
                "energy distance {energy} (exact {band})", at=at, **said,
            ),
            tr("spread {spread} instead of {exact_spread}, means {off} apart", **said),
        ]  # fmt: skip
    return "\n".join(words)
