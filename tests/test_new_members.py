"""A sampler is one new file, a weight one new class, a page its folder and one line.

A copy of the program with all of them has them everywhere. Nothing else of the copy is
touched, and it is looked at in processes of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.qt import has_qt

ROOT = Path(__file__).parents[1]
SAMPLER = '''"""Half of the ancestral noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.steps.kernel import posterior_variance, reverse_kernel
from diffusion_studio.core.steps.update import Update


class Halfway(Sampler):
    kind: Literal["halfway"] = "halfway"
    portion: float = knob(0.5, title="portion", ge=0, le=1, help="How much noise.", source="DDIM eq. 16")

    title: ClassVar[str] = "half-way house"
    summary: ClassVar[str] = "between DDIM and DDPM."
    formula: ClassVar[str] = r"x_s = x_{1/2}"
    source: ClassVar[str] = "DDIM eq. 12"

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        variance = self.portion**2 * posterior_variance(tables, t, s)
        return reverse_kernel(tables, t, s, variance, variance)
'''
WEIGHT = """

class EvenWeight(Weight):
    kind: Literal["even"] = "even"
    height: float = knob(2.0, title="height", gt=0, le=9, help="Of every t.", source="Luo eq. 130")

    title: ClassVar[str] = "even keel"
    summary: ClassVar[str] = "the same number at every t."
    formula: ClassVar[str] = r"\\lambda_t = h"
    source: ClassVar[str] = "Luo eq. 130"

    def on_eps(self, tables: Tables) -> Tensor:
        return _from_1(torch.full((tables.steps,), self.height, dtype=torch.float64))
"""
PAGE = '''"""A page with nothing on it."""

from __future__ import annotations

from diffusion_studio.pages.page import Desk, Page
from diffusion_studio.viewmodels.page_model import PageModel


class BlankPage(Page):
    key = "blank"


def model(desk: Desk) -> PageModel:
    return PageModel(desk.owner)


def build(desk: Desk, model: PageModel) -> BlankPage:
    return BlankPage()
'''
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M1 4h7" stroke="currentColor"/></svg>'
)
ENGINE = """
import json
from typer.testing import CliRunner
from diffusion_studio.cli import sample, train
from tests.support.family_docs import families_page, with_counts, ROOT
def said(command, *words):
    done = CliRunner().invoke(command.app, words)
    assert done.exit_code == 0, done.output
    return done.output
print(json.dumps({
    "sample": said(sample, "--help"), "train": said(train, "--help"),
    "drawn": said(sample, "memorising:digits", "--sampler", "halfway", "--set", "sampler.portion=0.3",
                  "--steps", "3", "--count", "1", "--out", "one.png"),
    "page": families_page(), "readme": with_counts((ROOT / "README.md").read_text(encoding="utf-8")),
}))
"""
WINDOW = """
import json
from PySide6.QtCore import QEventLoop
from PySide6.QtWidgets import QApplication
from diffusion_studio.app import App
from diffusion_studio.viewmodels.theory.equations import all_equations
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.look.theme import theme
application = QApplication([])
theme()
app = App()
loop = QEventLoop()
app.ready.connect(loop.quit)
app.show()
loop.exec()
def offered(page, path, kind):
    form = next(form for form in page.findChildren(Form) if path in form.paths)
    combo = form.field(path).control.combo
    names = [combo.itemText(i) for i in range(combo.count())]
    form.edited.emit(path, kind)
    return names, form.paths
found = {
    "sample": offered(app.studio.sample_page, "sampler.kind", "halfway"),
    "train": offered(app.studio.train_page, "objective.weight.kind", "even"),
    "equations": [(e.title, e.page, e.path, e.value) for e in all_equations()],
}
button, shell = app.shell.rail.button("blank"), app.shell
button.click()
found["page"] = {
    "shown": type(shell.current_page).__name__, "title": shell.header._title.text(),
    "label": button.text(), "icon": not button.icon().isNull(),
}
print(json.dumps(found))
app.close()
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with one more file and one more class."""
    copy = tmp_path_factory.mktemp("members")
    unneeded = shutil.ignore_patterns("__pycache__", "*.png", "fixtures")
    for name in ("diffusion_studio", "tests", "docs", "resources", "packaging"):
        shutil.copytree(ROOT / name, copy / name, ignore=unneeded)
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    core = copy / "diffusion_studio" / "core"
    (core / "samplers" / "halfway.py").write_text(SAMPLER, encoding="utf-8")
    with (core / "objective" / "weights.py").open("a", encoding="utf-8") as file:
        file.write(WEIGHT)
    _add_page(copy / "diffusion_studio" / "pages")
    return copy


def _add_page(pages: Path) -> None:
    (pages / "blank").mkdir()
    for name, text in (("__init__.py", ""), ("page.py", PAGE), ("icon.svg", ICON)):
        (pages / "blank" / name).write_text(text, encoding="utf-8")
    entries = (pages / "entries.py").read_text(encoding="utf-8")
    last = '    Entry("runs", trc("page", "Runs")),\n'
    assert last in entries
    text = entries.replace(last, f'{last}    Entry("blank", "Nothing"),\n')
    (pages / "entries.py").write_text(text, encoding="utf-8")


def run_in(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python, there."""
    own = {"PYTHONPATH": str(copy), "COLUMNS": "300", "DIFFUSION_STUDIO_HOME": str(copy / "home")}
    return subprocess.run(
        [sys.executable, "-X", "utf8", *arguments],
        capture_output=True, text=True, encoding="utf-8", cwd=copy, env=os.environ | own,
    )  # fmt: skip


def told(copy: Path, script: str) -> dict[str, Any]:
    """What a script prints there."""
    done = run_in(copy, "-c", script)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_that_command_line_and_documents_have_both(copied: Path) -> None:
    found = told(copied, ENGINE)
    assert "half-way house: between DDIM and DDPM." in found["sample"]
    assert "sampler.portion" in found["sample"]
    assert "even keel: the same number at every t." in found["train"]
    assert "objective.weight.height" in found["train"]
    assert (copied / "one.png").is_file()
    assert "| `halfway` | half-way house | between DDIM and DDPM. |" in found["page"]
    assert "| `even` | `height` | height: Of every t. |" in found["page"]
    assert found["readme"] != (ROOT / "README.md").read_text(encoding="utf-8")  # one sampler more


@pytest.mark.skipif(not has_qt(), reason="a window needs Qt")
def test_that_the_window_has_all_three(copied: Path) -> None:
    found = told(copied, WINDOW)
    (samplers, sampler_paths), (weights, weight_paths) = found["sample"], found["train"]
    assert "half-way house" in samplers
    assert "sampler.portion" in sampler_paths
    assert "even keel" in weights
    assert "objective.weight.height" in weight_paths
    assert ["half-way house", "sample", "sampler.kind", "halfway"] in found["equations"]
    assert ["even keel", "train", "objective.weight.kind", "even"] in found["equations"]
    assert found["page"] == {"shown": "BlankPage", "title": "Nothing", "label": "Nothing", "icon": True}


def test_that_the_tests_walk_over_both(copied: Path) -> None:
    """And the one of the documents says that they are to be written again."""
    suites = ("core/samplers/test_samplers", "core/objective/test_weights", "engine/test_families",
              "test_family_docs")  # fmt: skip
    chosen = "halfway or Halfway or (even and cosine) or EvenWeight or up_to_date"
    files = [f"tests/{suite}.py" for suite in suites]
    done = run_in(copied, "-m", "pytest", "-v", "-p", "no:cacheprovider", *files, "-k", chosen)
    lines = done.stdout.splitlines()
    passed = {line.split(" PASSED")[0].split("::")[1] for line in lines if " PASSED" in line}
    assert {
        "test_that_every_sampler_keeps_shape_and_precision[shape0-halfway]",
        "test_that_every_sampler_says_whether_it_keeps_the_marginals[cosine-halfway]",
        "test_that_every_sampler_reaches_the_data[halfway]",
        "test_that_every_weight_can_be_trained_with_and_leaves_t_0_alone[cosine-100-even]",
        "test_that_every_member_of_every_family_is_described[Halfway]",
        "test_that_every_member_of_every_family_is_described[EvenWeight]",
    } <= passed, done.stdout
    failed = [line for line in lines if line.startswith("FAILED")]
    assert len(failed) == 1
    assert "write the documents again" in failed[0]
