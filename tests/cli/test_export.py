"""`export` writes a model folder and says where."""

from __future__ import annotations

from support.commands import complaint


def test_that_a_run_is_exported_once(said, run, tmp_path):
    code, out, errors = said("export", run, tmp_path / "model")
    assert (code, out.strip(), errors) == (0, str(tmp_path / "model"), "")
    code, _, errors = said("export", run, tmp_path / "model")
    assert code == 1 and "not an empty folder" in complaint(errors)
    assert said("sample", tmp_path / "model", "--steps", "3", "--out", tmp_path / "x.png")[0] == 0
