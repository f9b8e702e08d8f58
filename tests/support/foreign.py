"""The window in another language, by itself: `python -m support.foreign CODE` (`tests` in the path).

`pseudo` is a language whose every sentence stands in brackets: what is seen without them was never given to
be translated. Of a real language it is asked that nothing is cut. Prints one line for each fault.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from gettext import NullTranslations
from typing import TYPE_CHECKING

from diffusion_studio.core.words import Language, speak

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from diffusion_studio.app import App

PSEUDO = "pseudo"
OPEN, CLOSE = "⟦", "⟧"
DIALOGS = ("keys", "settings", "log", "about", "show-trash", "show-queue")
SIZES = ((1280, 800), (960, 640))
NAMES = """
Diffusion Studio DDPM DDIM DPM SDE Euler Heun PNDM LMS DEIS UniPC EDM NCSN Langevin Adam AdamW
Muon SOAP Luo Course Score Song Karras Kingma Nichol Salimans Deutsch English Deviation digits png
json npz min max SNR log CPU CUDA MPS RGB FID KID Autoencoder Essentials PySide qtbase ELBO Strg
figure figures definition remark lemma proposition algorithm section table appendix
"""
"""What is called so in every language; and what texts that are cited call their parts."""


class Pseudo(NullTranslations):
    """Marks every sentence that is asked for."""

    def gettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    def pgettext(self, context: str, message: str) -> str:
        return self.gettext(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def unmarked(text: str) -> list[str]:
    """The words of a text that are in no sentence that was asked for."""
    plain = re.sub(r"<[^>]*>|&\w+;", " ", text)
    while (shorter := re.sub(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", " ", plain)) != plain:
        plain = shorter
    return [word for word in re.findall(r"[A-Za-z]{3,}", plain) if word not in NAMES.split()]


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
    for size in SIZES[: 1 if code == PSEUDO else None]:
        app.shell.resize(*size)
        for stage in stages(app.studio):
            if code != PSEUDO:
                yield from (f"{size}, {stage}: {fault}" for fault in faults(app.shell))
                continue
            settle()
            yield from english(texts(app.shell))
    for name in DIALOGS:
        app.shell.actions_of_window.do(name)
        (dialog,) = (d for d in app.shell.findChildren(QDialog) if d.isVisible())
        yield from english(texts(dialog)) if code == PSEUDO else (f"{name}: {f}" for f in faults(dialog))
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
