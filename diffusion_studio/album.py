"""An album of pictures of the window: which sizes of a screen it holds, and how one is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer
from PySide6.QtCore import QEventLoop, QRect, QTimer
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtWidgets import QApplication, QDialog, QWidget

if TYPE_CHECKING:
    from diffusion_studio.pages.shell import Shell

SIZES = ("960x640", "1280x800", "1366x768", "1920x1200")
MODES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
REST = 700  # ms after which a window of another size or other colours has settled
PATIENCE = 600_000  # ms to wait for a page to be complete
LOOKS = 20  # at a window until nothing moves


@dataclass(frozen=True)
class Album:
    """Where pictures go, and of which sizes of the screen they are made, in its own pixels."""

    folder: Path
    sizes: tuple[tuple[int, int], ...]
    scale: int  # %, of the screen

    @property
    def windows(self) -> Iterator[tuple[int, int, str]]:
        """Width and height of a window that fills the screen, and the end of a picture's name.

        A screen that has no room for the window is left out.
        """
        from diffusion_studio.pages.shell import LEAST

        for width, height in self.sizes:
            inside = width * 100 // self.scale, height * 100 // self.scale
            if inside[0] >= LEAST.width() and inside[1] >= LEAST.height():
                scaled = "" if self.scale == 100 else f"@{self.scale}"
                yield *inside, f"{width}x{height}{scaled}"

    def take(self, shell: Shell, name: str, ask: Callable[[], None] | None = None) -> None:
        """Pictures of the window as it is now, in both themes and all sizes.

        With `ask`, which opens a dialog, of this one over it, opened anew as it takes its size of the window.
        """
        from diffusion_studio.widgets.equations.rendering import rendering
        from diffusion_studio.widgets.look.theme import theme

        for mode in MODES:
            theme().set_mode(mode)
            for width, height, size in self.windows:
                shell.resize(width, height)
                if ask is not None:
                    ask()
                pause(REST)
                wait(lambda: rendering().at_rest)
                settle(shell)
                path = self.folder / f"{name}-{mode}-{size}.png"
                with_dialogs(shell).save(str(path))
                for dialog in shell.findChildren(QDialog) if ask is not None else ():
                    dialog.close()
                typer.echo(path)


def with_dialogs(shell: QWidget) -> QPixmap:
    """The window as a picture, its dialogs in the middle."""
    picture = shell.grab()
    painter = QPainter(picture)
    for dialog in QApplication.topLevelWidgets():
        if isinstance(dialog, QDialog) and dialog.isVisible():
            over = dialog.rect()
            over.moveCenter(shell.rect().center())
            painter.drawPixmap(over.topLeft(), dialog.grab())
    painter.end()
    return picture


def size_of(text: str) -> tuple[int, int]:
    """ "1280x800" as numbers."""
    try:
        width, height = (int(part) for part in text.lower().replace("×", "x").split("x"))
    except ValueError:
        raise typer.BadParameter(f"{text}: a size is needed, like 1280x800") from None
    return width, height


def settle(shell: QWidget) -> None:
    """Lets the window live until nothing in it moves: what asks for room may come late on a busy machine."""
    before: list[QRect] = []
    for _ in range(LOOKS):
        now = [widget.geometry() for widget in shell.findChildren(QWidget) if widget.isVisible()]
        if now == before:
            return
        before = now
        pause(REST // 4)


def wait(condition: Callable[[], bool]) -> None:
    """Lets the window live until `condition` holds.

    Raises:
        TimeoutError: it never did.
    """
    waited = 0
    while not condition():
        if waited >= PATIENCE:
            raise TimeoutError("A page was not complete in time.")
        pause(50)
        waited += 50


def pause(milliseconds: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()
