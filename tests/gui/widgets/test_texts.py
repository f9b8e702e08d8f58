"""Fields of words: a line and a note."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from diffusion_studio.widgets.forms.texts import LineEdit, NoteEdit


@pytest.mark.parametrize("kind", [LineEdit, NoteEdit])
def test_that_escape_brings_back_what_stood_there(qtbot, kind):
    field, told = kind(), []
    qtbot.addWidget(field)
    field.settled.connect(told.append)
    field.show_text("as it was")
    qtbot.keyClicks(field, "more ")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    field.settle()
    assert not told
    qtbot.keyClicks(field, "more ")
    field.settle()
    (written,) = told
    assert "more" in written and "as it was" in written
