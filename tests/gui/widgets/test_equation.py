import threading
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PySide6.QtCore import QByteArray, QPointF, QRectF
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtTest import QTest

from diffusion_studio.core.objective.losses import HuberLoss, L2Loss
from diffusion_studio.core.theory.equations import equations
from diffusion_studio.engine.runs.config import ObjectiveSpec
from diffusion_studio.pages.train.loss_equation import loss_terms
from diffusion_studio.widgets.equations import formula
from diffusion_studio.widgets.equations.algorithm import AlgorithmBox, Row, _Line
from diffusion_studio.widgets.equations.chain_figure import ChainFigure, Way
from diffusion_studio.widgets.equations.equation import (
    EquationView,
    Term,
    formula_html,
    formula_svg,
    prewarm,
    terms,
)
from diffusion_studio.widgets.equations.formula import as_meant, cached_formula, openings, split_terms, tint
from diffusion_studio.widgets.equations.rendering import rendering
from diffusion_studio.widgets.look.theme import theme

STEP = (
    Term(r"x_s =", name="xs"),
    Term(r"\sqrt{\bar\alpha_s}"),
    Term(r"\hat{x}_0", "x0", "The estimate of the image.", "x0"),
    Term(r"+\sqrt{1-\bar\alpha_s-\sigma^2}"),
    Term(r"\hat\varepsilon", "eps", name="eps"),
    Term(r"+\sigma z"),
)


def inked(latex):
    """The view box of a formula, and how far from its left side the first and the last ink are."""
    picture, scale = QSvgRenderer(QByteArray(formula_svg(latex, "#000000"))), 8
    box = picture.viewBoxF()
    image = QImage((box.size() * scale).toSize(), QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    picture.render(painter, QRectF(image.rect()))
    painter.end()
    found = [x for x in range(image.width()) if any(image.pixel(x, y) >> 24 for y in range(image.height()))]
    return box, found[0] / scale, found[-1] / scale


@pytest.fixture
def view(qtbot):
    theme().set_mode("dark")
    made = EquationView()
    qtbot.addWidget(made)
    made.resize(280, 200)
    made.show()
    yield made
    theme().set_mode("system")


def settled(qtbot, view):
    qtbot.waitUntil(lambda: view._missing() is None and not view._waiting)
    return view


def colors(image: QImage) -> set[str]:
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}


@pytest.mark.parametrize("latex", [r"\frac{1}{\sqrt{\bar\alpha_t}}", "β", r"\sum_{t=2}^T L_{t-1}", "= a + b"])
def test_that_a_formula_is_valid_svg_in_its_colour(qapp, latex):
    svg = formula_svg(latex, "#12ab34", 20)
    fills = {e.get("fill") for e in ET.fromstring(svg) if e.get("fill") not in (None, "none")}
    assert fills == {"#12ab34"}
    assert QSvgRenderer(QByteArray(svg)).isValid()


def test_that_a_formula_is_rendered_once(monkeypatch):
    formula_svg("x_1", "#000000")
    monkeypatch.setattr(formula, "_render", lambda *args: pytest.fail("rendered again"))
    assert formula_svg("x_1", "#000000") == cached_formula("x_1", "#000000")


def test_that_threads_may_render_at_the_same_time():
    formulas = [rf"x_{{{i}}}^{{{i}}}" for i in range(6)]
    workers = [threading.Thread(target=prewarm, args=(formulas, ["#111111", "#222222"])) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(cached_formula(f, c) for f in formulas for c in ("#111111", "#222222"))


def test_that_what_is_no_formula_is_shown_as_it_was_written(qapp, monkeypatch):
    def refuse(*args):
        raise ValueError("no formula")

    monkeypatch.setattr(formula, "_render", refuse)
    assert formula_html(r"\broken<", "#000000") == r"<i>\broken&lt;</i>"


def test_that_a_long_formula_is_cut_at_its_top_level_only():
    latex = r"x = \frac{a+b}{c-d} + \left(e = f\right) - g_{i+1} \leq -h"
    assert split_terms(latex) == ["x", r"= \frac{a+b}{c-d}", r"+ \left(e = f\right)", "- g_{i+1}", r"\leq -h"]
    assert split_terms("-a+b") == ["-a", "+b"]
    assert split_terms(r"x = a, \quad a = b") == ["x", "= a,", r"\quad a", "= b"]
    assert split_terms("") == []


def test_that_quantities_inside_latex_take_their_colours():
    source = r"\quantity{eps}{\varepsilon}+\quantity{other}{y}"
    assert tint(source, {"eps": "#E69F00"}) == r"\textcolor{#E69F00}{\varepsilon}+{y}"


def test_that_terms_are_drawn_in_their_quantity_and_follow_the_theme(qtbot, view):
    view.set_equation(STEP)
    settled(qtbot, view)
    dark = theme().palette
    assert {dark.text, dark.ink("x0").lower(), dark.ink("eps").lower()} <= colors(view.grab().toImage())
    theme().set_mode("light")
    settled(qtbot, view)
    assert theme().palette.ink("eps").lower() in colors(view.grab().toImage())


@pytest.mark.parametrize(
    "latex", [r"\hat\varepsilon", r"\hat x_0", "x_t", r"\frac{a}{b}", r"\quantity{x0}{\hat x_0}"]
)
def test_that_a_formula_begins_with_its_first_ink(qapp, latex):
    _, first, _ = inked(tint(latex, {"x0": "#009E73"}))
    assert 0 < first < 2.5


@pytest.mark.parametrize("latex", ["+", "=", "<", r"\leftarrow", r"\sim", r"\pm"])
def test_that_an_operator_alone_has_its_room_on_both_sides(qapp, latex):
    box, first, last = inked(latex)
    assert first > 4 and box.width() - last > 4
    box, _, last = inked(f"x {latex}")
    assert box.width() - last > 4


@pytest.mark.parametrize("before", ["a=", r"a\leq ", "(", "a,", r"\frac{"])
def test_that_a_sign_stands_close_to_what_it_negates(qapp, before):
    after = {"(": ")", r"\frac{": "}{b}"}.get(before, "")
    assert _wide(f"{before}-x{after}") < _wide(f"{before}x{after}") + 0.75 * _wide("a-x") - 0.75 * _wide("ax")


def test_that_a_minus_that_opens_an_equation_is_a_sign(qapp):
    (first, rest) = terms(r"-\log p \leq L")
    assert _wide(first.latex) < _wide(r"-\log p") - 8
    assert rest.latex.startswith(r"\leq")
    (lone,) = terms([Term("-")])
    assert lone.latex == "-"


def _wide(latex: str) -> float:
    return float(inked(latex)[0].width())


def test_that_what_is_equal_stays_on_a_line_of_a_caption(qtbot, view):
    view.set_equation("x", caption="λ at t\u00a0=\u00a0280")
    assert [term.text for term in view._caption] == ["λ", "at", "t\u00a0=\u00a0280"]
    view.set_equation("x", caption="of p(x|z) at t = 280")
    assert view.accessibleDescription().endswith("of p(x|z) at t = 280")  # what holds it is not said


def test_that_an_operator_stands_in_the_middle_between_its_two_sides(qtbot, view):
    view.set_equation([Term("x_s"), Term("="), Term("a"), Term(r"\hat x_0"), Term("+"), Term("b")])
    view.resize(900, 60)
    settled(qtbot, view)
    boxes = [p.rect for p in view._placed]
    for operator in (1, 4):
        assert boxes[operator].left() == pytest.approx(boxes[operator - 1].right())
        assert boxes[operator + 1].left() == pytest.approx(boxes[operator].right())
    assert boxes[3].left() > boxes[2].right()


def test_that_what_is_not_rendered_yet_asks_for_no_more_than_a_line(view, monkeypatch):
    view.set_equation(
        r"\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\,\mathcal{Q}_{" + "7" * 30 + "}"
    )
    with monkeypatch.context() as patch:
        patch.setattr(EquationView, "_missing", lambda self: pytest.fail("that is known"))
        assert view.heightForWidth(200) == view.minimumSizeHint().height()


def test_that_terms_wrap_rather_than_leave_the_widget(qtbot, view):
    view.set_equation(STEP)
    view.resize(230, 200)
    settled(qtbot, view)
    narrow, wide = view.heightForWidth(150), view.heightForWidth(900)
    assert narrow > wide
    assert all(p.rect.right() <= 230 for p in view._placed)
    line = [p.baseline for p in view._placed]
    assert line == sorted(line) and len(set(line)) == 2


def test_that_a_statement_and_its_left_side_stay_with_what_they_say(qtbot, view):
    view.set_equation(r"\mu = a + b, \quad c_i = \int_0^1 x\,dx")
    settled(qtbot, view)
    lines: dict[float, list[str]] = {}
    for width in (110, 130, 160):
        lines.clear()
        for placed in view._arrange(width)[0]:
            lines.setdefault(placed.baseline, []).append(placed.box.term.latex)
        assert [r"\quad c_i", r"= \int_0^1 x\,dx"] in lines.values()
        assert next(iter(lines.values()))[:2] == [r"\mu", "= a"]


def test_that_what_a_left_side_equals_is_made_smaller_to_stay_beside_it(qtbot, view):
    view.set_equation(r"\mu = \frac{1}{\sqrt{\alpha_t}}(x_t - y_t)")
    settled(qtbot, view)
    wide = view._arrange(900)[0]
    room = wide[-1].rect.right() - 10
    left, right = view._arrange(room)[0]
    assert left.baseline == right.baseline and right.rect.right() <= room
    assert right.rect.width() < wide[-1].rect.width()


def test_that_a_line_breaks_before_a_summand_not_inside_it(qtbot, view):
    view.set_equation(STEP)
    settled(qtbot, view)
    view.resize(170, 200)
    firsts = {p.baseline: p.box.term.latex for p in reversed(view._placed)}
    assert list(firsts.values())[::-1] == ["x_s =", r"+\sqrt{1-\bar\alpha_s-\sigma^2}", r"+\sigma z"]


@pytest.mark.parametrize("loss", [L2Loss(), HuberLoss()], ids=["norm", "brackets"])
def test_that_what_stands_in_brackets_stays_on_a_line_that_has_room_for_it(qtbot, view, loss):
    view.set_equation(loss_terms(ObjectiveSpec(predict="v", loss=loss)))
    settled(qtbot, view)
    (opening,) = (p for p in view._arrange(280)[0] if p.box.term.latex.endswith((r"\|v", "(v")))
    (closing,) = (p for p in view._arrange(280)[0] if p.box.term.latex.endswith((r"\|^2", "))")))
    assert opening.baseline == closing.baseline and closing.rect.right() <= 280
    assert opening.x == 0


def test_that_a_line_of_a_caption_ends_in_a_dot_rather_than_begins_with_one(qtbot, view):
    view.set_equation("x", caption="plain loss · λ at t = 280 is 1.23 on the ε error · Course eq. 2.10")
    for width in (140, 170, 200, 240):
        lines: dict[float, list[str]] = {}
        for placed in view._arrange(width)[0][1:]:
            lines.setdefault(placed.baseline, []).append(placed.box.term.text)
        assert not any(line[0].startswith("·") for line in lines.values())
        assert "Course\u00a0eq.\u00a02.10" in list(lines.values())[-1]


def test_that_pointing_at_a_term_tells_its_name(qtbot, view):
    view.set_equation(STEP)
    settled(qtbot, view)
    heard = []
    view.term_hovered.connect(heard.append)
    spot = next(p.rect.center() for p in view._placed if p.box.term.name == "x0")
    QTest.mouseMove(view, spot.toPoint())
    assert view.term_at(spot).tooltip == "The estimate of the image."
    QTest.mouseMove(view, QPointF(279, 199).toPoint())
    assert heard == ["x0", ""]


def test_that_formulas_in_sight_are_rendered_before_those_that_are_not(qtbot, view, monkeypatch):
    rendered: list[str] = []
    render = formula._render
    monkeypatch.setattr(
        formula, "_render", lambda latex, *rest: rendered.append(latex) or render(latex, *rest)
    )
    hidden = EquationView()
    qtbot.addWidget(hidden)
    gone = EquationView()
    gone.set_equation("q_{100}")
    gone.deleteLater()
    hidden.set_equation("q_{101} + q_{102}")
    view.set_equation("q_{103} + q_{104}")
    assert not rendering().at_rest
    settled(qtbot, view)
    assert rendering().at_rest
    settled(qtbot, hidden)
    assert rendered == ["q_{103}", "+ q_{104}", "q_{101}", "+ q_{102}"]


def test_that_formulas_are_rendered_beside_the_window_one_at_a_time(qtbot, view, monkeypatch):
    render, go_on, begun = formula._render, threading.Event(), []

    def slow(latex, *rest):
        begun.append(latex)
        assert threading.current_thread() is not threading.main_thread()
        assert go_on.wait(60)
        return render(latex, *rest)

    monkeypatch.setattr(formula, "_render", slow)
    gone = EquationView()
    gone.set_equation("q_{201}")
    qtbot.waitUntil(lambda: begun == ["q_{201}"])
    gone.deleteLater()
    view.set_equation("q_{202} + q_{203}")
    for _ in range(5):
        rendering()._go_on()
    assert begun == ["q_{201}"]
    go_on.set()
    settled(qtbot, view)
    assert begun == ["q_{201}", "q_{202}", "+ q_{203}"]
    qtbot.waitUntil(lambda: rendering()._queue == [])


def test_that_numbers_in_plain_text_need_no_rendering(qtbot, view, monkeypatch):
    numbers = (Term(text="= 0.619"), Term(r"\hat{x}_0", "x0"))
    view.set_equation(STEP, numbers, "score SDE eq. 12")
    settled(qtbot, view)
    monkeypatch.setattr(formula, "_render", lambda *args: pytest.fail("rendered"))
    for i in range(50):
        view.set_numbers((Term(text=f"= {i / 50:.3f}"), numbers[1]))
        assert not view._waiting
    assert "0.980" in view.accessibleDescription()


def test_that_an_unreadable_formula_does_not_stop_the_view(qtbot, view, monkeypatch):
    def refuse(*args):
        raise ValueError("no formula")

    monkeypatch.setattr(formula, "_render", refuse)
    view.set_equation(r"\nothing known here")
    settled(qtbot, view)
    assert view._placed and not view.grab().isNull()


def test_that_an_empty_equation_takes_no_room(view):
    view.set_equation("")
    assert view.heightForWidth(200) <= 4


def test_that_equations_of_one_subject_share_a_height(qtbot, view):
    long = [Term(r"\frac{1}{2}", name=str(k)) for k in range(40)]
    view.set_equation(long, subject="a chain")
    tall = settled(qtbot, view).heightForWidth(view.width())
    view.set_equation("x_0", subject="a chain")
    assert settled(qtbot, view).heightForWidth(view.width()) == tall
    view.set_equation("x_1", subject="another chain")
    assert settled(qtbot, view).heightForWidth(view.width()) < tall
    view.set_equation(long)
    settled(qtbot, view)
    view.set_equation("x_2")
    assert settled(qtbot, view).heightForWidth(view.width()) < tall


def test_that_what_a_layout_asks_again_and_again_is_found_out_once(qtbot, view, monkeypatch):
    view.set_equation(STEP, "0.25", "a caption")
    settled(qtbot, view)
    arranged, arrange = [], EquationView._arrange
    monkeypatch.setattr(
        EquationView, "_arrange", lambda self, width: arranged.append(width) or arrange(self, width)
    )
    first = [view.heightForWidth(150) for _ in range(5)]
    assert len(arranged) <= 1 and len(set(first)) == 1
    for width in range(150, 400):  # as when a splitter is drawn
        view.heightForWidth(width)
    assert len(view._arranged) < 10
    view.set_numbers([Term(text="0.25")] * 60)
    assert view.heightForWidth(150) > first[0]


def test_that_a_relation_has_its_room_and_a_letter_its_double_line(qapp):
    assert as_meant(r"x \sim y \simeq \nabla_x \nabla p") == r"x \thicksim y \simeq {\nabla}_x \nabla p"
    assert formula_svg(r"\mathbb E_t", "#000000") == formula_svg(r"\mathbb{E}_t", "#000000")
    assert inked(r"a \sim b")[0].width() > inked(r"a \thicksim b")[0].width() - 1


def test_that_no_line_breaks_inside_a_norm_that_has_room(qtbot, view):
    (tied,) = (each for each in equations({}) if each.latex.count("=") > 3 and each.page == "theory")
    view.set_equation(tied.latex)
    settled(qtbot, view)
    for width in (300, 400, 500, 700):
        lines: dict[float, int] = {}
        for placed in view._arrange(width)[0]:
            bars = openings(placed.box.term.latex)[1]
            lines[placed.baseline] = lines.get(placed.baseline, 0) + bars
        assert [bars % 2 for bars in lines.values()] == [0] * len(lines), width


def test_that_words_of_an_algorithm_stand_on_the_line_of_their_formula(qtbot):
    box = AlgorithmBox()
    qtbot.addWidget(box)
    rows = (Row("Output", "x_0"), Row("Update by", r"\frac1B\sum_i x_i"), Row("while not converged do"))
    box.set_algorithm("One", "Course algorithm 1", rows)
    box.resize(400, 300)
    box.show()
    lines = [line for line in box.findChildren(_Line) if line.view is not None]

    def aligned() -> bool:
        if any(line.view.baseline is None for line in lines):
            return False
        off = [
            text.y() + (text.height() + text.fontMetrics().ascent() - text.fontMetrics().descent()) / 2
            - line.view.y() - line.view.baseline
            for line in lines
            for text in line.texts
        ]  # fmt: skip
        return max(map(abs, off)) <= 1

    qtbot.waitUntil(aligned)


@pytest.mark.parametrize("width", [480, 1000])
def test_that_no_arrow_of_a_figure_lies_on_a_name(qtbot, width):
    names = ("x₀", "xₜ₋₁", "xₜ")
    ways = [Way(k, k + 1, True, "", True) for k in (0, 1)] + [Way(k + 1, k, False, "", True) for k in (0, 1)]
    figure = ChainFigure()
    qtbot.addWidget(figure)
    figure.resize(width, figure.sizeHint().height())

    def ink(nodes: tuple[str, ...], arrows: list[Way]) -> set[tuple[int, int]]:
        figure.set_figure(nodes, arrows, [np.zeros((8, 8), np.uint8)] * 3)
        image = figure.grab().toImage()
        ground = image.pixel(0, 0)
        pixels = ((x, y) for x in range(image.width()) for y in range(image.height()))
        return {(x, y) for x, y in pixels if image.pixel(x, y) != ground}

    pictures = ink(("", "", ""), [])
    written, drawn = ink(names, []), ink(("", "", ""), ways) - pictures
    around = {(x + i, y + j) for x, y in written for i in (-1, 0, 1) for j in (-1, 0, 1)}
    assert written > pictures and drawn
    assert not around & drawn


def test_that_with_and_its_left_side_stay_together(qtbot, view):
    """What is said after an equation begins a line rather than being torn from what it is equal to."""
    root = Term(r"\sqrt{1-\bar\alpha_s-\sigma_t^2}")
    said = (Term(text="with", name="with", opens=True), Term("z", name="left"), Term("=", name="equals"))
    told = (Term("a", name="right"), Term("+"), Term(r"\gamma_t", name="push"), root)
    view.set_equation((Term("x_s"), Term("="), root, Term("+"), root, *said, *told))
    settled(qtbot, view)
    lines = {placed.box.term.name: placed.baseline for placed in view._placed}
    assert view._placed[0].baseline < lines["with"] == lines["left"] == lines["equals"] == lines["right"]
