"""Every page of the window and every part of it, one after another."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QCoreApplication

from diffusion_studio.pages.sample.side import TABS
from diffusion_studio.pages.theory.page import PARTS
from diffusion_studio.studio import Studio


def stages(studio: Studio) -> Iterator[str]:
    """Shows every page and every part of it, one after another, and says which."""
    studio.show_page("train")
    yield "train"
    studio.train_page.views.look_at("images")
    yield "train, images"
    studio.train_page.views.look_at("training")
    studio.show_page("sample")
    for key, *_ in TABS:
        studio.sample_page.side.show_tab(key)
        yield f"sample, {key}"
    for layout in ("strip", "guided", "grid"):
        studio.sampling.pictures.set_layout(layout)
        yield f"sample, {layout}"
    studio.show_page("plane")
    for relief in (True, False):
        studio.plane_page.bar.relief.setChecked(relief)
        yield "landscape" if relief else "plane"
    studio.show_page("autoencoder")
    for view in ("code", "exact", "bridge", "learn"):
        studio.codes.show(view)
        yield f"autoencoder, {view}"
    studio.show_page("theory")
    for part, *_ in PARTS:
        studio.theory_page.show_part(part)
        while not studio.theory_page.is_full:  # a piece a turn
            QCoreApplication.processEvents()
        yield f"theory, {part}"
    studio.show_page("runs")
    yield "runs"
