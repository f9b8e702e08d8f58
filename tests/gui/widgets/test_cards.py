import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.frame.cards import Card, DataCard, ProgressCard, SkippedDialog
from diffusion_studio.widgets.look.theme import theme


@pytest.fixture
def show(qtbot):
    def shown(widget):
        qtbot.addWidget(widget)
        widget.resize(700, widget.sizeHint().height())
        widget.show()
        return widget

    return shown


def visible(widget, kind):
    return [part.text() for part in widget.findChildren(kind) if part.isVisible() and part.text()]


def press(widget, text):
    next(b for b in widget.findChildren(QPushButton) if b.text() == text and b.isVisible()).click()


def test_that_a_card_without_a_title_wastes_no_line(show):
    card = show(Card())
    assert visible(card, QLabel) == []
    card.set_title("Samples", "EMA · step 600")
    assert visible(card, QLabel) == ["Samples", "EMA · step 600"]


def test_that_the_data_card_says_what_there_is(show):
    card = show(DataCard())
    card.set_data("digits", 1797, 10, "8×8 grey", np.zeros((20, 8, 8, 1), np.uint8))
    assert visible(card, QLabel) == [
        "digits",
        "1,797 images\u00a0· 10 classes\u00a0· 8×8 grey",
        "none skipped",
    ]
    card.set_data("one", 1, 1, "", None)
    assert "1 image" in visible(card, QLabel)


def test_that_the_data_card_says_how_classes_were_found_and_cuts_no_note(show):
    card = show(DataCard())
    card.set_data("animals", 8, 2, "32×32 colour", np.zeros((8, 8, 8, 3), np.uint8))
    card.set_notes("Classes come from the names of the folders.", ["Some sentence of a set. " * 12])
    (notes,) = [part for part in card.findChildren(QLabel) if part.text().startswith("Classes come")]
    card.resize(260, card.heightForWidth(260))
    assert notes.isVisible()
    assert notes.height() >= notes.heightForWidth(notes.width())
    card.set_notes("", ())
    assert not notes.isVisible()


def test_that_skipped_files_can_be_asked_for(qtbot, show):
    card = show(DataCard())
    card.set_skipped(3)
    assert "3 skipped" in visible(card, QLabel)
    with qtbot.waitSignal(card.skipped_requested):
        press(card, "Show…")
    card.set_skipped(0)
    assert "Show…" not in visible(card, QPushButton)


def test_that_reading_a_folder_can_be_cancelled_but_not_doubled(qtbot, show):
    card = show(DataCard())
    with qtbot.waitSignal(card.open_requested):
        press(card, "Open folder…")
    height = card.sizeHint().height()
    card.set_progress(120_000, 0)
    assert card.sizeHint().height() == height  # what stands below stays where it is
    assert "Looking through the folder: 120,000 files …" in visible(card, QLabel)
    card.set_progress(400, 1200)
    assert "Reading images …" in visible(card, QLabel)
    assert not card._open.isEnabled()
    assert (card._bar.value(), card._bar.maximum()) == (400, 1200)
    with qtbot.waitSignal(card.cancel_requested):
        press(card, "Cancel")
    card.set_idle()
    assert card._open.isEnabled()
    assert not card._bar.isVisible()


@pytest.mark.parametrize(
    ("state", "buttons"),
    [
        ("idle", ["Start"]),
        ("running", ["Pause", "Stop && save"]),
        ("paused", ["Resume", "Stop && save"]),
        ("stopping", ["Pause", "Saving…"]),
    ],
)
def test_that_work_offers_what_can_be_done(show, state, buttons):
    card = show(ProgressCard())
    card.set_state(state)
    assert visible(card, QPushButton) == buttons


def test_that_the_buttons_of_work_say_so(qtbot, show):
    card = show(ProgressCard())
    for state, text, signal in (
        ("idle", "Start", card.start_requested),
        ("running", "Pause", card.pause_requested),
        ("paused", "Resume", card.resume_requested),
        ("paused", "Stop && save", card.stop_requested),
    ):
        card.set_state(state)
        with qtbot.waitSignal(signal):
            press(card, text)


def test_that_work_that_cannot_start_says_why(show):
    card = show(ProgressCard())
    card.set_start_enabled(False, "no data yet")
    assert not card._start.isEnabled()
    assert card._start.toolTip() == "no data yet"


def test_that_an_unknown_total_is_an_empty_bar(show):
    card = show(ProgressCard())
    card.set_progress(5, 0)
    assert (card._bar.minimum(), card._bar.value(), card._bar.maximum()) == (0, 0, 1)


def test_that_skipped_files_are_listed_without_blocking(qtbot):
    dialog = SkippedDialog()
    qtbot.addWidget(dialog)
    dialog.set_rows([("a.png", "truncated"), ("b.eps", "not a picture")])
    dialog.open()
    assert dialog.isVisible()
    assert dialog.windowModality() == Qt.WindowModality.NonModal
    model = dialog._table.model()
    assert (model.rowCount(), model.columnCount()) == (2, 2)
    assert model.data(model.index(1, 1)) == "not a picture"
    assert dialog.windowTitle() == "2 skipped files"
    dialog.close()


def test_that_a_banner_is_hidden_until_it_has_something_to_say(qtbot, show):
    banner = Banner()
    qtbot.addWidget(banner)
    assert banner.isHidden()
    banner.show_message("info", "Took up the run again.")
    assert visible(banner, QPushButton) == []
    with qtbot.waitSignal(banner.closed):
        banner.dismiss()
    assert banner.isHidden()


def test_that_a_banner_shows_its_log_on_demand(qtbot):
    banner = Banner()
    qtbot.addWidget(banner)
    banner.show_message("error", "The file is damaged.", "Choose…", "Traceback …")
    assert not banner._log.isVisible()
    with qtbot.waitSignal(banner.details_toggled):
        press(banner, "Details")
    assert banner._log.isVisible()
    assert banner._log.toPlainText() == "Traceback …"
    with qtbot.waitSignal(banner.action_triggered):
        press(banner, "Choose…")
    banner.show_message("warning", "Three files were left out.")
    assert not banner._log.isVisible()
    assert banner.accessibleName() == "warning: Three files were left out."


def test_that_everything_can_be_drawn_in_both_schemes(show):
    cards = [show(DataCard()), show(ProgressCard()), show(Card("Loss"))]
    for mode in ("light", "dark", "system"):
        theme().set_mode(mode)
        for card in cards:
            assert not card.grab().isNull()


def test_that_a_narrow_card_says_the_step_rather_than_half_a_sentence(show):
    card = show(ProgressCard())
    card.set_detail("step 37 · trained for 12 s")
    assert card._detail.shown() == "step 37 · trained for 12 s"
    card._detail.resize(card._detail.fontMetrics().horizontalAdvance("step 37 · trained"), 20)
    assert card._detail.shown() == "step 37"


def test_that_how_far_work_is_has_room_beside_many_buttons(show):
    card, said = show(ProgressCard()), "step 400 of 3,000 · 11 images/s · 19 min left"
    assert card._detail.isHidden()
    for word in ("Sample", "…"):
        card.add_action_widget(QPushButton(word))
    card.set_title("2026-11-29_holiday-pictures")
    card.set_state("running")
    card.set_detail(said)
    card.resize(card._detail.fontMetrics().horizontalAdvance(said) + 40, card.sizeHint().height())
    assert card._detail.shown() == said


def test_that_a_name_in_little_room_keeps_its_end(show):
    card = show(ProgressCard())
    card.set_title("2026-11-29_holiday-pictures")
    card._title.resize(card._title.fontMetrics().horizontalAdvance("2026-11-29_hol"), 20)
    assert "…" in card._title.shown() and card._title.shown().endswith("ures")


def test_that_a_narrow_title_says_the_step_whole(show):
    card = show(Card())
    card.set_title("Samples", "EMA · DDIM 20 · step 400", "step 400")
    card._detail.resize(card._detail.fontMetrics().horizontalAdvance("EMA · DDIM 20 · step"), 20)
    assert card._detail.shown() == "step 400"
