"""The Theory page, as its tour sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from diffusion_studio.core.describe import with_values
from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.theory.model import TheorySpec
from diffusion_studio.viewmodels.tours.theory import Part

if TYPE_CHECKING:
    from diffusion_studio.pages.theory.page import TheoryPage

BUSY = tr("The bound of a run is being measured. Stop it to go on with the tour.")


class Kept(NamedTuple):
    """The page before its tour."""

    spec: TheorySpec
    part: str
    view: str  # of the bound
    run: str


class TouredTheory:
    """Does what the cards propose."""

    def __init__(self, page: TheoryPage) -> None:
        self._page, self._model = page, page.model

    def apply(self, part: Part) -> None:
        model = self._model
        if not model.leave_exact():
            model.tell(Notice("info", BUSY))
            return
        model.set(with_values(TheorySpec(), part.values.items()))
        self._page.show_part(part.part)
        self._page.bound.show_view(part.view)
        if part.measures:
            model.show_exact()

    def kept(self) -> Kept:
        page, state = self._page, self._model.state
        return Kept(state.spec, page.part, page.bound.views.value, state.run)

    def put_back(self, kept: Kept) -> None:
        model = self._model
        model.leave_exact()
        model.set(kept.spec)
        model.choose_run(kept.run)
        self._page.bound.show_view(kept.view)
        self._page.show_part(kept.part)
