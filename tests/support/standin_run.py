"""Runs the cases of `standin_cases` on the stand-in and prints what went wrong: {case: text or ""}."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from support import standin

standin.register()

from support.standin_cases import CASES, Case  # noqa: E402


def failure(case: Case, folder: Path) -> str:
    """What went wrong in a case; nothing if all went well."""
    try:
        with standin.StandIn():
            case(folder)
    except BaseException as error:
        trace = traceback.extract_tb(error.__traceback__)
        places = [f"{Path(f.filename).name}:{f.lineno}" for f in trace if "diffusion_studio" in f.filename]
        return f"{type(error).__name__}: {error} [{' > '.join(places[-4:])}]"
    return ""


def main() -> None:
    warnings.simplefilter("ignore")
    wanted = sys.argv[1:] or list(CASES)
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = place
        for number, name in enumerate(wanted):
            folder = Path(place) / str(number)
            folder.mkdir()
            print(json.dumps({name: failure(CASES[name], folder)}), flush=True)
    os._exit(0)  # torch's threads of the device do not end


if __name__ == "__main__":
    main()
