"""The queue in the window."""

from __future__ import annotations

from PySide6.QtCore import Qt

from diffusion_studio.engine.files import places
from diffusion_studio.engine.runs.creation import create_run
from diffusion_studio.pages.queue import QueueDialog
from support.tiny import tiny_config


def test_that_parameters_and_runs_are_queued_seen_and_taken_out(qtbot, open_app, isolated_home):
    create_run(places.runs_dir() / "mine", tiny_config(parts=2), {}, parts_measured=True)
    app = open_app(page="train")
    studio, begun = app.studio, []
    studio.queue._begin = begun.append
    control = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(app.shell, Qt.Key.Key_Return, control)
    assert ("queue", "1") in studio.train_page.chips()
    studio.show_page("runs")
    page = studio.runs_page
    qtbot.waitUntil(lambda: page.model.state.selected is not None)
    for action in page.foot.queue.menu().actions():
        action.trigger()
    assert page.foot.show_queue.text() == "Queue: 3 trainings wait …"
    qtbot.mouseClick(page.foot.show_queue, Qt.MouseButton.LeftButton)
    (dialog,) = app.shell.findChildren(QueueDialog)
    shown = [dialog.list.item(row).text() for row in range(dialog.list.count())]
    assert shown == ["New run on digits", "Go on with mine", "New run like mine"]
    assert studio.queue.state.items[2].config.training.parts == 0  # it measures for itself
    assert not dialog.earlier.isEnabled() and not dialog.remove.isEnabled()
    dialog.list.setCurrentRow(2)
    qtbot.mouseClick(dialog.earlier, Qt.MouseButton.LeftButton)
    assert dialog.list.currentRow() == 1 and dialog.later.isEnabled()
    qtbot.mouseClick(dialog.remove, Qt.MouseButton.LeftButton)
    assert [item.title for item in studio.queue.state.items] == ["New run on digits", "Go on with mine"]
    qtbot.mouseClick(dialog.back, Qt.MouseButton.LeftButton)
    assert [item.title for item in studio.queue.state.items][1] == "New run like mine"
    assert not dialog.back.isEnabled()
    dialog.list.setCurrentRow(1)
    qtbot.mouseClick(dialog.remove, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(dialog.start, Qt.MouseButton.LeftButton)
    assert [item.title for item in begun] == ["New run on digits"]
    studio.queue.remove([0, 1])
    assert dialog.about.text().startswith("Nothing waits.") and not dialog.start.isEnabled()
    assert page.foot.show_queue.isHidden()
    dialog.close()
