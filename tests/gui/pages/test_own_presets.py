"""The button of own presets."""

from __future__ import annotations

from PySide6.QtWidgets import QInputDialog

from diffusion_studio.pages.train.own_presets import OwnPresetsButton


def test_that_the_menu_has_every_name_to_take_and_to_delete(qtbot):
    button, heard = OwnPresetsButton(), []
    qtbot.addWidget(button)
    button.chosen.connect(lambda name: heard.append(("take", name)))
    button.removed.connect(lambda name: heard.append(("delete", name)))
    button.show_names(["fast & small", "slow"])
    texts = [action.text() for action in button.menu().actions() if action.text()]
    assert texts == ["fast && small", "slow", "Save these parameters …", "Delete", "Everything to default"]
    button.menu().actions()[0].trigger()
    delete = next(action.menu() for action in button.menu().actions() if action.menu())
    delete.actions()[1].trigger()
    assert heard == [("take", "fast & small"), ("delete", "slow")]


def test_that_a_name_is_asked_for(qtbot):
    button, heard = OwnPresetsButton(), []
    qtbot.addWidget(button)
    button.saved.connect(heard.append)
    button.ask()
    dialog = button.findChild(QInputDialog)
    dialog.setTextValue("mine")
    dialog.accept()
    assert heard == ["mine"]
