"""What is said once a file was written: in the banner of its page, with the way to its folder."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QVBoxLayout

from diffusion_studio.pages.page import Page
from diffusion_studio.widgets.frame import saved
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.plots import LossPlot, RunCurve


@pytest.fixture
def page(qtbot):
    """A page with a banner and a plot."""
    made = Page()
    made.banner, made.plot = Banner(), LossPlot()
    made.plot.set_runs([RunCurve("a", [1, 2], [1.0, 0.5])])
    column = QVBoxLayout(made)
    for widget in (made.banner, made.plot):
        column.addWidget(widget)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def opened(monkeypatch):
    """The folders that were opened, on a system with neither of the two special ways."""
    found: list[str] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: found.append(QUrl(url).toLocalFile()))
    return found


def test_that_a_plot_that_was_exported_is_told_with_the_way_to_its_folder(page, opened, tmp_path):
    page.plot.export(tmp_path / "loss.csv")
    assert page.banner.text == f"Saved {tmp_path / 'loss.csv'}."
    assert page.banner._folder.isVisible()
    page.banner._folder.click()
    assert opened == [str(tmp_path)]


def test_that_an_export_that_failed_says_why_and_offers_no_folder(page, tmp_path):
    page.plot.export(tmp_path / "nowhere" / "loss.csv")
    assert "was not written" in page.banner.text
    assert page.banner._folder.isHidden()


def test_that_a_message_without_a_file_offers_no_folder(page, tmp_path):
    page.plot.export(tmp_path / "loss.csv")
    page.banner.show_message("info", "Something else.")
    assert page.banner._folder.isHidden()


def test_that_outside_of_a_page_nothing_is_told(page):
    saved.tell_saved(Banner(), "x")
    saved.tell_failed(Banner(), "x")
    assert page.banner.isHidden()


@pytest.mark.parametrize(("platform", "command"), [("darwin", ["open", "-R"]), ("win32", ["explorer"])])
def test_that_other_systems_choose_the_file_in_its_folder(monkeypatch, tmp_path, platform, command):
    asked: list[list[str]] = []
    monkeypatch.setattr(saved.sys, "platform", platform)
    monkeypatch.setattr(saved.subprocess, "Popen", asked.append)
    saved.show_in_folder(tmp_path / "a.png")
    assert asked[0][: len(command)] == command and str(tmp_path / "a.png") in asked[0][-1]
