"""What the window remembers survives damage, full disks and crashes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import pytest

from diffusion_studio.viewmodels import remembered as module
from diffusion_studio.viewmodels.remembered import DELAY, Memory
from support import hostile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "settings" / "window.json"


@pytest.fixture
def memory(qapp, path):
    return Memory(path)


def on_disk(path):
    return json.loads(path.read_bytes())


def test_that_it_is_written_half_a_second_after_the_last_change(qtbot, path, memory, monkeypatch):
    begun, begin = [], memory._timer.start
    monkeypatch.setattr(memory._timer, "start", lambda: begun.append(begin()))
    memory.set("page", "train")
    memory.set("page", "sample")
    assert len(begun) == 2  # anew at each change
    assert (memory._timer.interval(), memory._timer.isSingleShot()) == (DELAY, True)
    assert not path.exists()
    qtbot.waitUntil(path.exists)
    assert on_disk(path) == {"page": "sample"}
    assert not memory._timer.isActive()


def test_that_the_window_does_not_wait_for_the_disk_and_the_last_value_is_written(
    qtbot, path, memory, monkeypatch
):
    written, go_on, write = [], threading.Event(), module.write_atomically

    def slow(path, content):
        assert threading.current_thread() is not threading.main_thread()
        assert go_on.wait(60)
        written.append(json.loads(content))
        write(path, content)

    monkeypatch.setattr(module, "write_atomically", slow)
    memory.set("n", 0)
    memory._timer.timeout.emit()
    for n in (1, 2):
        memory.set("n", n)
        memory._timer.timeout.emit()  # while that is written
    assert written == []
    go_on.set()
    qtbot.waitUntil(lambda: path.exists() and on_disk(path) == {"n": 2})
    assert written == [{"n": 0}, {"n": 2}]
    qtbot.waitUntil(lambda: memory._writing is None)


def test_that_the_closing_waits_for_what_is_written_and_writes_what_came_after(path, memory, monkeypatch):
    begun, write = threading.Event(), module.write_atomically

    def slow(path, content):
        begun.set()
        write(path, content)

    monkeypatch.setattr(module, "write_atomically", slow)
    memory.set("n", 0)
    memory._timer.timeout.emit()
    assert begun.wait(60)
    memory.set("n", 1)
    memory.flush()
    assert on_disk(path) == {"n": 1}
    assert not memory._timer.isActive() and not memory._looking.isActive()


def test_that_a_disk_that_refuses_is_told_of_from_its_thread_too(qtbot, path, memory):
    told: list[str] = []
    memory.refused.connect(told.append)
    path.parent.write_text("a file where the folder is to be")
    memory.set("page", "train")
    qtbot.waitUntil(lambda: len(told) == 1)


def test_that_the_plane_is_where_an_earlier_version_left_it(qapp, path):
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"toy": {"gamma": 2}, "page": "toy", "theme": "dark"}))
    memory = Memory(path)
    assert memory.get("plane") == {"gamma": 2}
    assert memory.get("page") == "plane"
    assert memory.get("theme") == "dark"


def test_that_a_disk_that_refuses_is_told_once_until_it_takes_something_again(qtbot, path, memory, caplog):
    told: list[str] = []
    memory.refused.connect(told.append)
    path.parent.write_text("a file where the folder is to be")
    for page in ("train", "sample"):
        memory.set("page", page)
        memory.flush()
    (sentence,) = told
    assert sentence.startswith(f"{path} cannot be written (")
    path.parent.unlink()
    memory.flush()
    assert on_disk(path) == {"page": "sample"}
    (path.parent / "window.json").unlink()
    path.parent.rmdir()
    path.parent.write_text("again")
    memory.flush()
    assert len(told) == 2
    assert len(caplog.records) == 3


def test_that_a_value_that_stays_the_same_is_not_written(qapp, path, memory):
    memory.set("page", "train")
    memory.flush()
    path.unlink()
    memory.set("page", "train")
    assert not memory._timer.isActive()


def test_that_what_is_set_for_later_is_put_into_words_only_when_it_is_written_or_read(path, memory):
    asked: list[int] = []

    def words(number: int) -> dict[str, int]:
        asked.append(number)
        return {"number": number}

    for number in range(3):
        memory.set_later("sample", lambda number=number: words(number))
    assert asked == []
    assert memory._timer.isActive()
    memory.flush()
    assert on_disk(path) == {"sample": {"number": 2}}
    memory.set_later("sample", lambda: words(3))
    assert memory.get("sample") == {"number": 3}
    assert asked == [2, 3]
    memory.flush()
    assert on_disk(path) == {"sample": {"number": 3}}


def test_that_it_is_read_again(qapp, path, memory):
    values = {"page": "train", "sizes": [1, 2], "share": 0.25, "deep": {"Größe": "η"}}
    for key, value in values.items():
        memory.set(key, value)
    memory.flush()
    again = Memory(path)
    assert again.problem == ""
    assert {key: again.get(key) for key in values} == values
    assert again.get("absent", 7) == 7


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1, 2]",
        b"null",
        b"7",
        b"\xff\xfe\x00",
        b'{"a": 1',
        b"[" * 200_000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_that_a_damaged_file_starts_afresh(qapp, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    memory = Memory(path)
    assert memory.get("a") is None
    assert memory.problem.startswith("What the window remembered ")
    assert memory.problem.endswith("so it begins afresh.")
    memory.set("a", 2)
    memory.flush()
    assert on_disk(path) == {"a": 2}


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_that_only_a_regular_file_is_read_and_the_rest_is_told(qapp, path, kind):
    path.parent.mkdir()
    path.write_text(json.dumps({"a": 1}))
    hostile.put(path, kind)
    memory = Memory(path)
    assert (memory.get("a"), bool(memory.problem)) == ((1, False) if kind == "link out" else (None, True))


def test_that_a_folder_in_its_place_costs_only_the_layout(qapp, path, caplog):
    path.mkdir(parents=True)
    memory = Memory(path)
    memory.set("a", 1)
    memory.flush()
    assert memory.get("a") == 1
    assert "could not be saved" in caplog.text


def test_that_a_disk_that_refuses_keeps_the_file_before(path, memory, monkeypatch, caplog):
    memory.set("a", 1)
    memory.flush()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full)
    memory.set("a", 2)
    memory.flush()
    assert "No space left" in caplog.text
    assert on_disk(path) == {"a": 1}


def test_that_a_name_that_is_no_unicode_comes_back(qapp, path, memory):
    memory.set("recent", ["/home/\udcff"])
    memory.flush()
    assert Memory(path).get("recent") == ["/home/\udcff"]


KILLED = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication, QTimer
from diffusion_studio.viewmodels.remembered import Memory
app = QCoreApplication([])
memory = Memory(Path(sys.argv[1]))
memory.set("page", "runs")
memory.flush()
counter = iter(range(10**9))
timer = QTimer(interval=0)
timer.timeout.connect(lambda: (memory.set("n", next(counter)), memory.flush()))
timer.start()
print("ready", flush=True)
app.exec()
"""


def test_that_a_kill_while_writing_leaves_a_sound_file(path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "ready\n"
        while "n" not in on_disk(path):
            pass
        process.send_signal(signal.SIGKILL)
    values = on_disk(path)
    assert values["page"] == "runs"
    assert values["n"] >= 0
