"""What a training tells while it goes on takes little of the window's time, and so of the training's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QWidget

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.training.events import TimestepErrors
from diffusion_studio.pages.page import Page
from diffusion_studio.pages.training import Repaints
from diffusion_studio.widgets.plots.base import BasePlot


class Requests(QObject):
    """Whoever on a page is asked to be laid out again."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page, self.found = page, []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        asks = event.type() == QEvent.Type.LayoutRequest and isinstance(watched, QWidget)
        if asks and (watched is self._page or self._page.isAncestorOf(watched)):
            self.found.append(f"{type(watched).__name__} {watched.objectName()}")
        return False


@pytest.fixture
def page(qtbot, open_app):
    studio = open_app(page="train").studio
    page = studio.train_page
    qtbot.waitUntil(lambda: not studio.sampling.state.chains.busy)
    qtbot.waitUntil(lambda: page.model.state.data is not None and page.model.state.trial is not None)
    page.model._show(replace(page.model.state, phase="running", run=Path("somewhere"), step=1))
    return page


def tell(page, step: int, largest: float) -> None:
    """One more step, its loss and the errors by t, drawn and painted at once."""
    page._repaints = Repaints()  # as if it were long ago
    tell = page.model._on_told
    rate, loss = 10.0 ** (step % 5 + 1), np.array([1 / step], np.float32)  # words of another length each time
    tell(events.Progress(step, 900, 0.03 * step, 0.0, rate, step, loss))
    t, count = np.arange(5.0, 1000.0, 10.0), np.full(100, 40)
    share = np.linspace(0.0, largest, 100)
    error = np.linspace(1.0, 0.1, 100) / step
    tell(TimestepErrors(step, t, error, error, count, share, share, share))
    for plot in page.findChildren(BasePlot):
        plot.paint_now()
    QApplication.processEvents()


def test_that_the_window_is_not_laid_out_again_for_what_a_training_tells(page):
    requests = Requests(page)
    QApplication.instance().installEventFilter(requests)
    for _ in range(20):  # a window that was just opened takes a few rounds
        requests.found.clear()
        tell(page, 100, 0.0261)
        if not requests.found:
            break
    for step, largest in ((101, 0.026), (102, 0.0263), (153, 0.0262)):
        tell(page, step, largest)
    QApplication.instance().removeEventFilter(requests)
    assert page.curves.timesteps.moment.text() == "step 153"
    assert "step 153 of 900" in page.progress._detail.text()
    assert requests.found == []


def test_that_the_head_of_the_page_is_asked_only_when_something_else_than_the_step_moves(page):
    heard = []
    page.header_changed.connect(lambda: heard.append(page.model.state.step))
    tell(page, 7, 0.02)
    assert heard == []
    page.model._on_told(events.Saved(7, Path("somewhere")))
    assert heard == [7]
    assert ("saved", "step 7") in page.chips()


def test_that_the_first_line_and_the_last_are_shown_however_soon_they_come(page):
    show = page.model._show
    tell(page, 5, 0.02)
    page._repaints = Repaints(lambda: 0.0)  # no time goes by
    page._repaints.are_due(moves_on=False)
    show(replace(page.model.state, step=6, detail="six"))
    assert "step 5" in page.progress._detail.text(), "it was shown a moment ago"
    show(replace(page.model.state, phase="idle", detail="over"))
    assert page.progress._detail.text() == "over"
    show(replace(page.model.state, detail="another process trains it"))
    assert page.progress._detail.text() == "another process trains it"
