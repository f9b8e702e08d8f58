"""Where the palette stands."""

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget

from diffusion_studio.widgets.frame import palette as module
from diffusion_studio.widgets.frame.palette import Palette


def test_that_the_palette_stays_in_the_middle_of_a_window_that_changes(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(1900, 1100)
    window.show()
    palette = Palette(window)
    palette.open()
    for size in (QSize(960, 600), QSize(1400, 700)):
        window.resize(size)
        assert window.rect().contains(palette.geometry())
        assert abs(palette.geometry().center().x() - window.rect().center().x()) <= 1


def test_that_nothing_is_made_of_rows_that_are_out_of_sight(qtbot, monkeypatch):
    window, asked, data = QWidget(), set(), module._Rows.data
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()

    def heard(rows, index, role):
        asked.add(index.row())
        return data(rows, index, role)

    monkeypatch.setattr(module._Rows, "data", heard)
    palette = Palette(window)
    palette.typed.connect(lambda _: palette.set_rows([(f"row {n}", "Run", "") for n in range(1000)]))
    palette.open()
    qtbot.waitUntil(lambda: 3 in asked)
    assert max(asked) <= 2 * module._ROWS
    assert len(palette.titles) == 1000
