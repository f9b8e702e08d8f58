"""Whatever is drawn on a page is enlarged, and a right click on it copies or saves it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QContextMenuEvent, QGuiApplication
from PySide6.QtWidgets import QAbstractItemView, QApplication, QLabel, QMenu, QWidget

from diffusion_studio.engine.files import places
from diffusion_studio.pages.train.curve_by_hand import CurveByHand
from diffusion_studio.widgets.codes.bars import LatentBars
from diffusion_studio.widgets.codes.diagram import ChainDiagram
from diffusion_studio.widgets.codes.plane import CodePlane
from diffusion_studio.widgets.editors.curve_editor import CurveEditor
from diffusion_studio.widgets.equations.chain_figure import ChainFigure
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.enlarge import Enlarged, toggle
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.plane.plane import PlaneView
from diffusion_studio.widgets.plane.surface import SurfaceView
from diffusion_studio.widgets.plots import BasePlot
from diffusion_studio.widgets.plots.bars import OccupancyBars
from support.stages import stages
from support.tiny import begin, finish, tiny_config
from support.window import settle

DRAWN = (
    BasePlot, ImageGrid, CurveEditor, OccupancyBars, LatentBars, CodePlane, ChainDiagram, ChainFigure,
    PlaneView, SurfaceView, Card, QAbstractItemView,
)  # fmt: skip
KEYBOARD, MOUSE = QContextMenuEvent.Reason.Keyboard, QContextMenuEvent.Reason.Mouse


def drawn_on(page: QWidget) -> list[QWidget]:
    """Everything of a page that shows a picture, a plot, a table, or several of them."""
    found = [widget for widget in page.findChildren(QWidget) if isinstance(widget, DRAWN)]
    parts = [widget for widget in found if not isinstance(widget.parentWidget(), QAbstractItemView)]
    return [widget for widget in parts if widget.isVisible() and not widget.visibleRegion().isEmpty()]


def offered(widget: QWidget) -> list[str]:
    """What a right click on a widget offers; where the right button does something else, the menu key."""
    if actions := widget.actions():  # of a table
        return [action.text() for action in actions]
    reason = KEYBOARD if isinstance(widget, PlaneView) else MOUSE
    middle = QPoint(widget.width() // 2, widget.height() // 2)
    QApplication.sendEvent(widget, QContextMenuEvent(reason, middle, widget.mapToGlobal(middle)))
    menu = QApplication.activePopupWidget()
    if not isinstance(menu, QMenu):
        return []
    texts = [action.text() for action in menu.actions() if action.text()]
    menu.close()
    return texts


def is_enlarged(widget: QWidget, page: QWidget) -> bool:
    """Whether it is seen over the page, once that is asked for; it is put back."""
    toggle(widget)
    shown = page.findChild(Enlarged)
    if shown is None:
        return False
    inside = shown.isAncestorOf(widget)
    shown.put_back()
    return inside


def test_that_whatever_is_drawn_is_enlarged_copied_and_saved(qtbot, open_app):
    run = places.runs_dir() / "mine"
    finish(begin(run, tiny_config(steps=6, preview_count=4)))
    app = open_app()
    app.studio.training.show_run(run)
    settle(qtbot, app)
    app.studio.plane.player.stop()
    looked: set[QWidget] = set()
    faults = []
    for name in stages(app.studio):
        page = app.shell.current_page
        for widget in set(drawn_on(page)) - looked:
            looked.add(widget)
            what = f"{name}: {type(widget).__name__} {widget.accessibleName()!r}"
            menu = " | ".join(offered(widget))
            if isinstance(widget, ImageGrid) and not widget.count:
                assert menu == "Enlarge\tF11"  # nothing to copy yet
            elif "Copy" not in menu or ("Save" not in menu and "Export" not in menu and "table" not in menu):
                faults.append(f"{what} offers {menu!r}")
            if not is_enlarged(widget, page):
                faults.append(f"{what} is not enlarged")
    seldom = {OccupancyBars, LatentBars, ChainDiagram, ChainFigure, PlaneView, SurfaceView}
    assert {type(widget) for widget in looked} >= seldom
    assert not faults, "\n".join(faults)


def test_that_a_curve_of_the_panel_is_enlarged_and_copied(qtbot, open_app):
    app = open_app(page="train")
    app.studio.training.edit("objective.density.kind", "curve")
    (by_hand,) = (found for found in app.studio.train_page.findChildren(CurveByHand) if found.isVisible())
    assert offered(by_hand.editor) == ["Enlarge\tF11", "Copy the picture", "Save the picture …"]
    assert is_enlarged(by_hand.editor, app.studio.train_page)


@pytest.fixture
def card(qtbot):
    """Held until its menu is gone, which holds it too."""
    card = Card("Title")
    qtbot.addWidget(card)
    card.body.addWidget(QLabel("words"))
    card.resize(300, 120)
    card.show()
    return card


def test_that_a_drawing_is_copied_as_it_is_seen(card):
    middle = QPoint(150, 60)
    QApplication.sendEvent(card, QContextMenuEvent(MOUSE, middle, card.mapToGlobal(middle)))
    (menu,) = card.findChildren(QMenu)
    copy = next(action for action in menu.actions() if action.text() == "Copy the picture")
    copy.trigger()
    menu.close()
    image = QGuiApplication.clipboard().image()
    assert image.size() == card.size() * card.devicePixelRatioF()
    assert image.pixelColor(150, 100) == card.grab().toImage().pixelColor(150, 100)


def test_that_the_right_button_on_the_plane_only_chooses_where_all_begin(open_app):
    app = open_app(page="plane", computed=False)
    plane = app.studio.plane_page.picture.plane
    middle = QPoint(plane.width() // 2, plane.height() // 2)
    QApplication.sendEvent(plane, QContextMenuEvent(MOUSE, middle, plane.mapToGlobal(middle)))
    assert QApplication.activePopupWidget() is None
