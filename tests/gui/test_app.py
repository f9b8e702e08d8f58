"""The window's life: first paint, pages, what it remembers, and how it closes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QApplication, QWidget

from diffusion_studio import app as module
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.files import places
from diffusion_studio.engine.runs.run import Run, list_runs
from diffusion_studio.pages.entries import PAGES
from diffusion_studio.widgets.look.theme import theme
from support.sample_page import no_json
from support.tiny import begin, finish, tiny_config, write_pictures
from support.window import drop, settle

FOREVER = {"steps": 0, "checkpoint_every": 10_000}


def remembered() -> Path:
    return places.settings_dir() / "window.json"


# --- the beginning ----------------------------------------------------------------------------------------

FIRST_PAINT = """
import sys
from PySide6.QtWidgets import QApplication
from diffusion_studio.app import App
from diffusion_studio.widgets.look.theme import theme
application = QApplication([])
theme()
app = App()
heavy = ("torch", "numpy", "pyqtgraph", "PIL", "sklearn", "diffusers", "ziamath", "pydantic")
loaded = []
app.shell.painted.disconnect(app._imports.start)
app.shell.painted.connect(lambda: (loaded.extend(n for n in heavy if n in sys.modules), app.close()))
app.show()
application.exec()
print(*loaded)
"""


def test_that_nothing_heavy_is_imported_before_the_first_paint():
    done = subprocess.run([sys.executable, "-c", FIRST_PAINT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_that_the_first_start_stands_at_a_chain_of_digits(open_app):
    app = open_app()
    studio = app.studio
    assert app.shell.current_page is studio.sample_page
    assert app.shell.rail.current == "sample"
    assert studio.sampling.state.chains.facts.model == "Digits"
    assert studio.sample_page.pictures.grid.count == 16
    assert studio.training.state.data.count == 1797
    assert not studio.sample_page.banner.isVisible()


def test_that_no_other_window_flashes_up(qtbot, make_app):
    class Windows(QObject):
        seen: ClassVar[list[QObject]] = []

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
                self.seen.append(watched)
            return False

    windows, app = Windows(), make_app()
    QApplication.instance().installEventFilter(windows)
    with qtbot.waitSignal(app.ready):
        app.show()
    for key in app.studio.pages:
        app.studio.show_page(key)
    QApplication.instance().removeEventFilter(windows)
    assert set(windows.seen) == {app.shell}


def test_that_a_library_that_does_not_load_is_said_in_the_window(qtbot, make_app, monkeypatch):
    class Broken(module.Imports):
        def run(self) -> None:
            self.failed.emit("libtorch.so: cannot open shared object file")

    monkeypatch.setattr(module, "Imports", Broken)
    app = make_app()
    app.show()
    qtbot.waitUntil(lambda: "libtorch.so" in app.shell._waiting.text())
    assert "doctor" in app.shell._waiting.text()
    assert app.studio is None


# --- pages ------------------------------------------------------------------------------------------------


def test_that_rail_and_keys_lead_to_every_page(qtbot, open_app):
    app = open_app()
    titles = {entry.key: entry.title for entry in PAGES}
    assert list(titles) == ["train", "sample", "plane", "autoencoder", "theory", "runs"]
    for number, key in enumerate(titles, start=1):
        qtbot.keyClick(app.shell, Qt.Key(Qt.Key.Key_0 + number), Qt.KeyboardModifier.ControlModifier)
        assert app.shell.current_page is app.studio.pages[key]
        assert app.shell.rail.current == key
    for key in reversed(titles):
        qtbot.mouseClick(app.shell.rail.button(key), Qt.MouseButton.LeftButton)
        assert app.shell.current_page is app.studio.pages[key]
        assert app.shell.header._title.text() == titles[key]


def test_that_undo_belongs_to_the_page_that_is_shown(qtbot, open_app):
    app = open_app(page="train")
    app.studio.sampling.tree.edit("seed", 3)
    app.studio.sampling.tree.settle()
    assert not app.shell.header._undo.isEnabled()
    app.studio.training.edit("seed", 4)
    app.studio.training.settle()
    assert app.shell.header._undo.isEnabled()
    qtbot.keyClick(app.shell, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert app.studio.training.config.seed == 0
    assert app.studio.sampling.tree.parameters.spec.seed == 3
    qtbot.mouseClick(app.shell.header._redo, Qt.MouseButton.LeftButton)
    assert app.studio.training.config.seed == 4


def test_that_a_dropped_folder_becomes_the_data_of_the_train_page(qtbot, open_app, tmp_path):
    folder = write_pictures(tmp_path / "zoo")
    (folder / "ape" / "broken.png").write_bytes(b"no")
    app = open_app(page="runs")
    assert drop(app.shell, folder)
    settle(qtbot, app)
    page = app.studio.train_page
    assert app.shell.current_page is page
    assert page.panel.data_card._name.text() == "zoo"
    assert "12 images\u00a0· 3 classes" in page.panel.data_card._facts.text()
    qtbot.mouseClick(page.panel.data_card._show, Qt.MouseButton.LeftButton)
    assert page.panel.skipped.isVisible()
    ((file, reason),) = page.panel.skipped.rows
    assert file.endswith("broken.png")
    assert reason
    page.panel.skipped.close()


def test_that_a_dropped_file_stands_for_its_folder(qtbot, open_app, tmp_path):
    folder = write_pictures(tmp_path / "zoo", classes=())
    app = open_app(page="train")
    drop(app.shell, folder / "0.png")
    settle(qtbot, app)
    assert app.studio.training.state.data.name == "zoo"


def test_that_chains_begin_at_an_image_that_is_dropped_onto_the_sample_page(qtbot, open_app, tmp_path):
    folder = write_pictures(tmp_path / "zoo", classes=())
    app = open_app()
    drop(app.shell, folder / "0.png")
    settle(qtbot, app)
    start = app.studio.sampling.tree.parameters.spec.start
    assert (start.kind, start.files) == ("inverted", (str(folder / "0.png"),))
    assert app.studio.sampling.state.notice is None


def test_that_what_is_no_file_is_not_taken(open_app):
    app = open_app()
    assert not drop(app.shell)


def test_that_a_dropped_run_opens_on_the_sample_page(qtbot, open_app, tmp_path):
    finish(begin(tmp_path / "mine", tiny_config(steps=2)))
    app = open_app(page="train")
    drop(app.shell, tmp_path / "mine")
    settle(qtbot, app)
    assert app.shell.current_page is app.studio.sample_page
    assert app.studio.sampling.state.chains.facts.model == "mine"
    assert app.studio.sample_page.panel.sources.currentText().startswith("mine")


def test_that_the_path_of_the_command_line_is_opened(open_app, tmp_path):
    app = open_app(write_pictures(tmp_path / "zoo"))
    assert app.shell.current_page is app.studio.train_page
    assert app.studio.training.state.data.name == "zoo"


def test_that_a_folder_without_images_is_a_sentence_and_no_old_pictures(qtbot, open_app, tmp_path):
    (tmp_path / "empty").mkdir()
    app = open_app(page="train")
    drop(app.shell, tmp_path / "empty")
    settle(qtbot, app)
    page = app.studio.train_page
    assert page.banner.isVisible()
    assert "empty" in page.banner.text
    assert page.panel.data_card._name.text() == "empty"
    assert not page.progress._start.isEnabled()


def test_that_the_theme_changes_and_is_remembered(open_app):
    app = open_app(page="runs")
    for mode in ("dark", "light"):
        app.shell.rail.theme_requested.emit(mode)
        assert theme().mode == mode
        assert app.studio.memory.get("theme") == mode


def test_that_a_device_is_for_every_page_and_remembered(open_app, monkeypatch):
    app = open_app(page="runs")
    heard = []
    for key, model in app.studio.models.items():
        monkeypatch.setattr(model, "use_device", lambda name, key=key: heard.append((key, name)))
    app.shell.rail.device_requested.emit("cpu")
    assert heard == [(entry.key, "cpu") for entry in PAGES]
    app.close()
    assert open_app().shell.rail.device_button.toolTip().startswith("Computes on: CPU")


def test_that_every_part_that_trains_or_measures_takes_the_device(open_app):
    """The one that was remembered at the start, and the one that is chosen in the rail from then on."""
    app = open_app(computed=False, page="runs")
    train, codes = app.studio.training, app.studio.codes
    parts = (train.training, codes.training, codes.measuring)
    assert [part._device for part in parts] == ["auto"] * 3
    app.shell.rail.device_requested.emit("cpu")
    assert [part._device for part in parts] == ["cpu"] * 3
    app.close()
    again = open_app(computed=False)
    codes = again.studio.pages["autoencoder"].model
    assert [part._device for part in (codes.training, codes.measuring)] == ["cpu"] * 2


# --- memory -----------------------------------------------------------------------------------------------


def test_that_everything_is_as_it_was_after_closing(qtbot, open_app):
    run = places.runs_dir() / "mine"
    finish(begin(run, tiny_config(steps=2)))
    app = open_app()
    studio = app.studio
    app.shell.resize(880, 690)  # fits the screen that there is without a screen
    studio.training.show_run(run)
    studio.training.edit("training.batch_size", 77)
    studio.sampling.tree.edit("sampler.eta", 0.5)
    studio.sampling.tree.edit("steps", 20)
    studio.sampling.tree.settle()
    settle(qtbot, app)
    studio.sampling.player.seek(5)
    studio.sampling.pictures.set_view("x_t")
    app.shell.rail.theme_requested.emit("dark")
    studio.show_page("train")
    studio.train_page.curves.timesteps.axis.set_value("log_snr")
    studio.train_page.columns.setSizes([500, 300])
    sizes = studio.train_page.layout_state()
    app.close()

    again = open_app()
    studio = again.studio
    assert again.shell.current_page is studio.train_page
    assert again.shell.size().toTuple() == (880, 690)
    assert theme().mode == "dark"
    assert studio.training.state.run == run
    assert studio.training.record.losses.steps.tolist() == [1, 2]
    assert studio.training.config.training.batch_size == 77
    spec = studio.sampling.tree.parameters.spec
    assert (spec.sampler, spec.steps) == (DDIM(eta=0.5), 20)
    assert (studio.sampling.state.player.position, studio.sampling.state.pictures.view) == (5, "x_t")
    assert studio.train_page.curves.timesteps.axis.value == "log_snr"
    for before, after in zip(sizes["columns"], studio.train_page.columns.sizes(), strict=True):
        assert abs(before - after) <= 2


def test_that_an_edit_is_put_into_words_later_and_not_lost_by_closing(qtbot, open_app, monkeypatch):
    app = open_app()
    app.studio.memory._timer.setInterval(600_000)  # no rest is long enough
    with no_json(monkeypatch):
        app.studio.sampling.tree.edit("sampler.eta", 0.7)
        app.studio.sampling.tree.settle()
        settle(qtbot, app)
    assert not remembered().exists() or "0.7" not in remembered().read_text()
    app.close()
    assert open_app().studio.sampling.tree.parameters.spec.sampler == DDIM(eta=0.7)


GARBAGE = {
    "geometry": "!!", "theme": ["dark"], "page": {"a": 1}, "run": 7, "view": 3, "position": float("nan"),
    "recent": 5, "config": {"training": 3}, "sample": [1],
    "layout.train": {"workspace": [10**30, -1], "axis": 7},
    "layout.sample": {"columns": ["a", None]}, "layout.runs": 7,
}  # fmt: skip


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps(GARBAGE), *(json.dumps({k: v}) for k, v in GARBAGE.items())]
)
def test_that_garbage_in_the_memory_only_costs_the_layout(open_app, content, caplog):
    remembered().parent.mkdir(parents=True)
    remembered().write_text(content)
    app = open_app()
    assert app.shell.current_page is app.studio.sample_page
    assert app.studio.sampling.state.chains.facts.model == "Digits"
    assert app.studio.training.state.data.count == 1797
    app.studio.show_page("runs")
    app.close()
    assert json.loads(remembered().read_text())["page"] == "runs"


def test_that_a_remembered_run_and_folder_that_are_gone_leave_a_window_that_works(open_app, tmp_path):
    remembered().parent.mkdir(parents=True)
    gone = str(tmp_path / "gone")
    spec = {"source": gone, "spec": {}}
    config = {"data": {"source": gone}}
    remembered().write_text(json.dumps({"run": gone, "sample": spec, "config": config, "page": "train"}))
    app = open_app()
    assert app.studio.train_page.banner.isVisible()
    assert app.studio.sampling.state.chains.facts.model == "Digits"
    assert app.studio.training.state.run is None


# --- the end ----------------------------------------------------------------------------------------------


def test_that_closing_twice_is_closing_once(open_app):
    app = open_app()
    app.close()
    app.close()
    assert app.studio is None


def test_that_closing_before_the_pages_are_there_is_in_good_order(qtbot, make_app):
    app = make_app()
    with qtbot.waitSignal(app.shell.painted):
        app.show()
    app.close()
    assert app.studio is None


def test_that_closing_before_the_first_paint_is_in_good_order(make_app):
    app = make_app()
    app.show()
    app.close()


@pytest.mark.parametrize("number", range(4))
def test_that_closing_at_any_moment_of_a_training_saves_it(qtbot, open_app, number):
    luck = random.Random(number)
    app = open_app(computed=luck.random() < 0.5)
    studio = app.studio
    for name, value in tiny_config(**FOREVER).training.model_dump().items():
        studio.training.edit(f"training.{name}", value)
    studio.training.edit("model.width", 8)
    studio.training.start()
    if number:  # at once the first time
        qtbot.waitUntil(lambda: studio.training.state.step > 0)
        studio.sampling.choices.choose(str(studio.training.state.run))  # computed again at each checkpoint
        for _ in range(luck.randrange(6)):
            luck.choice([studio.training.pause, studio.training.resume, studio.sampling.compute])()
            for _ in range(luck.randrange(30)):
                QApplication.processEvents()
    app.close()
    for path in list_runs(places.runs_dir()):
        run = Run.open(path)
        with run.lock():
            assert run.step == run.metrics.losses().steps.max(initial=0)
        assert not list(path.rglob("*.tmp"))
    assert number == 0 or list_runs(places.runs_dir())


CLOSED_BY_SIGNAL = """
import os, signal, sys
from PySide6.QtCore import QTimer
from diffusion_studio import app as module
original = module.App._fill
def fill(self):
    original(self)
    self.studio.sampling.tree.edit("seed", 8)
    os.kill(os.getpid(), int(sys.argv[1]))
    os.kill(os.getpid(), int(sys.argv[1]))
module.App._fill = fill
sys.exit(module.run([]))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_that_a_signal_closes_the_window_and_the_last_edit_is_kept(number):
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_BY_SIGNAL, str(int(number))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "QThread" not in done.stderr
    assert json.loads(remembered().read_text())["sample"]["tree"]["spec"]["seed"] == 8


def test_that_a_signal_that_is_ignored_from_the_beginning_closes_no_window(qapp):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `&` in a script does
    try:
        with module._Signals(lambda: None):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert callable(signal.getsignal(signal.SIGTERM))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_that_wrong_usage_is_said(capsys):
    for arguments in (["--nonsense"], ["a", "b"]):
        assert module.run(arguments) == 2
        assert "Usage" in capsys.readouterr().err
