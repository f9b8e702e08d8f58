"""`run`, `test`, `check` and `setup`."""

from __future__ import annotations

import os
import subprocess
import sys

from starter import checks, environment, system
from starter.project import StartError, say

USAGE = """\
Usage: bootstrap.py COMMAND

  run [PATH ...]         open the window, with a run, a model or an image folder if given
  test [PYTEST ARG ...]  check the code and run the tests; with arguments: pytest alone
  check                  check the code, without the tests
  setup                  install what is needed into .venv, and stop
"""


def main(arguments: list[str]) -> int:
    commands = {"run": run, "test": test, "check": check, "setup": setup}
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if name not in commands:
        say(USAGE.rstrip())
        return 2
    try:
        return commands[name](rest)
    except StartError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped. The same command goes on from here.")
        return 130


def run(paths: list[str]) -> int:
    system.need_screen()
    environment.prepare(environment.WINDOW)
    system.need_libraries(window=True)
    command = [str(environment.python()), "-m", "diffusion_studio", *paths]
    if os.name == "nt":  # exec on Windows gives the terminal back before the window closes
        return subprocess.call(command)
    sys.stdout.flush()
    os.execv(command[0], command)


def test(arguments: list[str]) -> int:
    with environment.prepared(environment.TESTS):
        system.need_libraries(window=False)
        return checks.run_all(arguments)


def check(arguments: list[str]) -> int:
    if arguments:
        raise StartError("check takes no arguments.")
    with environment.prepared(environment.TESTS):
        return checks.run_quick()


def setup(arguments: list[str]) -> int:
    if arguments:
        raise StartError("setup takes no arguments.")
    with environment.prepared(environment.WINDOW) as compiling:
        system.need_libraries(window=False)
        if compiling:
            say("Compiling, so that every start is a fast one, from a read-only folder too …")
    return 0
