"""A folder on another machine, by stand-ins for ssh and rsync."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.machine.remote import Remote
from support.machines import Machine
from support.patience import look_again_soon

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts of a shell")


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    return Machine(tmp_path / "bin", monkeypatch)


@pytest.fixture
def there(tmp_path) -> Remote:
    """A folder with a run and what is not mirrored."""
    folder = tmp_path / "there" / "photos"
    (folder / "samples").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    for name in ("config.json", "samples/one.png", "checkpoints/large"):
        (folder / name).write_text(name)
    return Remote.at(f"ssh://server{folder}")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ssh://server/runs/photos", Remote("server", 0, "/runs/photos")),
        (" ssh://me@a.b-c.org:2222/runs/photos/ ", Remote("me@a.b-c.org", 2222, "/runs/photos")),
        ("ssh://server/~/runs/photos", Remote("server", 0, "runs/photos")),
    ],
)
def test_that_an_address_is_host_port_and_path(address: str, expected: Remote) -> None:
    found = Remote.at(address)
    assert found == expected
    assert found.name == "photos"


@pytest.mark.parametrize(
    "address",
    ["", "server:/runs", "ssh://", "ssh://server", "ssh://server/", "ssh://-oProxyCommand=x/runs",
     "ssh://server/a b", "ssh://server/$(x)", "ssh://server/a;b", "ssh://me@-x/runs", "ssh://server:port/a",
     "ssh://-Fmine@server/runs"],
)  # fmt: skip
def test_that_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="is no address of a run: it looks like ssh://"):
        Remote.at(address)


def test_that_a_folder_is_mirrored_without_what_is_left_out(
    machine: Machine, there: Remote, tmp_path: Path
) -> None:
    there.mirror(tmp_path / "here", ["checkpoints"])
    there.touch("stop")
    there.mirror(tmp_path / "here", ["checkpoints"])
    found = {path.relative_to(tmp_path / "here").as_posix() for path in (tmp_path / "here").rglob("*")}
    assert found == {"config.json", "samples", "samples/one.png", "stop"}
    there.remove("stop")
    there.remove("stop")
    assert not Path(there.path, "stop").exists()


def test_that_the_program_is_begun_there(machine: Machine, there: Remote) -> None:
    with pytest.raises(Refused, match="diffusion-studio is not found on server: install it there"):
        there.begin(["train", "--resume"])
    machine.has_the_program()
    there.begin(["train", "--run", "a b", "--resume"])
    while not machine.begun.exists():
        look_again_soon()
    assert machine.begun.read_text() == "train --run a b --resume"


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (
            "server: Permission denied (publickey,password).",
            "server asks for a password, or is not",
        ),
        ("Host key verification failed.", "server asks for a password, or is not"),
        ("ssh: connect to host server port 22: Connection refused", "server cannot be reached: .*refused"),
    ],
)
def test_that_a_machine_that_cannot_be_reached_says_why(
    trouble: str, sentence: str, machine: Machine, there: Remote, tmp_path: Path
) -> None:
    machine.has_trouble(trouble)
    for doing in (lambda: there.touch("stop"), lambda: there.mirror(tmp_path / "here")):
        with pytest.raises(Refused, match=sentence):
            doing()


def test_that_a_folder_that_is_not_there_says_so(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="There is no folder /nowhere/photos on server"):
        Remote.at("ssh://server/nowhere/photos").mirror(tmp_path / "here")


def test_that_programs_that_are_not_here_are_named(there: Remote, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="rsync is not found on this machine"):
        there.mirror(tmp_path / "here")
    with pytest.raises(Refused, match="ssh is not found on this machine"):
        there.touch("stop")


def test_that_a_machine_that_does_not_answer_can_be_given_up(machine: Machine, there: Remote) -> None:
    machine.has_trouble("slow")
    with pytest.raises(Cancelled):
        there.touch("stop", lambda: True)
