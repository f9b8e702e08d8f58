"""docs/LIBRARY.md: every line that it shows is run."""

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "LIBRARY.md"

# In a process of its own: the page defines a sampler, which every list of samplers would show from then on;
# without Qt and without the engine, which a script may lack.
SCRIPT = """
import doctest, sys
sys.modules["PySide6"] = sys.modules["diffusion_studio.engine"] = None
sys.stdout.reconfigure(encoding="utf-8")
found = doctest.testfile(sys.argv[1], module_relative=False, encoding="utf-8")
print(f"{found.attempted} lines, {found.failed} failed")
sys.exit(found.failed > 0)
"""


def test_that_the_page_on_the_library_shows_what_happens():
    warnings = ("-W", "error", "-W", "ignore:__array__ implementation:DeprecationWarning")  # diffusers'
    done = subprocess.run(
        [sys.executable, "-X", "utf8", *warnings, "-c", SCRIPT, str(PAGE)],
        capture_output=True, text=True, encoding="utf-8", cwd=PAGE.parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-4]) > 100
