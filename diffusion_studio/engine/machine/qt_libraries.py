"""The system libraries that Qt loads on Linux, and the packages that hold them.

Standard library only: the start script loads this file by its path before anything is installed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".pfb")


@dataclass(frozen=True)
class Library:
    """A shared library by its soname, and the Debian and Arch packages it comes in."""

    soname: str
    debian: str
    arch: str
    x11_only: bool = False  # needed by the X11 platform plugin alone, not to import Qt


# What `ldd` lists for QtGui and for the X11 platform plugin of PySide6 6.11, less what every system has.
LIBRARIES = (
    Library("libEGL.so.1", "libegl1", "libglvnd"),
    Library("libGL.so.1", "libgl1", "libglvnd"),
    Library("libxkbcommon.so.0", "libxkbcommon0", "libxkbcommon"),
    Library("libfontconfig.so.1", "libfontconfig1", "fontconfig"),
    Library("libfreetype.so.6", "libfreetype6", "freetype2"),
    Library("libdbus-1.so.3", "libdbus-1-3", "dbus"),
    Library("libglib-2.0.so.0", "libglib2.0-0", "glib2"),
    Library("libX11.so.6", "libx11-6", "libx11"),
    Library("libX11-xcb.so.1", "libx11-xcb1", "libx11", x11_only=True),
    Library("libxkbcommon-x11.so.0", "libxkbcommon-x11-0", "libxkbcommon-x11", x11_only=True),
    Library("libxcb-cursor.so.0", "libxcb-cursor0", "xcb-util-cursor", x11_only=True),
    Library("libxcb-icccm.so.4", "libxcb-icccm4", "xcb-util-wm", x11_only=True),
    Library("libxcb-image.so.0", "libxcb-image0", "xcb-util-image", x11_only=True),
    Library("libxcb-keysyms.so.1", "libxcb-keysyms1", "xcb-util-keysyms", x11_only=True),
    Library("libxcb-randr.so.0", "libxcb-randr0", "libxcb", x11_only=True),
    Library("libxcb-render.so.0", "libxcb-render0", "libxcb", x11_only=True),
    Library("libxcb-render-util.so.0", "libxcb-render-util0", "xcb-util-renderutil", x11_only=True),
    Library("libxcb-shape.so.0", "libxcb-shape0", "libxcb", x11_only=True),
    Library("libxcb-shm.so.0", "libxcb-shm0", "libxcb", x11_only=True),
    Library("libxcb-sync.so.1", "libxcb-sync1", "libxcb", x11_only=True),
    Library("libxcb-util.so.1", "libxcb-util1", "xcb-util", x11_only=True),
    Library("libxcb-xfixes.so.0", "libxcb-xfixes0", "libxcb", x11_only=True),
    Library("libxcb-xkb.so.1", "libxcb-xkb1", "libxcb", x11_only=True),
)
FONTS = Library("a font", "fonts-dejavu-core", "ttf-dejavu")


def missing(libraries: Iterable[Library] = LIBRARIES) -> tuple[Library, ...]:
    """The libraries that cannot be loaded here, and `FONTS` if there is no font; always empty off Linux."""
    if not sys.platform.startswith("linux"):
        return ()
    absent = tuple(library for library in libraries if not _loads(library.soname))
    return absent if _has_font() else (*absent, FONTS)


def install_command(libraries: Iterable[Library], family: str) -> tuple[str, ...]:
    """The command that installs `libraries` on a Linux of `family`, to be run as root; empty if unknown."""
    wanted = tuple(libraries)
    if family == "debian":
        return ("apt-get", "install", "-y", "--no-install-recommends", *_unique(lib.debian for lib in wanted))
    if family == "arch":
        return ("pacman", "-S", "--needed", "--noconfirm", *_unique(lib.arch for lib in wanted))
    tools = {"fedora": ("dnf", "install", "-y"), "suse": ("zypper", "--non-interactive", "install")}
    return (*tools[family], *_unique(map(_rpm_capability, wanted))) if family in tools else ()


def linux_family(os_release: str) -> str:
    """`debian`, `fedora`, `arch`, `suse` or nothing, from the text of /etc/os-release."""
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    words = " ".join(fields.get(key, "") for key in ("ID", "ID_LIKE")).replace('"', "").split()
    aliases = {"ubuntu": "debian", "rhel": "fedora", "centos": "fedora", "opensuse": "suse", "sles": "suse"}
    for word in (aliases.get(word, word) for word in words):
        if word in ("debian", "fedora", "arch", "suse"):
            return word
    return ""


def this_linux() -> str:
    """The family of the Linux we run on."""
    try:
        return linux_family(Path("/etc/os-release").read_text(encoding="utf-8"))
    except OSError:
        return ""


def _loads(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def _has_font() -> bool:
    folders = (Path(folder).expanduser() for folder in FONT_FOLDERS)
    return any(
        name.lower().endswith(FONT_SUFFIXES)
        for folder in folders
        for _, _, names in os.walk(folder)
        for name in names
    )


def _rpm_capability(library: Library) -> str:
    """What rpm-based systems call a library, whatever its package is named."""
    return "dejavu-sans-fonts" if library is FONTS else f"{library.soname}()(64bit)"


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
