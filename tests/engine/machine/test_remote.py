"""A folder on another machine, by stand-ins for ssh and rsync."""

from __future__ import annotations

import sys
from pathlib import Path

import filelock
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
        ("ssh://server/a b/ü 图", Remote("server", 0, "/a b/ü 图")),
        ("ssh://server/a%20b/100%/%2525", Remote("server", 0, "/a b/100%/%25")),
    ],
)
def test_that_an_address_is_host_port_and_path(address: str, expected: Remote) -> None:
    found = Remote.at(address)
    assert found == expected == Remote.at(found.address)
    assert found.name == expected.path.rpartition("/")[2]


@pytest.mark.parametrize(
    "address",
    ["", "server:/runs", "ssh://", "ssh://server", "ssh://server/", "ssh://-oProxyCommand=x/runs",
     "ssh://server/a\nb", "ssh://server/a%0Ab", "ssh://server/a%00b", "ssh://me@-x/runs",
     "ssh://server:port/a", "ssh://-Fmine@server/runs", "ssh://ser ver/a", "ssh://$(x)/a",
     "ssh://server/runs/..", "ssh://server/~/..", "ssh://server/a/./", "ssh://server/a%2F..", "ssh://server/."],
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


@pytest.mark.parametrize("config", ["", '{"model_type": "other"}'])
def test_that_nothing_is_copied_of_a_folder_that_is_no_run(
    config: str, machine: Machine, tmp_path: Path
) -> None:
    folder = tmp_path / "there" / "home"
    (folder / "photos").mkdir(parents=True)
    (folder / "private").write_text("a key")
    if config:  # of another program
        (folder / "config.json").write_text(config)
    with pytest.raises(Refused, match=r"The folder .*home on server is not a run: name the one in which"):
        Remote.at(f"ssh://server{folder}").mirror(tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []


def test_that_any_name_of_a_folder_is_taken_as_it_is(machine: Machine, tmp_path: Path) -> None:
    name = "-~ it's “q\" ü [x] *?$(touch oops);&`x`\\"
    folder = tmp_path / "there" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"schema": 1}')
    remote = Remote.at(f"ssh://server{folder}")
    remote.touch("pause")
    remote.mirror(tmp_path / "here")
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"config.json", "pause"}
    assert {path.name for path in (tmp_path / "there").iterdir()} == {name}


def test_that_a_lock_that_nobody_holds_there_is_told_from_one_that_is_held(
    machine: Machine, there: Remote
) -> None:
    lock = filelock.FileLock(Path(there.path, ".lock"), timeout=0)
    assert there.holds(".lock") is False, "there is none"
    with lock:
        assert there.holds(".lock") is True
    Path(there.path, ".lock").touch()  # a process that was killed leaves it
    assert there.holds(".lock") is False
    machine.put("flock", "raise SystemExit(66)")
    assert there.holds(".lock") is None, "flock does not work there"
    machine.has_trouble("Connection refused")
    assert there.holds(".lock") is None, "nothing is known of it"


def test_that_the_program_is_begun_there(machine: Machine, there: Remote) -> None:
    with pytest.raises(Refused, match="diffusion-studio is not found on server: install it there"):
        there.begin(["train", "--resume"], "metrics.jsonl")
    machine.has_the_program()
    there.begin(["train", "a b", "--resume"], "metrics.jsonl")
    while not machine.begun.exists():
        look_again_soon()
    assert machine.begun.read_text() == f"train a b --resume --run {there.path}"


def test_that_a_program_that_could_not_begin_there_says_why(machine: Machine, there: Remote) -> None:
    machine.has_the_program("There is no folder of images photos.")
    with pytest.raises(Refused, match=r"^server says: There is no folder of images photos\.$"):
        there.begin(["train", "photos"], "metrics.jsonl")


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("me@server: Permission denied (publickey,password).", "asks for a password.*ssh-copy-id -p 22 me@s"),
        ("me@server: Permission denied (publickey).", "takes none of your keys.*ssh-copy-id -p 22 me@server"),
        ("Received disconnect: 2: Too many authentication failures", "takes none of your keys"),
        ("Host key verification failed.", "is not known here. Log in once with “ssh -p 22 me@server”"),
        ("REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.", "another key than before"),
        ("ssh: connect to host server port 22: Connection refused", "reached: connect to .*refused"),
        ("Timeout, server server not responding.", "cannot be reached: Timeout"),
        ("touch: cannot touch 'stop': Permission denied", "touch: cannot touch 'stop': Permission denied"),
    ],
)  # fmt: skip
def test_that_a_machine_that_cannot_be_reached_says_why(
    trouble: str, sentence: str, machine: Machine, there: Remote, tmp_path: Path
) -> None:
    machine.has_trouble(trouble)
    stranger = Remote("me@server", 22, there.path)
    for doing in (lambda: stranger.touch("stop"), lambda: stranger.mirror(tmp_path / "here")):
        with pytest.raises(Refused, match=sentence):
            doing()


BROKEN = "rsync: connection unexpectedly closed (9 bytes received so far) [receiver]\n"
LAST = "rsync error: error in file IO (code 11) at receiver.c(381) [receiver=3.2.7]"


@pytest.mark.parametrize(
    ("trouble", "code", "sentence"),
    [
        ('rsync: [receiver] write failed on "/m/a": No space left on device (28)\n' + LAST, 11,
         "photos cannot be mirrored to .*here: no space left on device"),
        ('rsync: [receiver] mkstemp "/m/.a.x" failed: Read-only file system (30)\n' + LAST, 23,
         "photos cannot be mirrored to .*here: read-only file system"),
        (BROKEN + "rsync error: error in rsync protocol data stream (code 12) at io.c(231)", 12,
         "^server cannot be reached: the connection ended"),
        ("rsync: [generator] write error: Broken pipe (32)\nConnection closed by 1.2.3.4 port 22", 10,
         "^server cannot be reached: Connection closed by"),
        ('rsync: [sender] send_files failed to open "/a/b": Permission denied (13)\n' + LAST, 23,
         "^server says: .*Permission denied"),
    ],
)  # fmt: skip
def test_that_what_is_wrong_while_it_is_copied_is_said(
    trouble: str, code: int, sentence: str, machine: Machine, there: Remote, tmp_path: Path
) -> None:
    machine.copies_with_trouble(trouble, code)
    with pytest.raises(Refused, match=sentence):
        there.mirror(tmp_path / "here")


def test_that_a_file_that_is_replaced_while_it_is_copied_is_no_trouble(
    machine: Machine, there: Remote, tmp_path: Path
) -> None:
    machine.copies_with_trouble("file has vanished: samples/one.png\nrsync warning: some files vanished", 24)
    there.mirror(tmp_path / "here")


def test_that_a_folder_that_is_not_there_says_so(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="There is no folder /nowhere/photos on server"):
        Remote.at("ssh://server/nowhere/photos").mirror(tmp_path / "here")
    with pytest.raises(Refused, match="There is no folder /nowhere/photos on server"):
        Remote.at("ssh://server/nowhere/photos").touch("stop")


def test_that_a_machine_without_rsync_says_so(machine: Machine, there: Remote, tmp_path: Path) -> None:
    machine.has_only_a_shell()
    Path(there.path, "checkpoints", "large").unlink()
    Path(there.path, "checkpoints").rmdir()  # what a run is known by is not looked for with what is missing
    with pytest.raises(Refused, match="rsync is not found on server: install it there"):
        there.mirror(tmp_path / "here")


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
