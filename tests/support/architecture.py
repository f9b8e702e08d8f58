"""Reads a package's source and lists what breaks the rules of `docs/ARCHITECTURE.md`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LAYERS = (
    ("core",),
    ("models", "data"),
    ("engine",),
    ("viewmodels", "widgets"),
    ("pages",),
    ("studio",),
    ("app", "cli"),
    ("album",),
    ("screenshots",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
HIGHEST_FOR = {"cli": RANK["engine"]}  # the command line needs no window
ROOMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "core": (
        ("refused", "words"),
        ("complaints",),
        ("describe", "curves", "distances", "averaging", "devices", "importing"),
        ("process",),
        ("denoisers",),
        ("objective", "steps"),
        ("guidance", "samplers", "autoencoder"),
        ("chain",),
        ("theory",),
    ),
    "engine": (
        ("files",),
        ("machine", "runs"),
        ("jobs", "labbook"),
        ("loop",),
        ("plane", "training"),
        ("classifier", "autoencoder"),
        ("chains",),
        ("evaluation",),
    ),
}
"""The rooms of a layer (its folders, and modules that stand in none), lowest first; those of a line do not
know each other."""
ROOM_RANK = {
    layer: {name: rank for rank, names in enumerate(rooms) for name in names}
    for layer, rooms in ROOMS.items()
}
MOST_MODULES = 16  # in one folder
QT = ("PySide6", "shiboken6", "pyqtgraph", "PyQt5", "PyQt6", "qtpy")
WITHOUT_QT = ("", "core", "models", "data", "engine", "cli")
PICKLES = ("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal")
BLOCKING = {
    "QFileDialog": ("getExistingDirectory", "getOpenFileName", "getOpenFileNames", "getSaveFileName"),
    "QMessageBox": ("about", "critical", "information", "question", "warning"),
    "QInputDialog": ("getDouble", "getInt", "getItem", "getMultiLineText", "getText"),
    "QColorDialog": ("getColor",),
    "QFontDialog": ("getFont",),
}


@dataclass(frozen=True)
class Use:
    """A module that is imported, or a dotted name that is called, at one line of one file."""

    layer: str
    room: str  # of the layer; empty where it has none
    place: str
    name: str


def violations(package: Path) -> list[str]:
    """One line for each broken rule in the package's folder: `engine/x.py:3: ...`."""
    found = list(_crowded(package))
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        layer = "" if relative == Path("__init__.py") else relative.parts[0].removesuffix(".py")
        if layer and layer not in RANK:
            found.append(f"{relative.as_posix()}: {layer} is not in the map of layers")
            continue
        room = "" if len(relative.parts) < 2 else relative.parts[1].removesuffix(".py")
        if layer in ROOMS and room not in ROOM_RANK[layer] and room != "__init__":
            found.append(f"{relative.as_posix()}: {room} is not in the map of the rooms of {layer}")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, name in _imports(tree, [package.name, *relative.parts[:-1]]):
            use = Use(layer, room, f"{relative.as_posix()}:{line}", name)
            found += [*_layering(use, package.name), *_rooms(use, package.name), *_libraries(use)]
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            use = Use(layer, room, f"{relative.as_posix()}:{call.lineno}", _dotted(call.func))
            found += _calls(use, call)
    return list(dict.fromkeys(found))


def _imports(tree: ast.AST, inside: list[str]) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything imported, at any depth, also by `import_module("...")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level + 1] if node.level else []
            module = [*base, *([node.module] if node.module else [])]
            yield from ((node.lineno, ".".join([*module, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] in (
            "import_module",
            "__import__",
        ):
            names = (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant))
            yield from ((node.lineno, str(name)) for name in names)


def _layering(use: Use, package: str) -> Iterator[str]:
    root, _, rest = use.name.partition(".")
    target = rest.partition(".")[0]
    if root != package or target not in RANK or target == use.layer:
        return
    highest = HIGHEST_FOR.get(use.layer, RANK.get(use.layer, 0) - 1)
    if RANK[target] > highest:
        yield f"{use.place}: {use.layer or package} must not import {target} ({use.name})"


def _rooms(use: Use, package: str) -> Iterator[str]:
    """What stands in a room knows its own room and lower ones."""
    rank = ROOM_RANK.get(use.layer, {})
    root, layer, target, *_ = *use.name.split("."), "", ""
    if (root, layer) != (package, use.layer) or target not in rank or target == use.room:
        return
    if rank[target] >= rank.get(use.room, -1):
        yield f"{use.place}: in {use.layer}, {use.room} must not import {target} ({use.name})"


def _crowded(package: Path) -> Iterator[str]:
    for folder in sorted({path.parent for path in package.rglob("*.py")}):
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        if len(modules) > MOST_MODULES:
            name = folder.relative_to(package).as_posix()
            yield f"{name}: holds {len(modules)} modules, more than {MOST_MODULES}; give it rooms"


def _libraries(use: Use) -> Iterator[str]:
    root = use.name.partition(".")[0]
    if root in PICKLES:
        yield f"{use.place}: no pickle is ever read ({use.name})"
    if use.name == "torch.load":
        yield f"{use.place}: torch.load reads pickles"
    if root in QT and use.layer in WITHOUT_QT:
        yield f"{use.place}: {use.layer or 'the package'} must not import Qt ({use.name})"
    if root in QT and use.layer == "viewmodels" and not f"{use.name}.".startswith("PySide6.QtCore."):
        yield f"{use.place}: viewmodels may import only PySide6.QtCore ({use.name})"
    if root == "torch" and use.layer == "widgets":
        yield f"{use.place}: widgets get arrays, never tensors ({use.name})"


def _calls(use: Use, call: ast.Call) -> Iterator[str]:
    owner, _, method = use.name.rpartition(".")
    owner = owner.rpartition(".")[2]
    if use.name == "torch.load" or any(
        k.arg == "allow_pickle" and not _is_false(k.value) for k in call.keywords
    ):
        yield f"{use.place}: no pickle is ever read ({use.name})"
    if method == "from_pretrained":
        yield f"{use.place}: from_pretrained can run code that a folder names ({use.name})"
    if use.layer not in ("widgets", "pages", "viewmodels"):
        return
    if method in BLOCKING.get(owner, ()) or (method in ("exec", "exec_") and not owner.endswith("drag")):
        yield f"{use.place}: dialogs use open(); nothing blocks the event loop ({use.name})"


def _dotted(node: ast.expr) -> str:
    """`a.b.c` of a call's target; a part that is no name is left empty."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
