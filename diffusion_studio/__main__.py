"""Opens the window, or hands over to the command line. Imports nothing heavy before the first paint."""

from __future__ import annotations

import gc
import os
import sys

COMMANDS = (
    "train", "sample", "train-classifier", "evaluate", "doctor", "screenshots", "--help", "-h", "--version",
)  # fmt: skip


def main() -> int:
    """The console script `diffusion-studio`."""
    try:
        return _run()
    finally:
        gc.freeze()  # or Python looks through all that torch has imported once more: a second at the end


def _run() -> int:
    from diffusion_studio.engine.files import places

    # torch makes a folder for compiled code when it is imported; not among everybody's temporary files
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(places.cache_dir() / "torch"))
    arguments = sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        from diffusion_studio import cli

        if arguments[0] in ("screenshots", "--help", "-h"):
            from diffusion_studio.screenshots import command

            cli.app.command("screenshots")(command)
        return cli.main(arguments)
    from diffusion_studio.app import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
