"""What the doctor finds, and that one broken thing hides no other."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from diffusion_studio.engine.machine import devices, doctor, qt_libraries
from diffusion_studio.engine.machine.devices import choose_precision, device_name
from diffusion_studio.engine.machine.doctor import Finding, diagnose, report
from support.processors import processors


@pytest.fixture
def findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnose()}


def test_that_a_working_machine_is_described(findings):
    assert {"Python", "torch", "diffusers", "Processor", "Qt libraries", "Runs", "Free disk", "Logs"} <= set(
        findings
    )
    assert findings["torch"].ok
    assert findings["Processor"].value.startswith(device_name(torch.device("cpu")))


@pytest.mark.parametrize(("faster", "precision"), [(True, "bf16"), (False, "fp32")])
def test_that_the_precision_of_trainings_is_told(faster, precision, monkeypatch):
    monkeypatch.setattr(devices, "bf16_is_faster", lambda: faster)
    found = {finding.name: finding.value for finding in diagnose()}
    assert found["Processor"].endswith(f"; trainings compute in {precision}")
    assert choose_precision("auto", torch.device("cpu")) == precision


@pytest.mark.parametrize(("beside", "said"), [(True, "in parts"), (False, "none")])
def test_that_threads_are_told_how_they_wait_and_for_whom(beside, said, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with processors(2, company=beside):
        found = {finding.name: finding.value for finding in diagnose()}
    assert found["Threads"] == "2 (OMP_NUM_THREADS=2)"
    assert found["Helpers wait"] == "GOMP_SPINCOUNT=1000"
    assert said in found["Other programs"]


def test_that_every_complaint_comes_with_advice(monkeypatch):
    monkeypatch.setattr(doctor, "version", _version_of_all_but("torch", "ziamath"))
    monkeypatch.setattr(qt_libraries, "missing", lambda: qt_libraries.LIBRARIES[:2])
    monkeypatch.setattr(doctor, "ENOUGH_DISK", 2**80)
    monkeypatch.setattr(doctor, "ENOUGH_MEMORY", 2**80)
    monkeypatch.setattr(doctor, "_can_write", lambda folder: False)
    complaints = [finding for finding in diagnose() if not finding.ok]
    assert {"torch", "ziamath", "Qt libraries", "Free disk", "Memory", "Runs"} <= {
        finding.name for finding in complaints
    }
    assert all(finding.advice for finding in complaints)


def test_that_a_machine_without_the_window_is_well(monkeypatch):
    monkeypatch.setattr(doctor, "version", _version_of_all_but(*doctor.WINDOW_PACKAGES))
    monkeypatch.setattr(qt_libraries, "missing", lambda: qt_libraries.LIBRARIES[:2])
    findings = {finding.name: finding for finding in diagnose()}
    assert "diffusion-studio[gui]" in findings["Window"].value
    assert "Qt libraries" not in findings and all(finding.ok for finding in findings.values())


def test_that_a_broken_part_is_a_finding_of_its_own(monkeypatch):
    monkeypatch.setattr(doctor.psutil, "virtual_memory", _raise(OSError("no /proc")))
    findings = {finding.name: finding for finding in diagnose()}
    assert findings["Memory"].value == "OSError: no /proc"
    assert not findings["Memory"].ok
    assert "Runs" in findings


def test_that_a_folder_without_permission_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", _raise(PermissionError("read only")))
    assert not doctor._can_write(tmp_path)


def test_that_the_report_shows_each_finding_and_advice_where_needed():
    text = report(
        (Finding("Disk", "1.0 GiB", False, "Delete runs."), Finding("torch", "2.13", True, "Unseen."))
    )
    assert text.splitlines() == [
        "!!  Disk   1.0 GiB",
        "           Delete runs.",
        "ok  torch  2.13",
        "",
        "1 of 2 need attention.",
    ]
    assert report((Finding("torch", "2.13"),)).endswith("All is well.")


def test_that_looking_does_not_import_qt():
    code = (
        "import sys; from diffusion_studio.engine.machine.doctor import diagnose; diagnose(); "
        "sys.exit(any(name.startswith('PySide6') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def _version_of_all_but(*missing: str):
    def version(name: str) -> str:
        if name in missing:
            raise doctor.PackageNotFoundError(name)
        return "1.0"

    return version


def _raise(error: Exception):
    def fail(*args, **kwargs):
        raise error

    return fail
