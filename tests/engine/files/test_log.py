"""What is logged can be read again, and a crash is found by the next start."""

from __future__ import annotations

import logging
import subprocess
import sys

from diffusion_studio.engine.files import places
from diffusion_studio.engine.files.crash import BEFORE, NAME, crash_kept
from diffusion_studio.engine.files.log import kept_log, last_of

CRASHES = """
import faulthandler
from diffusion_studio.engine.files.crash import crash_kept
def the_place():
    faulthandler._sigsegv()
with crash_kept() as before:
    print(repr(before), flush=True)
    the_place()
"""


def crash() -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CRASHES], capture_output=True, text=True)


def test_that_the_start_after_a_crash_knows_where_it_was_and_the_next_one_does_not():
    first = crash()
    assert first.returncode != 0
    assert first.stdout.strip() == "''"
    with crash_kept() as before:
        assert "the_place" in before
    assert "the_place" in (places.log_dir() / BEFORE).read_text()
    with crash_kept() as before:
        assert before == ""
    assert (places.log_dir() / NAME).read_bytes() == b""


def test_that_without_a_folder_for_it_all_works_the_same(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(places, "log_dir", lambda: tmp_path / "file" / "logs")
    with crash_kept() as before:
        assert before == ""


def test_that_a_log_that_cannot_be_written_says_nothing_in_its_place(capfd):
    (places.log_dir() / "studio.log").mkdir(parents=True)
    with kept_log("studio.log"):
        logging.getLogger("diffusion_studio").error("lost")
    assert capfd.readouterr() == ("", "")


def test_that_the_last_of_a_log_begins_with_a_line():
    assert last_of("studio.log") == ""
    places.log_dir().mkdir(parents=True)
    (places.log_dir() / "studio.log").write_text("first line\nsecond line\n")
    assert last_of("studio.log") == "first line\nsecond line\n"
    assert last_of("studio.log", most=15) == "second line\n"
