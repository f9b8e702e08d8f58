"""The libraries Qt needs, and the command that installs them on each kind of Linux."""

from __future__ import annotations

import sys

import pytest

from diffusion_studio.engine.machine import qt_libraries
from diffusion_studio.engine.machine.qt_libraries import (
    FONTS,
    LIBRARIES,
    Library,
    install_command,
    linux_family,
    missing,
)

NOWHERE = Library("libno-such-thing.so.7", "libno-such-thing7", "no-such-thing")

OS_RELEASES = {
    'NAME="Debian GNU/Linux"\nID=debian\n': "debian",
    "ID=ubuntu\nID_LIKE=debian\n": "debian",
    'ID=linuxmint\nID_LIKE="ubuntu debian"\n': "debian",
    "ID=fedora\n": "fedora",
    'ID="rocky"\nID_LIKE="rhel centos fedora"\n': "fedora",
    "ID=manjaro\nID_LIKE=arch\n": "arch",
    'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n': "suse",
    "ID=nixos\n": "",
    "": "",
}


@pytest.mark.parametrize(("text", "family"), OS_RELEASES.items())
def test_that_the_family_of_a_linux_is_read(text, family):
    assert linux_family(text) == family


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux leaves these to the person")
def test_that_a_library_that_cannot_be_loaded_is_missing(monkeypatch):
    monkeypatch.setattr(qt_libraries, "_has_font", lambda: True)
    assert missing([Library("libc.so.6", "libc6", "glibc"), NOWHERE]) == (NOWHERE,)


def test_that_no_font_at_all_counts_as_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(qt_libraries, "FONT_FOLDERS", (str(tmp_path),))
    assert missing([]) == (FONTS,)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "Sans.TTF").touch()
    assert missing([]) == ()


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_that_nothing_is_missing_where_qt_brings_everything(platform, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    assert missing([NOWHERE]) == ()


def test_that_each_family_gets_its_own_command():
    two = LIBRARIES[0], FONTS
    assert install_command(two, "debian")[-2:] == ("libegl1", "fonts-dejavu-core")
    assert install_command(two, "arch")[-2:] == ("libglvnd", "ttf-dejavu")
    assert install_command(two, "fedora") == (
        "dnf",
        "install",
        "-y",
        "libEGL.so.1()(64bit)",
        "dejavu-sans-fonts",
    )
    assert install_command(two, "suse")[0] == "zypper"
    assert install_command(two, "") == ()


def test_that_a_package_is_named_once():
    packages = install_command(LIBRARIES, "arch")
    assert len(packages) == len(set(packages))
