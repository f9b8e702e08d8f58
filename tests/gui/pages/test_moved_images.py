"""“Choose the folder …” on each page that needs the images of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog

from diffusion_studio.engine.runs.run import Run
from diffusion_studio.viewmodels.moved import CHOOSE, WHERE
from support.tiny import begin, finish, tiny_config, write_pictures


@pytest.mark.parametrize("key", ["train", "autoencoder", "sample"])
def test_that_the_button_of_the_banner_asks_for_the_folder(qtbot, open_app, isolated_home, tmp_path, key):
    zoo, run = write_pictures(tmp_path / "zoo"), isolated_home / "runs" / "mine"
    finish(begin(run, tiny_config(zoo, steps=2)))
    far = zoo.rename(tmp_path / "far")
    studio = open_app(page=key).studio
    page = studio.pages[key]
    moved = studio.sampling.beside.moved if key == "sample" else page.model.moved
    found: list[Path] = []
    studio.show_page(key)
    assert moved.asks_for(Run.open(run), lambda: found.append(run))
    qtbot.waitUntil(lambda: page.banner.isVisible() and page.banner._action.text() == CHOOSE)
    page.banner._action.click()
    (dialog,) = page.findChildren(QFileDialog)
    assert dialog.windowTitle() == WHERE
    dialog.fileSelected.emit(str(far))
    dialog.reject()
    qtbot.waitUntil(lambda: found == [run])
    assert Run.open(run).config.data.source == str(far)
    qtbot.waitUntil(lambda: not page.findChildren(QFileDialog))
