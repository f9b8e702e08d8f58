"""A person who touches everything: each control that is seen, with events of a pointer and of keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QDialog,
    QHeaderView,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QScrollArea,
    QScrollBar,
    QWidget,
)
from shiboken6 import isValid

from diffusion_studio.app import App
from diffusion_studio.core.words import english
from diffusion_studio.pages.sample.side import TABS
from diffusion_studio.pages.theory.page import PARTS
from diffusion_studio.studio import Studio
from diffusion_studio.widgets.forms.segmented import Segmented

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
NO_VALUE = "abc"  # in a field of numbers; in one of words it is one


class Visitor(QObject):
    """Takes one action after another of each menu that opens: a menu does not let go before.

    Attributes:
        taken: the words of what was chosen.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.taken: list[str] = []
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._look)

    def opened_by(self, click: Callable[[], object]) -> bool:
        """Whether what `click` opened held something that was not chosen before."""
        before = len(self.taken)
        self._timer.start()
        click()
        self._timer.stop()
        return len(self.taken) > before

    def _look(self) -> None:
        menu = QApplication.activePopupWidget()
        if not isinstance(menu, QMenu):
            return
        fresh = (a for a in menu.actions() if a.isEnabled() and a.text() and a.text() not in self.taken)
        action = next((a for a in fresh if a.menu() is None), None)
        if action is None:
            menu.close()
            return
        self.taken.append(action.text())
        action.trigger()
        menu.close()


class Walk:
    """Touches every control of a page once, and says what went wrong."""

    def __init__(self, qtbot: Any, app: App) -> None:
        self.qtbot, self.app = qtbot, app
        assert app.studio is not None
        self.studio, self.window = app.studio, app.shell
        self.touched: Counter[str] = Counter()
        self.faults: list[str] = []
        self._menus = Visitor(app.shell)
        self._stays: QDialog | None = None  # that is not left

    def over(self, page: QWidget) -> None:
        """Touches what is seen of the page, and what comes into sight by that, the newest first."""
        while (control := self._next(page)) is not None:
            self._take(control)
            if self.window.current_page is not page:
                self.studio.show_page(page.key)  # type: ignore[attr-defined]

    def over_dialog(self, opened: Callable[[], QDialog]) -> None:
        """Touches what is in a dialog, which is opened again where one of its controls has closed it."""
        while True:
            if self._stays is None or not isValid(self._stays) or not self._stays.isVisible():
                self._stays = opened()
            control = self._next(self._stays)
            if control is None:
                break
            self._take(control)
        self._stays = None
        self.come_to_rest()

    def _take(self, control: QWidget) -> None:
        self.touched[_called(control)] += 1
        self.bring_into_sight(control)
        self._roll_over(control)
        self._touch(control)
        self.come_to_rest()

    def _next(self, page: QWidget) -> QWidget | None:
        fresh = [w for w in controls_of(page) if not self.touched[_called(w)]]
        return next((w for w in fresh if _words_of(w).startswith("Stop")), next(iter(fresh), None))

    def bring_into_sight(self, control: QWidget) -> None:
        above = control.parentWidget()
        while above is not None:
            if isinstance(above, QScrollArea):
                above.ensureWidgetVisible(control)
            above = above.parentWidget()
        self._let_settle(control)

    def _let_settle(self, control: QWidget) -> None:
        """What moves while it is laid out would be missed by a click."""
        places = [QPoint()]
        while isValid(control) and places[-1] != control.mapToGlobal(QPoint()):
            places.append(control.mapToGlobal(QPoint()))
            QApplication.processEvents()
            QApplication.processEvents()

    def _roll_over(self, control: QWidget) -> None:
        """A panel that is scrolled past a control without the focus leaves its value alone."""
        if not isinstance(control, QComboBox | QAbstractSlider) or control.hasFocus():
            return
        before = _value_of(control)
        centre = QPointF(control.rect().center())
        there, down = QPointF(control.mapToGlobal(centre)), QPoint(0, -120)
        phase = Qt.ScrollPhase.NoScrollPhase
        wheel = QWheelEvent(centre, there, QPoint(), down, Qt.MouseButton.NoButton, NONE, phase, False)
        QApplication.sendEvent(control, wheel)
        if _value_of(control) != before:
            self.faults.append(f"the wheel changes {_called(control)} without the focus")

    def _touch(self, control: QWidget) -> None:
        kinds: tuple[tuple[type[QWidget], Callable[[Any], None]], ...] = (
            (Segmented, self._choose_each), (QComboBox, self._choose_another), (QAbstractSlider, self._drag),
            (QLineEdit, self._type), (QPlainTextEdit, self._type), (QAbstractButton, self._click),
            (QAbstractItemView, self._click_rows), (QWidget, self._point),
        )  # fmt: skip
        next(touch for kind, touch in kinds if isinstance(control, kind))(control)

    def _click(self, button: QAbstractButton) -> None:
        where = QPoint(min(12, button.width() // 2), button.height() // 2)
        while self._menus.opened_by(lambda: self.qtbot.mouseClick(button, LEFT, pos=where)):
            self.come_to_rest()
            if not _is_seen(button):
                return

    def _choose_each(self, choice: Segmented) -> None:
        for key in [option.key for option in choice._options]:
            if _is_seen(choice):
                self.qtbot.mouseClick(choice, LEFT, pos=choice.segment_rect(key).center().toPoint())
                self.come_to_rest()

    def _choose_another(self, combo: QComboBox) -> None:
        """Opens the list with the pointer and takes the next line, by a key as some do."""
        self.qtbot.mouseClick(combo, LEFT)
        view = combo.view()
        self.qtbot.waitUntil(view.isVisible)
        row = (combo.currentIndex() + 1) % max(combo.count(), 1)
        view.setCurrentIndex(combo.model().index(row, 0))
        self.qtbot.keyClick(view, Qt.Key.Key_Return)
        self.qtbot.waitUntil(lambda: not isValid(view) or not view.isVisible())

    def _drag(self, slider: QAbstractSlider) -> None:
        """To and fro, beyond both ends, and let go outside."""
        middle = slider.rect().center()
        self.qtbot.mousePress(slider, LEFT, pos=middle)
        for x in (slider.width() + 500, -500, slider.width() // 3):
            self.qtbot.mouseMove(slider, QPoint(x, middle.y() + 40))
        self.qtbot.mouseRelease(slider, LEFT, pos=QPoint(slider.width() // 3, middle.y() + 40))

    def _type(self, field: QLineEdit | QPlainTextEdit) -> None:
        """Something that is no number, and then nothing at all; what cannot be is taken back by Escape."""
        if isinstance(field, QLineEdit) and field.isReadOnly():
            return
        for text in (NO_VALUE, ""):
            if _is_seen(field):
                field.setFocus()
                field.selectAll()
                self.qtbot.keyClick(field, Qt.Key.Key_Delete)
                self.qtbot.keyClicks(field, text)
                self.qtbot.keyClick(field, Qt.Key.Key_Return)
        if _is_seen(field):
            self.qtbot.keyClick(field, Qt.Key.Key_Escape)

    def _click_rows(self, view: QAbstractItemView) -> None:
        if view.model() is not None and view.model().rowCount():
            where = view.visualRect(view.model().index(0, 0)).center()
            self.qtbot.mouseClick(view.viewport(), LEFT, pos=where)

    def _point(self, drawing: QWidget) -> None:
        """A click, a drag that ends outside, a double click that may enlarge it, and Escape."""
        middle = drawing.rect().center()
        self.qtbot.mouseClick(drawing, LEFT, pos=middle)
        self.qtbot.mousePress(drawing, LEFT, pos=middle)
        for to in (middle + QPoint(30, 10), QPoint(-50, -50)):
            self.qtbot.mouseMove(drawing, to)
        self.qtbot.mouseRelease(drawing, LEFT, pos=QPoint(-50, -50))
        self.qtbot.mouseDClick(drawing, LEFT, pos=middle)
        self.come_to_rest()
        self.qtbot.keyClick(QApplication.focusWidget() or self.window, Qt.Key.Key_Escape)

    # --- in between ---------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Leaves the dialogs that opened, and waits for what began to be done."""
        QApplication.processEvents()
        for dialog in [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]:
            if dialog is self._stays:
                continue
            self._leave(dialog)
        self._end_training()
        self.qtbot.waitUntil(lambda: not self.busy)
        shown = self._stays if self._stays is not None and isValid(self._stays) else self.window
        if shown.isVisible() and not shown.isActiveWindow():  # without a screen no window follows a popup
            shown.activateWindow()
            self.qtbot.waitUntil(shown.isActiveWindow)
        QApplication.processEvents()

    def _leave(self, dialog: QDialog) -> None:
        """By Escape, once the keyboard is the dialog's."""
        title = dialog.windowTitle()
        dialog.activateWindow()
        self.qtbot.waitUntil(dialog.isActiveWindow)
        self.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
        QApplication.processEvents()
        if isValid(dialog) and dialog.isVisible():
            self.faults.append(f"Escape does not leave “{title}”")
            dialog.close()

    def _end_training(self) -> None:
        """By its own buttons: paused and gone on with at the first time, and stopped."""
        for words in ("Pause", "Resume", "Stop") if not self.touched["Pause"] else ("Stop",):
            self.qtbot.waitUntil(lambda words=words: not self.trains or self._button(words) is not None)
            if self.trains and (button := self._button(words)) is not None:
                self.touched[words] += 1
                self.qtbot.mouseClick(button, LEFT)

    def _button(self, words: str) -> QAbstractButton | None:
        """A button that is seen, whose words begin so in English."""
        page = self.window.current_page
        buttons = page.findChildren(QAbstractButton) if page is not None else []
        return next((b for b in buttons if _is_seen(b) and _words_of(b).startswith(words)), None)

    @property
    def trains(self) -> bool:
        return self.studio.training.state.busy or self.studio.codes.state.busy

    @property
    def busy(self) -> bool:
        """Whether something is at work that ends by itself."""
        training, code = self.studio.training.state, self.studio.codes.state
        reading = training.reading is not None or code.reading is not None
        listing = self.studio.runs.state.listed is False and self.window.rail.current == "runs"
        return listing or reading or self.trains or self.studio.sampling.state.chains.busy


def controls_of(page: QWidget) -> Iterator[QWidget]:
    """What takes a click or the focus, and can now."""
    for widget in page.findChildren(QWidget):
        touched = isinstance(widget, QAbstractButton | QComboBox | QAbstractSlider | QAbstractItemView)
        if _is_seen(widget) and (touched or _takes_focus(widget)) and not _is_part(widget):
            yield widget


def _is_seen(widget: QWidget) -> bool:
    return isValid(widget) and widget.isVisible() and widget.isEnabled()


def _takes_focus(widget: QWidget) -> bool:
    stands_in = widget.focusProxy() or widget
    areas = isinstance(widget, QScrollArea)
    return not areas and Qt.FocusPolicy.NoFocus not in (widget.focusPolicy(), stands_in.focusPolicy())


def _is_part(widget: QWidget) -> bool:
    """Of another control."""
    own = isinstance(widget, QScrollBar | QHeaderView)
    return own or isinstance(widget.parentWidget(), QComboBox)


def _called(widget: QWidget) -> str:
    """A control by its name and place, whether or not it was made anew meanwhile."""
    places = " in ".join(type(w).__name__ for w in _upwards(widget))
    return f"{type(widget).__name__} “{widget.accessibleName() or _words_of(widget)}” in {places}"


def _words_of(widget: QWidget) -> str:
    """In English, whatever is spoken."""
    return english(widget.text()) if isinstance(widget, QAbstractButton) else ""


def _upwards(widget: QWidget) -> Iterator[QWidget]:
    above = widget.parentWidget()
    for _ in range(3):
        if above is not None:
            yield above
            above = above.parentWidget()


def _value_of(control: QComboBox | QAbstractSlider) -> int:
    return control.currentIndex() if isinstance(control, QComboBox) else control.value()


# --- the pages, as far as a walk must know them ------------------------------------------------------------


def shortened(studio: Studio) -> None:
    """All that can be begun is small."""
    _shorten(studio.sampling.tree, steps=4, count=4)
    _shorten(studio.codes, **{"training.steps": 2, "training.seconds": 0.0})
    _shorten(studio.plane.editor, count=100)


def _shorten(edited: Any, **values: Any) -> None:
    for path, value in values.items():
        edited.edit(path, value)
    edited.settle()


def parts_of(studio: Studio, page: str) -> list[Callable[[], object]]:
    """How each part of a page is brought into sight."""
    if page == "sample":
        show = studio.sample_page.side.show_tab
        return [partial(show, key) for key, *_ in TABS]
    if page == "autoencoder":
        model = studio.codes
        return [partial(model.show, view) for view in ("learn", "code", "exact", "bridge")]
    if page == "theory":
        return [partial(studio.theory_page.show_part, key) for key, *_ in PARTS]
    return [lambda: None]


def value_of(studio: Studio, page: str) -> Any:
    """What undo acts on."""
    return {
        "train": lambda: studio.training.config,
        "sample": lambda: studio.sampling.tree.parameters,
        "plane": lambda: studio.plane.editor.value,
        "autoencoder": lambda: studio.codes.editor.value,
        "theory": lambda: studio.theory.state.spec,
        "runs": lambda: {run.path: run.entry for run in studio.runs.state.runs},
    }[page]()
