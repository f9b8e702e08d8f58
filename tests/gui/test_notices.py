"""What a page has to tell lies over its content."""

from __future__ import annotations

from PySide6.QtCore import QRect
from PySide6.QtWidgets import QApplication, QWidget

from diffusion_studio.pages.entries import PAGES
from diffusion_studio.widgets.equations.rendering import rendering
from diffusion_studio.widgets.frame.banner import Banner

LOOKS = 20
SENTENCE = "chain.png was not written: there is no folder of that name, and none can be made there."


def places(qtbot, page: QWidget, banner: Banner) -> dict[QWidget, QRect]:
    """Where everything of a page stands but its notice, once nothing moves."""
    found: dict[QWidget, QRect] = {}
    for _ in range(LOOKS):
        for _ in range(6):
            QApplication.processEvents()
            qtbot.waitUntil(lambda: not rendering()._queue)  # formulas out of sight have their height too
        before, seen = found, [widget for widget in page.findChildren(QWidget) if widget.isVisible()]
        others = [widget for widget in seen if widget is not banner and not banner.isAncestorOf(widget)]
        found = {widget: widget.geometry() for widget in others}
        if found == before:
            break
    return found


def has_images(app) -> bool:
    """Whether the page in sight, if it shows images that are trained on, has read them."""
    model = {"train": app.studio.training, "autoencoder": app.studio.codes}.get(app.shell.rail.current)
    return model is None or (model.state.data is not None and model.state.reading is None)


def test_that_a_notice_pushes_nothing_on_any_page(qtbot, open_app):
    app = open_app()
    app.shell.resize(960, 640)
    app.studio.plane.player.stop()
    for entry in PAGES:
        app.studio.show_page(entry.key)
        qtbot.waitUntil(lambda: app.studio.runs.state.listed or app.shell.rail.current != "runs")
        qtbot.waitUntil(lambda: has_images(app))  # a card of images is lower once it shows them
        page = app.studio.pages[entry.key]
        (banner,) = page.findChildren(Banner)
        before = places(qtbot, page, banner)
        banner.show_message("error", SENTENCE)
        after = places(qtbot, page, banner)
        assert banner.isVisible()
        assert page.rect().contains(QRect(banner.mapTo(page, banner.rect().topLeft()), banner.size()))
        assert after == before, entry.key
        banner.dismiss()
