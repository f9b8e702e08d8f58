"""The window in another language, by itself: `python -m support.foreign CODE` (`tests` in the path).

`pseudo` is a language whose every sentence stands in brackets: what is seen without them was never given to
be translated. Of a real language it is asked that nothing is cut. Prints one line for each fault.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from gettext import NullTranslations
from pathlib import Path
from typing import TYPE_CHECKING

from diffusion_studio.core.words import Language, speak
from support.citations import keys, wrong

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from diffusion_studio.app import App

PSEUDO = "pseudo"
OPEN, CLOSE = "⟦", "⟧"
DIALOGS = ("keys", "settings", "log", "about", "show-trash", "show-queue")
REPORTS = ("about", "log")  # are read by whoever looks for a fault, in English
SIZE = (960, 640)
NAMES = """
Diffusion Studio DDPM DDIM DPM SDE Euler Heun PNDM iPNDM LMS DEIS UniPC EDM NCSN Langevin SA-Solver DPM-Solver
k-diffusion sub-VP min-SNR Huber Adam AdamW Muon MLP AutoencoderKL Autoencoder ELBO SNR VDM iDDPM linear log
min max Var CPU CUDA RGB FID KID Deutsch English Strg Leertaste Einfg Entf Pos Ende Esc Enter Return Rücktaste
Umschalt Schließen Export
"""
"""What is called so in every language, and what Qt translates, which is German here."""
KNOWN = keys(Path("docs/REFERENCES.md").read_text(encoding="utf-8"))


class Pseudo(NullTranslations):
    """Marks every sentence that is asked for."""

    def gettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    def pgettext(self, context: str, message: str) -> str:
        return self.gettext(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def unmarked(text: str) -> list[str]:
    """The words of a text that are in no sentence that was asked for, and of no citation."""
    untagged = re.sub(r"<[^>]*>|&\w+;|\u00a0", " ", text.replace("\u2060", ""))
    plain = re.sub(rf"(?<!\S)/[^\s{CLOSE}]+", " ", untagged)  # nor paths
    while (shorter := re.sub(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", " ", plain)) != plain:
        plain = shorter
    if not wrong(plain.strip(), KNOWN):
        return []
    names = {*NAMES.split(), *" ".join(KNOWN).split()}
    words = re.findall(r"[A-Za-zÀ-ž][A-Za-zÀ-ž-]*", plain)
    return [word for word in words if len(word) > 2 and word not in names]


def texts(window: QWidget) -> Iterator[tuple[str, str]]:
    """Everything that the window says where it stands, and what says it."""
    from PySide6 import QtWidgets as Q
    from PySide6.QtGui import QAction

    for widget in window.findChildren(Q.QWidget):
        if widget.window() is not window or not widget.isVisible():
            continue
        name = type(widget).__name__
        for ask in ("text", "title", "placeholderText", "toolTip", "accessibleName"):
            said = getattr(widget, ask, str)
            if callable(said) and not isinstance(widget, Q.QLineEdit | Q.QPlainTextEdit):
                yield f"{name}.{ask}", str(said())
        if isinstance(widget, Q.QComboBox):
            yield from ((f"{name} item", widget.itemText(k)) for k in range(widget.count()))
    for action in window.findChildren(QAction):
        yield "action", action.text()


def faults_of(app: App, code: str) -> Iterator[str]:
    """What is wrong with the window in this language, on every page and every part of it."""
    from PySide6.QtWidgets import QDialog

    from support.fits import faults, settle
    from support.stages import stages

    assert app.studio is not None
    app.studio.show_page("runs")
    app.studio.plane.player.stop()
    app.shell.resize(*SIZE)
    for stage in stages(app.studio):
        if code != PSEUDO:
            yield from (f"{stage}: {fault}" for fault in faults(app.shell))
        else:
            settle()
            yield from english(texts(app.shell))
    for name in DIALOGS:
        app.shell.actions_of_window.do(name)
        (dialog,) = (d for d in app.shell.findChildren(QDialog) if d.isVisible())
        if code != PSEUDO:
            yield from (f"{name}: {fault}" for fault in faults(dialog))
        elif name not in REPORTS:
            yield from english(texts(dialog))
        dialog.close()


def english(said: Iterator[tuple[str, str]]) -> Iterator[str]:
    """What has words that nobody gave to be translated."""
    for place, text in said:
        if words := unmarked(text):
            yield f"{place} {text[:90]!r}: {' '.join(words[:6])}"


def main(code: str) -> int:
    from PySide6.QtCore import QEventLoop
    from PySide6.QtWidgets import QApplication

    from diffusion_studio.widgets.look import language

    speak(Language("de", Pseudo()) if code == PSEUDO else language.language(code))
    application = QApplication([])
    language.translate_qt(application)
    from diffusion_studio.app import App

    app, opened = App(), QEventLoop()
    app.ready.connect(opened.quit)
    app.show()
    opened.exec()
    print("\n".join(sorted(set(faults_of(app, code)))))
    app.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
