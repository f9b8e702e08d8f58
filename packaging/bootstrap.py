#!/usr/bin/env python3
"""Starts Diffusion Studio from a checkout; the first start installs what it needs into `.venv`.

    python3 packaging/bootstrap.py run [PATH ...]         open the window (a run, a model or an image folder)
    python3 packaging/bootstrap.py test [PYTEST ARG ...]  check the code and run the tests
    python3 packaging/bootstrap.py check                  check the code, without the tests
    python3 packaging/bootstrap.py setup                  install only

This one file is written so that any Python can read it, and say which ones will do.
"""

import signal
import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def refusal(version):
    """Why Diffusion Studio cannot run on a Python of `version` (major, minor), or an empty text."""
    if OLDEST <= version <= NEWEST:
        return ""
    text = "Diffusion Studio needs Python 3.11, 3.12 or 3.13; this is %d.%d. " % version
    if version > NEWEST:
        return text + "It is too new: start the same command with an older Python, for example python3.13."
    return text + "Install a newer Python and start the same command with it, for example python3.11."


def main():
    complaint = refusal(sys.version_info[:2])
    if complaint:
        sys.stderr.write(complaint + "\n")
        return 1
    from starter import commands

    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # as Ctrl+C does, so that pip does not outlive us
    return commands.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
