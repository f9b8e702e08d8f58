"""Where the palette stands."""

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget

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
