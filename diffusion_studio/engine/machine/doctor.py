"""Looks at this machine and says what works, what does not, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from diffusion_studio import __version__
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.places import HOME_VARIABLE, log_dir, runs_dir
from diffusion_studio.engine.machine import qt_libraries

ENGINE_PACKAGES = ("torch", "diffusers", "safetensors", "numpy", "Pillow")
WINDOW_PACKAGES = ("PySide6_Essentials", "pyqtgraph", "ziamath")
THREADS = "OMP_NUM_THREADS"
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # what libraries read when they are loaded
ENOUGH_DISK = 2 * 1024**3  # bytes: a few dozen checkpoints of a small U-Net
ENOUGH_MEMORY = 1024**3  # bytes: torch, the window and a small network


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `advice` is a sentence for when it is not `ok`."""

    name: str
    value: str
    ok: bool = True
    advice: str = ""


def diagnose() -> tuple[Finding, ...]:
    """Everything worth knowing about this machine. Imports torch (seconds), never Qt; changes nothing."""
    looks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("Software", _software),
        ("Devices", _devices),
        ("Threads", _threads),
        ("Qt libraries", _qt_libraries),
        ("Memory", _memory),
        ("Places", _places),
    )
    return tuple(finding for name, look in looks for finding in _safely(name, look))


def about() -> tuple[Finding, ...]:
    """Versions, devices and folders: what a report of a fault should say."""
    looks = ((tr("Software"), _software), (tr("Devices"), _devices), (tr("Folders"), _folders))
    return tuple(finding for name, look in looks for finding in _safely(name, look))


def _folders() -> Iterator[Finding]:
    yield Finding(tr("Runs"), str(runs_dir()))
    yield Finding(tr("Logs"), str(log_dir()))


def report(findings: tuple[Finding, ...]) -> str:
    """The findings as plain text, one line each; advice is indented below its finding."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = [line for finding in findings for line in _lines(finding, width)]
    bad = sum(not finding.ok for finding in findings)
    return "\n".join([*lines, "", f"{bad} of {len(findings)} need attention." if bad else "All is well."])


def _lines(finding: Finding, width: int) -> Iterator[str]:
    yield f"{'ok' if finding.ok else '!!'}  {finding.name:<{width}}  {finding.value}"
    if finding.advice and not finding.ok:
        yield f"{'':{width + 6}}{finding.advice}"


def _safely(name: str, look: Callable[[], Iterator[Finding]]) -> tuple[Finding, ...]:
    """The findings of `look`; where it breaks, that is the finding."""
    try:
        return tuple(look())
    except Exception as error:  # a broken driver or package must not hide the other findings
        return (Finding(name, f"{type(error).__name__}: {error}", ok=False, advice="Install it again."),)


def _software() -> Iterator[Finding]:
    yield Finding("Diffusion Studio", __version__)
    where = tr("{version} on {system}", version=platform.python_version(), system=platform.platform())
    yield Finding("Python", where)
    yield from (_package(name, "Start the set-up again.") for name in ENGINE_PACKAGES)
    if _has_window():
        yield from (_package(name, "The window needs it.") for name in WINDOW_PACKAGES)
    else:
        yield Finding("Window", "not installed; pip install 'diffusion-studio[gui]' adds it")


def _has_window() -> bool:
    """Whether what the window is made of was installed, which servers do without."""
    try:
        return bool(version(WINDOW_PACKAGES[0]))
    except PackageNotFoundError:
        return False


def _package(name: str, advice: str) -> Finding:
    """The installed version, read without importing the package."""
    try:
        return Finding(name, version(name))
    except PackageNotFoundError:
        return Finding(name, tr("not installed"), ok=False, advice=advice)


def _devices() -> Iterator[Finding]:
    import torch

    from diffusion_studio.engine.machine.devices import bf16_is_faster, device_name

    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    bfloat16 = _yes(any(value for name, value in capabilities.items() if "bf16" in name))
    chosen = tr("trainings compute in {precision}", precision="bf16" if bf16_is_faster() else "fp32")
    yield Finding(tr("Processor"), f"{device_name(torch.device('cpu'))}, bfloat16 {bfloat16}; {chosen}")
    for index in range(torch.cuda.device_count()):
        yield Finding(f"cuda:{index}", _cuda(index))
    if torch.backends.mps.is_available():
        yield Finding("mps", tr("Apple graphics processor"))
    elif not torch.cuda.is_available():
        yield Finding(tr("Graphics processor"), tr("none; the processor computes"))


def _threads() -> Iterator[Finding]:
    """How many compute, how they wait for each other, and whether they have to wait for other programs."""
    from diffusion_studio.models.company import company
    from diffusion_studio.models.side_by_side import PROCESSORS

    chosen = f"{THREADS}={os.environ[THREADS]}" if os.environ.get(THREADS) else "one for each processor"
    yield Finding("Threads", f"{PROCESSORS} ({chosen})")
    if PROCESSORS == 1:
        return
    policies = [f"{name}={os.environ[name]}" for name in WAITING if os.environ.get(name)]
    yield Finding("Helpers wait", ", ".join(policies) or "as their library chose")
    beside = "keep processors busy: networks compute in parts, without helpers"
    yield Finding("Other programs", beside if company().is_here() else "none that helpers wait for")


def _cuda(index: int) -> str:
    import torch

    card = torch.cuda.get_device_properties(index)
    bfloat16 = (card.major, card.minor) >= (8, 0)  # in hardware; torch also emulates it
    return f"{card.name}, {_gigabytes(card.total_memory)}, bfloat16 {_yes(bfloat16)}"


def _qt_libraries() -> Iterator[Finding]:
    if not _has_window():
        return
    missing = qt_libraries.missing()
    if not missing:
        yield Finding("Qt libraries", "all there")
        return
    command = qt_libraries.install_command(missing, qt_libraries.this_linux())
    advice = f"Install with: sudo {' '.join(command)}" if command else "Install them to open the window."
    yield Finding("Qt libraries", "missing: " + ", ".join(lib.soname for lib in missing), False, advice)


def _memory() -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    value = f"{_gigabytes(memory.available)} free of {_gigabytes(memory.total)}"
    yield Finding("Memory", value, memory.available >= ENOUGH_MEMORY, "Close other programs before training.")


def _places() -> Iterator[Finding]:
    place = runs_dir()
    ground = _existing(place)
    free = shutil.disk_usage(ground).free
    yield Finding("Runs", str(place), _can_write(ground), f"Set {HOME_VARIABLE} to a folder you may write.")
    yield Finding("Free disk", _gigabytes(free), free >= ENOUGH_DISK, "Delete runs that you no longer need.")
    yield Finding("Logs", str(log_dir()))


def _existing(path: Path) -> Path:
    """The nearest folder at or above `path` that is there."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _can_write(folder: Path) -> bool:
    """Whether a file can be made in `folder`: tried, for permissions alone do not tell on every system."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _gigabytes(size: int) -> str:
    return tr("{size:.1f} GiB", size=size / 1024**3)


def _yes(answer: bool) -> str:
    return tr("yes") if answer else tr("no")
