import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QHelpEvent, QImage
from PySide6.QtWidgets import QApplication, QFileDialog, QToolTip

from diffusion_studio.widgets.images.drop import ImageDrop
from diffusion_studio.widgets.look.theme import theme

FILES = ["/a/one.png", "/a/two.jpg", "/b/three.PNG"]
Key = Qt.Key


def picture(width=8, height=8, color="#ff0000"):
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(color)
    return image


@pytest.fixture
def drop(qtbot):
    made = ImageDrop()
    qtbot.addWidget(made)
    made.resize(300, 120)
    made.show()
    made.set_files(FILES)
    QApplication.processEvents()
    return made


@pytest.fixture
def heard(drop):
    said = []
    drop.files_changed.connect(said.append)
    return said


def mime(*urls):
    data = QMimeData()
    data.setUrls([QUrl(url) for url in urls])
    return data


def bring(drop, data):
    """Drag `data` over the widget and let it fall; whether it was wanted."""
    act, buttons, keys = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(5, 5), act, data, buttons, keys)
    enter.ignore()
    drop.dragEnterEvent(enter)
    if enter.isAccepted():
        drop.dropEvent(QDropEvent(QPointF(5, 5), act, data, buttons, keys))
    return enter.isAccepted()


def test_that_files_from_outside_are_shown_without_a_signal(drop, heard):
    drop.set_files(["/a/x.png", "/a/x.png"])
    assert drop.files == ("/a/x.png",) and heard == [] and drop.thumbs.isVisible()
    drop.set_files([])
    assert not drop.thumbs.isVisible() and drop.accessibleDescription() == "No images"


def test_that_dropped_images_are_added_once(drop, heard):
    assert bring(drop, mime("file:///a/four.webp", "file:///a/one.png", "file:///a/notes.txt"))
    assert heard == [[*FILES, "/a/four.webp"]]


@pytest.mark.parametrize("url", ["file:///a/folder", "https://example.org/x.png", "file:///a/notes.txt"])
def test_that_folders_and_other_things_are_left_to_the_page(drop, heard, url):
    assert not bring(drop, mime(url))
    assert heard == []


def test_that_dragging_over_it_is_seen(drop):
    before = drop.grab().toImage()
    act, buttons, keys = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    data = mime("file:///a/x.png")
    drop.dragEnterEvent(QDragEnterEvent(QPoint(5, 5), act, data, buttons, keys))
    assert drop.grab().toImage() != before
    drop.dragLeaveEvent(QDragLeaveEvent())
    assert drop.grab().toImage() == before


def test_that_the_cross_takes_one_away(qtbot, drop, heard):
    spot = drop.thumbs.cross_of(1).center()
    qtbot.mouseClick(drop.thumbs, Qt.MouseButton.LeftButton, pos=spot)
    assert heard == [[FILES[0], FILES[2]]] and drop.files == (FILES[0], FILES[2])


def test_that_the_keys_choose_and_take_away(qtbot, drop, heard):
    for key in (Key.Key_Delete, Key.Key_Right, Key.Key_Right, Key.Key_Right, Key.Key_Right, Key.Key_Delete):
        qtbot.keyClick(drop.thumbs, key)
    assert heard == [FILES[:2]]
    qtbot.mouseClick(
        drop.thumbs, Qt.MouseButton.LeftButton, pos=drop.thumbs.rect_of(0).bottomLeft() + QPoint(4, -4)
    )
    qtbot.keyClick(drop.thumbs, Key.Key_Backspace)
    assert heard[-1] == FILES[1:2]


def test_that_pictures_are_shown_as_soon_as_they_are_known(drop):
    before = drop.thumbs.grab().toImage()
    drop.set_thumbnails({FILES[0]: picture(), FILES[1]: picture(400, 100, "#00ff00")})
    shown = drop.thumbs.grab().toImage()
    assert shown != before
    assert shown.pixelColor(drop.thumbs.rect_of(0).center()).name() == "#ff0000"
    wide = drop.thumbs.rect_of(1)
    assert shown.pixelColor(wide.center()).name() == "#00ff00"
    assert shown.pixelColor(wide.center() + QPoint(0, 20)).name() != "#00ff00"


def test_that_a_broken_file_is_marked_and_says_why(drop):
    drop.set_thumbnails({FILES[0]: picture(), FILES[1]: QImage()}, {FILES[2]: "It is empty."})
    assert drop.accessibleDescription() == "3 images, 2 cannot be read"
    for index, words in (
        (0, "one.png"),
        (1, "two.jpg: It cannot be read as an image."),
        (2, "three.PNG: It is empty."),
    ):
        place = drop.thumbs.rect_of(index).center()
        help_event = QHelpEvent(QEvent.Type.ToolTip, place, drop.thumbs.mapToGlobal(place))
        QApplication.sendEvent(drop.thumbs, help_event)
        assert QToolTip.text() == words
    QToolTip.hideText()


def test_that_many_files_wrap_into_rows(drop):
    drop.set_files([f"/a/{i}.png" for i in range(20)])
    thumbs = drop.thumbs
    assert thumbs.rect_of(0).top() < thumbs.rect_of(19).top()
    QApplication.processEvents()
    assert thumbs.rect_of(19).bottom() < thumbs.height()
    drop.resize(700, 400)
    QApplication.processEvents()
    assert thumbs.height() == thumbs.rect_of(19).bottom() + 1 <= 2 * 56 + 8


def test_that_the_button_asks_for_files_without_stopping_the_window(qtbot, drop, heard):
    qtbot.mouseClick(drop.button, Qt.MouseButton.LeftButton)
    dialog = drop.findChild(QFileDialog)
    dialog.filesSelected.emit(["/c/new.png"])
    assert heard == [[*FILES, "/c/new.png"]]
    dialog.close()


def test_that_it_follows_the_theme(drop):
    theme().set_mode("dark")
    dark = drop.grab().toImage()
    theme().set_mode("light")
    assert drop.grab().toImage() != dark
    theme().set_mode("system")


def test_that_what_it_says_beside_its_button_gives_way(drop):
    beside = drop.button.width() + drop._hint.sizeHint().width()
    assert drop.minimumSizeHint().width() < beside
    drop.resize(beside, 200)
    QApplication.processEvents()
    assert drop._hint.y() > drop.button.geometry().bottom()
    assert drop.thumbs.x() == drop.button.x() == drop._hint.x() == 0
