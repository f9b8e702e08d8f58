"""The language of the window: which there are, and which one is spoken."""

from __future__ import annotations

import os
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from diffusion_studio.core.words import Language, speak, spoken
from diffusion_studio.widgets.look.resources import resource

LANGUAGES = {"en": "English", "de": "Deutsch"}
"""Every language by its code, in its own name."""
PERCENT = {"de": "\u202f%"}  # where it is not just the sign
GROUP = "\u202f"  # between groups of digits, where the decimal mark is no point: nobody takes it for one
VARIABLE = "DIFFUSION_STUDIO_LANGUAGE"  # goes before what is set in the window


def asked_for(setting: object) -> str:
    """The code of the language for what is set: itself, or the first of the system's that there is."""
    wanted = os.environ.get(VARIABLE) or setting
    if wanted in LANGUAGES:
        return str(wanted)
    system = (name.partition("-")[0] for name in QLocale.system().uiLanguages())
    return next((code for code in system if code in LANGUAGES), "en")


def language(code: str) -> Language:
    """The words and marks of one of the `LANGUAGES`."""
    if code == "en":
        return Language()
    words: NullTranslations = NullTranslations()
    for path in sorted(catalogues(code).glob("*.mo")):
        with path.open("rb") as file:
            read = GNUTranslations(file)
        read.add_fallback(words)
        words = read
    locale = QLocale(code)
    return Language(code, words, (locale.decimalPoint(), GROUP), PERCENT.get(code, "%"))


def catalogues(code: str) -> Path:
    """The folder of a language's catalogues: one for each layer of the program."""
    return resource(f"languages/{code}")


def take_up(setting: object) -> None:
    """Speaks the language that is set, before anything with sentences is imported."""
    speak(language(asked_for(setting)))


def translate_qt(application: QCoreApplication) -> None:
    """Qt's own words (buttons of dialogs, names of keys) and its numbers, in the language that is spoken."""
    locale = QLocale(spoken().code)
    QLocale.setDefault(locale)
    translator = QTranslator(application)
    if translator.load(locale, "qtbase", "_", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
        application.installTranslator(translator)
