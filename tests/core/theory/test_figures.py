"""The figures of the texts, as nodes and arrows."""

from __future__ import annotations

import pytest

from diffusion_studio.core.theory.figures import FIGURES
from support.citations import unprinted


def test_that_all_figures_of_both_texts_are_there():
    sources = {part for figure in FIGURES for part in figure.source.split("; ")}
    assert sources == {*(f"Luo figure {k}" for k in range(1, 7)), *(f"Course figure {k}" for k in (1, 2, 3))}
    assert [bad for source in sources for bad in unprinted(source)] == []


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.source)
def test_that_arrows_join_neighbours_and_pictures_are_one_for_each_node(figure):
    for arrow in figure.arrows:
        assert abs(arrow.begin - arrow.end) == 1
        assert 0 <= min(arrow.begin, arrow.end) < max(arrow.begin, arrow.end) < len(figure.nodes)
    assert len(figure.places) in (0, len(figure.nodes))
    assert figure.nodes or figure.page  # drawn here, or where it lives
