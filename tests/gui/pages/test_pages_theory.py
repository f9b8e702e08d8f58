"""The Theory page in its window."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel, QPushButton

from diffusion_studio.core.process.schedules import LearnedSchedule
from diffusion_studio.core.theory.equations import Equation
from diffusion_studio.core.theory.errata import ERRATA
from diffusion_studio.core.theory.figures import FIGURES
from diffusion_studio.core.theory.identities import IDENTITIES
from diffusion_studio.pages.theory.figures import FiguresView
from diffusion_studio.pages.theory.identities import IdentityCard
from diffusion_studio.pages.theory.page import PARTS, _look
from diffusion_studio.pages.theory.parts import (
    Cell,
    EquationRow,
    EquationsView,
    ErratumCard,
    Scrolled,
    shown_number,
)
from diffusion_studio.viewmodels.theory.equations import all_equations
from diffusion_studio.viewmodels.theory.exact_bound import EXACT
from diffusion_studio.viewmodels.theory.model import TheorySpec
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.look.theme import DARK, LIGHT, subscripted, unbroken
from diffusion_studio.widgets.plots.legend import color_of
from support.tiny import begin, finish, tiny_config


@pytest.fixture
def app(open_app):
    return open_app(page="theory")


def test_that_every_part_is_shown(app, qtbot):
    page = app.studio.theory_page
    for key, _, _ in PARTS:
        page.show_part(key)
        assert page.stack.currentWidget() is page._views[key]
        qtbot.waitUntil(lambda: page.is_full)
    assert len(page.findChildren(ErratumCard)) == len(ERRATA)
    assert "linear β" in page.schedules["beta"].describe()


def test_that_a_long_list_comes_a_piece_a_turn_and_follows_what_is_chosen_meanwhile(app, qtbot):
    page = app.studio.theory_page
    for part in ("errata", "identities", "algorithms", "equations", "figures"):
        turns, fill_on = [], Scrolled._fill_on

        def counted(view, turns=turns, fill_on=fill_on):
            before = len(view.findChildren(EquationView))
            fill_on(view)
            turns.append(len(view.findChildren(EquationView)) - before)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Scrolled, "_fill_on", counted)
            page.show_part(part)
            assert len(turns) == 1 and not page.is_full
            app.studio.theory.edit("schedule.kind", "cosine")
            qtbot.waitUntil(lambda: page.is_full)
        assert len(turns) > 5
        assert max(turns) <= 16  # the lines of the longest algorithm
    figures = page.findChild(FiguresView)
    assert figures._tables.steps == TheorySpec().steps
    assert figures._tables.alpha_bar_at(500) == app.studio.theory.state.spec.tables().alpha_bar_at(500)


def test_that_no_erratum_lies_over_its_words(app, qtbot):
    """Formulas come one by one, and take two lines where there is no room for one."""
    page = app.studio.theory_page
    page.show_part("errata")
    qtbot.waitUntil(lambda: page.is_full)
    equations = page.findChildren(EquationView)
    cards = page.findChildren(ErratumCard)
    qtbot.waitUntil(lambda: all(equation._missing() is None for equation in equations))

    def apart() -> bool:
        return all(
            words.geometry().top() >= equation.mapTo(card, equation.rect().topLeft()).y() + equation._held - 1
            for card in cards
            for equation in card.findChildren(EquationView)
            for words in card.findChildren(QLabel)
            if words.wordWrap()
        )

    qtbot.waitUntil(apart)


def test_that_an_equation_leads_to_where_it_acts(app, qtbot):
    page = app.studio.theory_page
    page.show_part("equations")
    view = page.findChild(EquationsView)
    for equation in all_equations():
        app.studio.show_page("theory")
        view.go_requested.emit(equation.page, equation.path)
        current = app.shell.current_page
        assert current.key == equation.page
        if equation.page == "theory":
            assert current.part == equation.path
        else:
            forms = current.findChildren(Form)
            (field,) = (form.field(equation.path) for form in forms if equation.path in form.paths)
            assert field.isVisible()


def test_that_the_bound_is_measured_by_its_button(app, qtbot, tmp_path):
    from diffusion_studio.engine.files.places import runs_dir

    finish(begin(runs_dir() / "mine", tiny_config(T=4, held_out=0.1)))
    page = app.studio.theory_page
    page.show_part("elbo")
    assert not page.bound.head.button.isVisible()  # one button is enough
    page.bound.empty._primary.click()
    qtbot.waitUntil(lambda: app.studio.theory.state.phase == "idle")
    assert page.bound.sums.isVisible()
    assert all(words.text() for words in page.bound.sums.findChildren(QLabel) if words.wordWrap())
    head = page.bound.head
    assert head.button.isVisible() and head.button.isEnabled()
    qtbot.waitUntil(lambda: head.button.geometry().right() == head.rect().right())  # as the cards below end
    assert "lowest" in page.bound.plot.describe()
    assert page.bound.stack.currentWidget() is page.bound.plot
    page.bound.views.changed.emit("steps")
    assert page.bound.stack.currentWidget() is page.bound.costs
    assert "σ² the best" in page.bound.costs.describe()
    for width in (880, 1400):  # nothing below the plot lies over anything else
        app.shell.window().resize(width, 520)
        qtbot.waitUntil(
            lambda: page.bound.sums.height() >= page.bound.sums.heightForWidth(page.bound.sums.width())
        )


def test_that_without_a_run_the_exact_denoiser_can_be_measured(app):
    page = app.studio.theory_page
    page.show_part("elbo")
    assert page.bound.empty._title.text() == "No run yet"
    assert page.bound.runs.currentData() == EXACT
    assert page.bound.empty._primary.isVisible()
    assert not page.bound.head.button.isVisible()


def test_that_a_bound_that_is_being_measured_says_so(app):
    bound, state = app.studio.theory_page.bound, app.studio.theory.state
    state = replace(state, runs=(("runs/a", "a"),), run="runs/a")
    bound.show_state(state)
    assert bound.empty.accessibleName() == "Not measured yet"
    bound.show_state(replace(state, phase="running", fraction=0.25))
    assert bound.empty.accessibleName() == "Being measured"
    assert bound.head.halt.isVisibleTo(bound)


def test_that_a_learned_schedule_is_drawn_dashed(app):
    from diffusion_studio.engine.files.places import runs_dir

    plain, learned = runs_dir() / "plain", runs_dir() / "omega"
    finish(begin(learned, tiny_config(T=20, schedule=LearnedSchedule())))
    finish(begin(plain, tiny_config(T=20)))
    page = app.studio.theory_page
    app.studio.theory.refresh(plain)
    page.learned.run_chosen.emit(str(plain))
    assert not any(line.dash is Qt.PenStyle.DashLine for line in page.schedules["beta"]._lines.values())
    page.learned.run_chosen.emit(str(learned))
    for plot in page.schedules.values():
        dashed = [name for name, line in plot._lines.items() if line.dash is Qt.PenStyle.DashLine]
        assert dashed == ["ω of omega"]
    assert page.bound.runs.currentData() == page.learned.runs.currentData() == str(learned)
    assert "T = 20, cut into 1,000 steps" in page.learned.words.text()


@pytest.mark.parametrize("ground", [DARK, LIGHT], ids=["dark", "light"])
def test_that_curves_of_like_hues_are_dashed_unlike(ground):
    looks = [(QColor(color_of(ground, key)).hslHue(), dash, key) for key, dash in map(_look, range(11))]
    for (hue, dash, one), (other_hue, other_dash, other) in combinations(looks, 2):
        assert abs(hue - other_hue) > 8 or dash is not other_dash, (one, other)


def test_that_indices_are_lowered():
    assert subscripted("q(x_{t−1} | x_t) < 1") == "q(x<sub>t−1</sub> | x<sub>t</sub>) &lt; 1"
    assert subscripted("√ᾱ_s ς_up, a_t/m") == "√ᾱ<sub>s</sub> ς<sub>up</sub>, a<sub>t</sub>/m"


def test_that_what_is_equal_to_something_stays_beside_it():
    assert unbroken("λ at t = 100") == "λ at t\u00a0=\u00a0100"
    assert (
        unbroken("Luo eq. 7; EDM algorithm 2 · §C")
        == "Luo\u00a0eq.\u00a07; EDM\u00a0algorithm\u00a02\u00a0· §C"
    )
    assert unbroken("Ho et al. 2020, eq. 4") == "Ho et al. 2020, eq.\u00a04"
    assert unbroken("data N(0, 1)") == "data N(0,\u00a01)"
    assert unbroken("1 − ᾱ, p(x|z)") == "1\u00a0−\u00a0ᾱ, p(x|\u2060z)"
    assert unbroken("k-diffusion; DPM-Solver++") == "k-\u2060diffusion; DPM-Solver+\u2060+"
    assert unbroken("error 4.6 % of E‖s‖²") == "error 4.6\u00a0%\u00a0of\u00a0E‖s‖²"
    assert unbroken("0.1 GB, 42 steps in 1 min.") == "0.1\u00a0GB, 42 steps in 1\u00a0min."
    assert unbroken("s + γ ∇ ln p(y|x)") == "s + γ ∇\u00a0ln\u00a0p(y|\u2060x)"
    assert unbroken("samples p(x) p(y|x)^γ") == "samples p(x)\u00a0p(y|\u2060x)^γ"


def test_that_the_figures_follow_the_chosen_schedule(app, qtbot):
    page = app.studio.theory_page
    page.show_part("figures")
    qtbot.waitUntil(lambda: page.is_full)
    view = page.findChild(FiguresView)
    (diffusion,) = (drawn for figure, drawn in view._drawn if figure.source.startswith("Luo figure 3"))
    before = diffusion._pictures
    app.studio.theory.edit("schedule.kind", "cosine")
    assert diffusion._pictures[0] == before[0]  # the image itself
    assert diffusion._pictures[3] != before[3]


def test_that_figures_lead_to_where_they_live(qtbot):
    view, asked = FiguresView(FIGURES, TheorySpec().tables()), []
    qtbot.addWidget(view)
    qtbot.waitUntil(lambda: view.is_full)
    view.go_requested.connect(lambda page, path: asked.append((page, path)))
    for button in view.findChildren(QPushButton):
        button.click()
    assert {page for page, _ in asked} == {"autoencoder", "theory", "plane"}
    assert set(asked) <= {(e.page, e.path) for e in all_equations()}  # places that are known to be reached


def test_that_all_schedules_are_seen_at_once_on_a_screen_768_high(app, qtbot):
    app.shell.window().resize(1366, 768)
    view = app.studio.theory_page._views["schedules"]
    qtbot.waitUntil(lambda: view.width() > 800 and view.verticalScrollBar().maximum() == 0)


def test_that_what_stands_in_a_table_takes_one_line_where_there_is_room(qtbot):
    erratum = next(each for each in ERRATA if each.key == "marginal_score")
    identity = next(each for each in IDENTITIES if each.key == "variance")
    cards = ErratumCard(erratum), IdentityCard(identity)
    cards[0].decide(erratum, erratum.numbers())
    cards[1].compare(identity, identity.numbers())
    for card in cards:
        qtbot.addWidget(card)
        for width, lines in ((800, 1), (440, 3)):
            card.resize(width, 600)
            card.show()
            cells = card.findChildren(Cell)
            assert all(cell.height() < (lines + 0.8) * cell.fontMetrics().height() for cell in cells)
            assert all(cell.geometry().right() <= width for cell in cells)
    assert shown_number(-0.119) == "−0.119"


def test_that_an_equation_has_the_whole_width_where_there_is_little_of_it(qtbot):
    row = EquationRow(Equation("Scores", "Score of x_t", "x = y", "Luo eq. 151", "plane"))
    qtbot.addWidget(row)
    row.show()
    assert any("x<sub>t</sub>" in words.text() for words in row.words.findChildren(QLabel))
    for width, beside in ((470, False), (800, True), (470, False)):
        row.resize(width, 200)
        qtbot.waitUntil(lambda beside=beside: (row.view.y() < row.button.geometry().bottom()) == beside)
        assert beside or row.view.width() == width
