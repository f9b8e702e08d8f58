"""The state of a whole page in a small file: saved, handed on, and opened whatever the way it comes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

from diffusion_studio.core.describe import with_value
from diffusion_studio.engine.files.pictures import save_grid
from diffusion_studio.engine.files.states import state_in
from diffusion_studio.engine.runs.config import RunConfig
from support.window import drop, settle


def kept(studio) -> tuple:
    """What each page's state must bring back."""
    code = studio.codes
    return studio.training.config, studio.sampling.tree.value, studio.plane.state.spec, code.config


def test_that_pages_are_saved_and_come_back_from_files_and_pictures(qtbot, open_app, tmp_path):
    app = open_app()
    studio, files = app.studio, {}
    for page in ("train", "sample", "plane", "autoencoder"):
        studio.show_page(page)
        files[page] = tmp_path / f"{page}.json"
        studio.states.save(files[page])
        assert files[page].name in studio.pages[page].banner.text
    before = (
        studio.training.config,
        studio.sampling.tree.value,
        studio.plane.state.spec,
        studio.codes.config,
    )
    studio.training.edit("seed", 9)
    studio.sampling.tree.edit("sampler.kind", "ddpm")
    studio.plane.edit("seed", 9)
    studio.codes.edit("seed", 9)
    for page, file in files.items():
        studio.show_page("runs")
        assert drop(app.shell, file)
        assert app.shell.current_page is studio.pages[page]
    after = (
        studio.training.config,
        studio.sampling.tree.value,
        studio.plane.state.spec,
        studio.codes.config,
    )
    assert after == before
    settle(qtbot, app)
    preview = tmp_path / "step-00000010.png"
    config = with_value(RunConfig(), "seed", 77)
    save_grid(
        preview, np.zeros((1, 8, 8, 1), np.uint8), {"step": 10, "config": config.model_dump(mode="json")}
    )
    studio.open_path(str(preview))
    assert studio.training.config == config and app.shell.current_page is studio.train_page
    studio.training.undo()
    assert studio.training.config == before[0]
    for measured, parts in ((True, 0), (False, 3)):
        config = with_value(RunConfig(), "training.parts", 3).model_dump(mode="json")
        file = tmp_path / "config.json"
        file.write_text(json.dumps({"schema": 1, "config": config, "parts_measured": measured}))
        studio.open_path(str(file))
        assert studio.training.config.training.parts == parts, "what nobody chose is measured anew"


def test_that_a_state_is_asked_for_by_its_key_and_a_file_without_one_is_refused(qtbot, open_app, tmp_path):
    app = open_app()
    app.studio.show_page("plane")
    qtbot.keyClick(app.shell, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    dialog = app.shell.findChild(QFileDialog)
    dialog.fileSelected.emit(str(tmp_path / "plane.json"))
    dialog.close()
    assert "plane" in json.loads((tmp_path / "plane.json").read_text())
    other = tmp_path / "other.json"
    other.write_text('{"a": 1}')
    app.studio.open_path(str(other))
    assert "other.json holds no state" in app.shell.banner.text
    app.studio.show_page("runs")
    assert not app.shell.actions_of_window["save-state"].isEnabled()
    (tmp_path / "model_index.json").write_text('{"_class_name": "DiTPipeline"}')
    app.studio.open_path(str(tmp_path))  # a model of another kind, and no folder of images
    sample = app.studio.pages["sample"]
    qtbot.waitUntil(lambda: "of the kind DiTPipeline" in sample.banner.text)
    assert app.shell.current_page is sample


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"{"), ("a.json", b"[1]"), ("a.json", b'{"x": 1}'), ("a.txt", b'{"config": {}}'),
        ("a.png", b"no picture"), ("gone.json", None),
    ],
)  # fmt: skip
def test_that_any_other_file_holds_no_state(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert state_in(tmp_path / name) is None
