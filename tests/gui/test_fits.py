"""At every size that a window has, every label can be read and every control reached."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QDialog

from diffusion_studio.engine.files import places
from diffusion_studio.pages.shell import COMFORTABLE, LEAST, fitting
from diffusion_studio.widgets.look.theme import theme
from support.fits import faults
from support.stages import stages
from support.tiny import begin, finish, tiny_config
from support.window import settle

SIZES = (
    (960, 560),  # 200 % on 1920 × 1200, with a bar of the system
    (960, 640),
    (1280, 720),  # 150 % on 1920 × 1080
    (1366, 728),
    (1920, 1160),
)


@pytest.mark.parametrize("trained", [False, True], ids=["first start", "with a run"])
def test_that_nothing_is_cut_covered_or_out_of_reach(qtbot, open_app, trained):
    run = places.runs_dir() / "2026-11-28 digits of eight by eight"
    if trained:
        finish(begin(run, tiny_config(steps=6, preview_count=4)))
    app = open_app()
    if trained:
        app.studio.training.show_run(run)
        app.studio.sampling.choices.refresh()
        app.studio.sampling.choices.choose(str(run))
        settle(qtbot, app)
    app.studio.plane.player.stop()
    found = []
    for size in SIZES:
        app.shell.resize(*size)
        found += [f"{size}, {name}: {fault}" for name in stages(app.studio) for fault in faults(app.shell)]
        assert app.shell.size() == QSize(*size)
    assert not found, "\n" + "\n".join(found)


def test_that_every_dialog_fits_into_a_small_window(open_app):
    app = open_app(computed=False)
    app.shell.resize(LEAST)
    app.studio.plane.player.stop()
    app.studio.queue.add(app.studio.training.config)
    app.studio.queue.remove([0])  # so that it can be put back
    app.studio.show_page("runs")
    for name in ("keys", "settings", "log", "about", "show-trash", "show-queue"):
        app.shell.actions_of_window.do(name)
        (dialog,) = (d for d in app.shell.findChildren(QDialog) if d.isVisible())
        assert not (found := faults(dialog)), f"{name}: {found}"
        assert dialog.width() <= LEAST.width() and dialog.height() <= LEAST.height(), name
        dialog.close()
    app.shell.actions_of_window.do("find")
    palette = app.studio.commands.palette
    assert app.shell.rect().contains(palette.geometry())
    palette.leave()


def test_that_the_first_window_fits_the_screen():
    assert fitting(QSize(1366, 728)).height() <= 728
    assert fitting(QSize(2560, 1400)) == COMFORTABLE
    assert fitting(QSize(640, 480)) == LEAST


def test_that_colours_page_and_size_stand_before_anything_is_painted(open_app, make_app):
    app = open_app(computed=False)
    app.shell.resize(880, 620)
    app.shell.rail.theme_requested.emit("dark")
    app.studio.show_page("theory")
    app.close()
    theme().set_mode("light")

    again = make_app()
    assert theme().mode == "dark"
    assert again.shell.size() == QSize(880, 620)
    assert again.shell.rail.current == "theory"
    assert again.studio is None


def test_that_a_start_in_a_small_window_leaves_no_column_narrow(open_app):
    app = open_app(computed=False)
    app.shell.resize(LEAST)
    app.studio.show_page("plane")
    assert not faults(app.shell)
    app.shell.resize(1920, 1160)
    assert not faults(app.shell)


def test_that_splitters_of_another_screen_cut_nothing(open_app):
    app = open_app(computed=False)
    page = app.studio.sample_page
    page.restore_layout({"workspace": [4000, 0], "columns": [0, 3000]})
    app.shell.resize(960, 640)
    app.studio.show_page("sample")
    assert not faults(app.shell)
