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
    qtbot.waitUntil(lambda: rendering().at_rest)  # formulas have their height
    found: dict[QWidget, QRect] = {}
    for _ in range(LOOKS):
        for _ in range(6):
            QApplication.processEvents()
        before, seen = found, [widget for widget in page.findChildren(QWidget) if widget.isVisible()]
        others = [widget for widget in seen if widget is not banner and not banner.isAncestorOf(widget)]
        found = {widget: widget.geometry() for widget in others}
        if found == before:
            break
    return found


def test_that_a_notice_pushes_nothing_on_any_page(qtbot, open_app):
    app = open_app()
    app.shell.resize(960, 640)
    app.studio.plane.player.stop()
    for entry in PAGES:
        app.studio.show_page(entry.key)
        qtbot.waitUntil(lambda: app.studio.runs.state.listed or app.shell.rail.current != "runs")
        page = app.studio.pages[entry.key]
        (banner,) = page.findChildren(Banner)
        before = places(qtbot, page, banner)
        banner.show_message("error", SENTENCE)
        after = places(qtbot, page, banner)
        assert banner.isVisible()
        assert page.rect().contains(QRect(banner.mapTo(page, banner.rect().topLeft()), banner.size()))
        assert after == before, entry.key
        banner.dismiss()
