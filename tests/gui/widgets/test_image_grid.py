from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics

from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.images.grid_plan import GridMarks, placed_titles, planned, said_of, shortened
from diffusion_studio.widgets.images.mosaic import as_image, compose, fit, packed, round_corners
from diffusion_studio.widgets.look.theme import tabular


def pictures(count, side=8, channels=1):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)


def words_of(image):
    """A QImage's pixels as 0xffRRGGBB (height, width)."""
    return np.array(
        [[image.pixel(x, y) for x in range(image.width())] for y in range(image.height())], np.uint32
    )


@pytest.fixture
def grid(qtbot):
    made = ImageGrid()
    qtbot.addWidget(made)
    made.resize(420, 420)
    made.show()
    return made


@pytest.mark.parametrize("count", [1, 2, 5, 16, 64])
@pytest.mark.parametrize("area", [(400, 400), (800, 200), (120, 700)])
@pytest.mark.parametrize("picture", [(8, 8), (32, 32), (64, 48), (200, 300)])
def test_that_all_tiles_lie_inside_the_area(count, area, picture):
    layout = fit(count, picture, area, (6, 6))
    for index in range(count):
        left, top = layout.corner(index)
        assert left + layout.tile[0] <= area[0]
        assert top + layout.tile[1] <= area[1]
    assert layout.columns * layout.rows >= count


def test_that_tiny_pictures_grow_by_whole_factors_only():
    assert fit(16, (8, 8), (423, 423), (6, 6)).tile == (96, 96)
    assert fit(16, (32, 32), (423, 423), (6, 6)).tile == (96, 96)


def test_that_no_picture_stands_alone_in_the_last_row_for_a_little_more_size():
    layout = fit(16, (8, 8), (555, 850), (6, 6))
    assert (layout.columns, layout.rows) == (4, 4)
    assert 16 % fit(16, (8, 8), (286, 600), (6, 6)).columns == 0
    assert fit(16, (8, 8), (276, 118), (6, 6)).columns == 6  # two rows of eight would be smaller
    assert fit(3, (8, 8), (400, 80), (6, 6)).columns == 3
    assert fit(5, (8, 8), (400, 400), (6, 6)).columns == 3  # one row of five would be far smaller


def test_that_a_full_rectangle_is_preferred_at_the_same_size():
    layout = fit(64, (32, 32), (700, 700), (6, 6))
    assert (layout.columns, layout.rows) == (8, 8)


@pytest.mark.parametrize("ratio", [1, 2])
def test_that_every_pixel_of_a_tile_maps_to_its_index(ratio):
    layout = fit(7, (8, 8), (200 * ratio, 150 * ratio), (6 * ratio, 6 * ratio))
    for index in range(7):
        left, top = (a + b for a, b in zip(layout.corner(index), layout.origin, strict=True))
        right, bottom = left + layout.tile[0] - 1, top + layout.tile[1] - 1
        for point in ((left, top), (right, top), (left, bottom), (right, bottom)):
            assert layout.index_at(*point) == index
        assert layout.index_at(right + 1, top) is None
        assert layout.index_at(left, bottom + 1) is None
    assert layout.index_at(-1, -1) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_that_the_mosaic_is_exact(grid, channels):
    images = pictures(4, 8, channels)
    grid.set_images(images)
    mosaic = words_of(grid.mosaic(scale=3))
    assert mosaic.shape == (48, 48)
    for index, words in enumerate(packed(images)):
        row, column = divmod(index, 2)
        part = mosaic[24 * row : 24 * row + 24, 24 * column : 24 * column + 24]
        assert (part == words.repeat(3, axis=0).repeat(3, axis=1)).all()


def test_that_grey_is_packed_into_equal_channels():
    assert packed(np.full((1, 1, 1, 1), 0x7F, np.uint8))[0, 0, 0] == 0xFF7F7F7F
    assert packed(np.array([[[[1, 2, 3]]]], np.uint8))[0, 0, 0] == 0xFF010203


def test_that_gaps_are_transparent_and_corners_fade():
    layout = fit(4, (8, 8), (86, 92), (6, 6), centre=False)
    sheet = compose(packed(np.full((4, 8, 8, 1), 255, np.uint8)), layout)
    assert sheet.shape == layout.size[::-1]
    assert (sheet[:, layout.tile[0] : layout.tile[0] + 6] == 0).all()
    round_corners(sheet, layout, 4)
    assert sheet[0, 0] == 0
    assert sheet[0, layout.tile[0] + 6] == 0
    assert sheet[8, 8] == 0xFFFFFFFF


def test_that_what_is_painted_is_the_picture(grid):
    images = pictures(9, 8, 3)
    grid.set_images(images)
    shown = grid.grab().toImage()
    for index in range(9):
        tile = grid.tile_rect(index)
        step = tile.width() / 8
        for y, x in ((4, 4), (2, 5)):
            pixel = shown.pixelColor(
                int(tile.left() + (x + 0.5) * step), int(tile.top() + (y + 0.5) * step)
            ).getRgb()
            assert pixel[:3] == tuple(images[index, y, x])


def test_that_large_pictures_shrink_smoothly(grid):
    stripes = np.zeros((1, 2000, 2000, 1), np.uint8)
    stripes[:, ::2] = 255
    grid.set_images(stripes)
    tile = grid.tile_rect(0)
    grey = grid.grab().toImage().pixelColor(tile.center().toPoint()).red()
    assert 96 < grey < 160


def test_that_a_copy_of_the_pixels_is_kept(grid):
    words = np.full((4, 4), 0xFF112233, np.uint32)
    image = as_image(words, opaque=True)
    words[:] = 0
    assert image.pixelColor(1, 1).name() == "#112233"


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 4), np.uint8), np.zeros((2, 8, 8, 1))]
)
def test_that_other_shapes_and_types_are_refused(grid, bad):
    with pytest.raises(ValueError, match="expected uint8"):
        grid.set_images(bad)


def test_that_a_click_selects_and_is_heard_again_on_the_chosen_one(qtbot, grid):
    grid.set_images(pictures(16))
    heard = []
    grid.selected.connect(heard.append)
    for _ in range(2):
        qtbot.mouseClick(grid, Qt.MouseButton.LeftButton, pos=grid.tile_rect(6).center().toPoint())
    assert heard == [6, 6]
    assert grid.selection == 6
    assert grid.focusPolicy() == Qt.FocusPolicy.TabFocus  # the arrows stay with the page


def test_that_a_click_beside_the_tiles_selects_nothing(qtbot, grid):
    grid.set_images(pictures(16))
    with qtbot.assertNotEmitted(grid.selected):
        qtbot.mouseClick(grid, Qt.MouseButton.LeftButton, pos=grid.rect().topLeft())
    assert grid.index_at(QPointF(-5, 3)) is None


def test_that_the_arrow_keys_move_the_selection_and_stop_at_the_edge(qtbot, grid):
    grid.set_images(pictures(16))
    keys = (
        Qt.Key.Key_Right,
        Qt.Key.Key_Right,
        Qt.Key.Key_Down,
        Qt.Key.Key_Left,
        Qt.Key.Key_Up,
        Qt.Key.Key_Up,
    )
    heard = []
    grid.selected.connect(heard.append)
    for key in keys:
        qtbot.keyClick(grid, key)
    assert heard == [0, 1, 5, 4, 0]


def test_that_space_is_left_to_the_page(qtbot, grid):
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QKeyEvent

    grid.set_images(pictures(4))
    event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Space, Qt.KeyboardModifier.NoModifier)
    grid.keyPressEvent(event)
    assert not event.isAccepted()
    assert grid.selection is None


def test_that_a_selection_without_its_picture_is_dropped(grid):
    grid.set_images(pictures(9))
    grid.set_selection(8)
    grid.set_images(pictures(4))
    assert grid.selection is None
    with pytest.raises(IndexError):
        grid.set_selection(4)


def test_that_a_caption_of_which_hardly_anything_is_seen_is_left_out(grid):
    metrics = grid.fontMetrics()
    assert shortened("0.752", metrics, metrics.horizontalAdvance("0.752") + 1) == "0.752"
    assert shortened("0.752", metrics, metrics.horizontalAdvance("0.…") + 1) == ""
    assert shortened("cathedral", metrics, metrics.horizontalAdvance("cathedr…") + 1).startswith("cath")
    assert shortened("cathedral", metrics, metrics.horizontalAdvance("cat…") + 1) == "cat…"
    assert shortened("cathedral", metrics, metrics.horizontalAdvance("ca…") + 1) == ""


def test_that_captions_take_their_room_below_the_tiles(grid):
    grid.set_images(pictures(4))
    before = grid.tile_rect(3)
    grid.set_captions(["a", "b", "c", "d"])
    assert grid.tile_rect(2).top() - grid.tile_rect(0).bottom() > 16
    assert grid.tile_rect(3) != before
    assert grid.tile_rect(3).bottom() + grid.fontMetrics().height() <= grid.height()
    grid.grab()


def test_that_captions_have_the_room_that_small_pictures_leave_beside_them(qapp):
    metrics, names = QFontMetrics(QFont()), ("seven", "zebra", "dog", "ship") * 9
    for ratio in (1.0, 2.0):
        size = QSize(320, 500)
        plan = planned((36, 28, 28), size, ratio, GridMarks(captions=names), metrics)
        written = [plan.caption(name, metrics) for name in names]
        assert written == list(names)
        least = min(plan.tile(k).left() for k in range(36))
        assert least >= 0 and max(plan.tile(k).right() for k in range(36)) <= size.width()
        assert plan.across - 2 >= max(metrics.horizontalAdvance(name) for name in names)


def test_that_a_caption_without_room_is_said_by_its_picture(qapp):
    metrics, marks = QFontMetrics(QFont()), GridMarks(captions=("7", "submarine under water") * 8)
    plan = planned((16, 8, 8), QSize(120, 200), 1.0, marks, metrics)
    assert said_of(plan, marks, metrics, 0) == ""
    assert said_of(plan, marks, metrics, 1) == "submarine under water"
    assert said_of(plan, marks, metrics, None) == said_of(None, marks, metrics, 1) == ""
    assert said_of(plan, replace(marks, tooltips=("a", "b")), metrics, 1) == "b"


def test_that_an_empty_grid_says_so(grid):
    grid.set_empty_text("No samples yet")
    for nothing in (None, np.zeros((0, 8, 8, 1), np.uint8)):
        grid.set_images(nothing)
        assert grid.accessibleDescription() == "No samples yet"
        assert grid.mosaic().isNull()
        assert grid.index_at(QPointF(10, 10)) is None
        grid.grab()
    grid.set_images(pictures(3))
    assert grid.accessibleDescription() == "3 pictures of 8 by 8 pixels"


def test_that_a_strip_has_a_row_for_each_sample(grid):
    grid.set_images(pictures(12))
    grid.set_columns(6)
    assert grid.tile_rect(5).top() == grid.tile_rect(0).top() < grid.tile_rect(6).top()
    assert grid.tile_rect(6).left() == grid.tile_rect(0).left()
    grid.set_columns(20)
    assert grid.tile_rect(11).right() <= grid.width() and grid.tile_rect(11).top() == grid.tile_rect(0).top()
    grid.set_columns(None)
    assert grid.tile_rect(4).top() > grid.tile_rect(0).top()
    with pytest.raises(ValueError, match="column"):
        grid.set_columns(0)


@pytest.mark.parametrize("height", range(200, 300, 7))
def test_that_captions_of_the_last_row_are_not_cut(grid, height):
    grid.resize(260, height)
    grid.set_images(pictures(20))
    grid.set_captions(["0.25"] * 20)
    assert grid.tile_rect(19).bottom() + 1 + grid.fontMetrics().height() <= height


def test_that_a_title_stands_above_its_own_column_and_is_shown_where_it_has_room(grid):
    metrics, titles = QFontMetrics(tabular(grid.font())), ("here", "exact", "1", "2", "3")
    for width in range(120, 400, 9):
        plan = planned((25, 8, 8), QSize(width, 230), 1.0, GridMarks(titles), metrics, columns=5)
        placed = placed_titles(plan, GridMarks(titles), metrics, width)
        for column, (room, _) in placed.items():
            if room.left() > 0 and room.right() < width:
                assert abs(room.center().x() - plan.tile(column).center().x()) < 1
        rooms = [room for room, _ in placed.values()]
        assert not any(a.intersects(b) for a, b in pairwise(rooms))
        widest = max(metrics.horizontalAdvance(title) for title in titles)
        if widest + 8 < plan.across:
            assert [text for _, text in placed.values()] == list(titles)


def test_that_column_titles_take_their_room_above_the_tiles(grid):
    grid.resize(420, 200)
    grid.set_images(pictures(12))
    grid.set_columns(6)
    plain = grid.grab().toImage()
    grid.set_column_titles([str(t) for t in range(1000, 400, -100)])
    assert grid.tile_rect(0).top() >= grid.fontMetrics().height()
    assert grid.tile_rect(11).bottom() <= grid.height()
    assert grid.grab().toImage() != plain
    assert grid.index_at(grid.tile_rect(7).center()) == 7
    grid.set_column_titles([])
    assert grid.grab().toImage() == plain


@pytest.mark.parametrize("columns", [1, 7, 60])
def test_that_more_titles_than_there_is_room_for_do_no_harm(grid, columns):
    grid.set_images(pictures(2 * columns))
    grid.set_columns(columns)
    grid.set_column_titles(["a rather long title"] * (columns + 5))
    for column in (None, 0, columns - 1, 99):
        grid.highlight_column(column)
        assert not grid.grab().isNull()


def test_that_a_highlighted_column_is_outlined_without_composing_again(grid):
    grid.set_images(pictures(11))
    grid.set_columns(4)
    before = grid.grab().toImage()
    composed = grid._picture
    grid.highlight_column(3)
    after = grid.grab().toImage()
    assert grid._picture is composed and after != before
    edge = grid.tile_rect(7).left() - 2  # the last row has no fourth tile
    assert after.pixelColor(round(edge), round(grid.tile_rect(7).center().y())) != before.pixelColor(
        round(edge), round(grid.tile_rect(7).center().y())
    )
    grid.highlight_column(None)
    assert grid.grab().toImage() == before


def test_that_captions_without_room_take_none(grid):
    """Rows would stand apart for words that nobody sees."""
    grid.resize(250, 120)
    grid.set_images(pictures(16))
    plain = [grid.tile_rect(k) for k in range(16)]
    grid.set_captions(["root mean square 0.752"] * 16)
    assert [grid.tile_rect(k) for k in range(16)] == plain
    grid.grab()
    grid.set_captions(["7"] * 16)
    assert [grid.tile_rect(k) for k in range(16)] != plain


@pytest.mark.parametrize("highlighted", [None, 0, 4, 9, 11])
def test_that_both_ends_have_their_titles_but_beside_a_highlighted_column(grid, highlighted):
    metrics, titles = QFontMetrics(tabular(grid.font())), tuple(map(str, range(1000, 880, -10)))
    marks = GridMarks(titles, highlighted=highlighted)
    for width in range(160, 700, 9):
        plan = planned((96, 8, 8), QSize(width, 400), 1.0, marks, metrics, columns=12)
        placed = placed_titles(plan, marks, metrics, width)
        every = min((b - a for a, b in pairwise(placed)), default=12)
        far = [end for end in (0, 11) if highlighted is None or abs(end - highlighted) >= every]
        assert (len(far) == 2 and every > 11) or set(far) <= set(placed), width
        rooms = [room for room, _ in placed.values()]
        assert not any(a.intersects(b) for a, b in pairwise(rooms))


def test_that_an_outline_at_the_rim_is_seen_whole(grid):
    grid.resize(166, 300)  # the pictures take its whole width
    grid.set_images(np.zeros((4, 8, 8, 1), np.uint8))
    grid.set_columns(2)
    assert (grid.tile_rect(0).left(), grid.tile_rect(3).right()) == (0, 166)
    plain, y = grid.grab().toImage(), round(grid.tile_rect(3).center().y())
    grid.highlight_column(0)
    assert grid.grab().toImage().pixelColor(1, y) != plain.pixelColor(1, y)
    grid.set_selection(3)
    assert grid.grab().toImage().pixelColor(164, y) != plain.pixelColor(164, y)
