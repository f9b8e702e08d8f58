"""A curve drawn by hand."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt

from diffusion_studio.widgets.editors.curve_editor import CurveEditor


@pytest.fixture
def editor(qtbot):
    editor = CurveEditor("Weight by hand", "weight")
    qtbot.addWidget(editor)
    editor.resize(240, 120)
    editor.set_points((1.0, 2.0, 1.0))
    editor.show()
    return editor


def drag(qtbot, editor, index: int, dy: int) -> None:
    place = editor._place(index).toPoint()
    qtbot.mousePress(editor, Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseMove(editor, place + QPoint(0, dy))
    qtbot.mouseRelease(editor, Qt.MouseButton.LeftButton, pos=place + QPoint(0, dy))


def test_that_a_point_is_dragged_and_told_once_at_the_end(qtbot, editor):
    told, ended = [], []
    editor.edited.connect(told.append)
    editor.settled.connect(lambda: ended.append(editor.points))
    drag(qtbot, editor, 1, 30)
    assert editor.points[1] < 2
    assert editor.points[::2] == (1.0, 1.0)
    assert told[-1] == editor.points
    assert ended == [editor.points]


def test_that_no_point_falls_below_the_floor(qtbot, editor):
    drag(qtbot, editor, 0, 500)
    assert editor.points[0] == 0


def test_that_a_falling_curve_stays_falling(qtbot):
    editor = CurveEditor("Schedule by hand", "text", low=None, falling=True)
    qtbot.addWidget(editor)
    editor.resize(240, 120)
    editor.set_points((5.0, 0.0, -5.0))
    editor.show()
    drag(qtbot, editor, 1, -500)
    assert 5.0 > editor.points[1] > -5.0


def test_that_keys_choose_and_move_a_point(qtbot, editor):
    qtbot.keyClick(editor, Qt.Key.Key_Right)
    qtbot.keyClick(editor, Qt.Key.Key_Up)
    assert editor.points[1] > 2
    assert editor.points[0] == 1


def test_that_a_double_click_doubles_the_points_and_keeps_the_curve(qtbot, editor):
    qtbot.mouseDClick(editor, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    assert editor.points == (1.0, 1.5, 2.0, 1.5, 1.0)
