"""How a folder of pictures is laid out: splits, classes, one folder around all."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from diffusion_studio.core.words import plural, tr

Part = Literal["train", "apart"]

_TRAIN = {"train", "training", "trn", "trainval"}
_APART = {
    "val", "valid", "validate", "validation", "dev", "test", "testing", "tst", "eval", "evaluation",
    "holdout",
}  # fmt: skip
_UNUSED = {"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled"}  # may lie beside splits
_BESIDE = re.compile(r"(set|data|images|imgs|split)?\d*$")  # after the name of a split: training_set, test1
_WORD = re.compile(r"[^\W\d_]?[^\WA-Z\d_]+|[A-Z]+|\d+")  # of a name like seg_train, trainA, ValidationB2
_NUMBER = re.compile(r"[-+]?\d{1,300}(\.\d*)?", re.ASCII)
_FEW = 10  # pictures beside the class folders are strays when there are at most a tenth of all


@dataclass(frozen=True)
class Layout:
    """Which pictures are trained on, and where they would lie without the folders of the splits.

    Args:
        part: of each file; a file that is in neither part is missing.
        plain: the path of each file without the folders that are splits.
        notes: sentences about what was found.
    """

    part: dict[str, Part]
    plain: dict[str, str]
    notes: tuple[str, ...] = ()

    def files(self, part: Part) -> list[str]:
        return [file for file, own in self.part.items() if own == part]


@dataclass
class _Folder:
    folders: dict[str, _Folder] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


def layout_of(files: Sequence[str]) -> Layout:
    """The splits among the folders of these pictures: paths with forward slashes."""
    layout = Layout({}, {})
    splits: Counter[str] = Counter()
    beside: Counter[str] = Counter()
    _place(_tree(files), "train", "", layout, splits, beside)
    order = {file: layout.part[file] for file in files if file in layout.part}
    notes = tuple(_split_notes(order, splits, beside))
    return Layout(order, layout.plain, notes)


def _tree(files: Iterable[str]) -> _Folder:
    root = _Folder()
    for file in files:
        *parts, _ = file.split("/")
        folder = root
        for part in parts:
            folder = folder.folders.setdefault(part, _Folder())
        folder.files.append(file)
    return root


def _place(
    root: _Folder, part: Part, plain: str, layout: Layout, splits: Counter[str], beside: Counter[str]
) -> None:
    """Fills `layout`; without recursion, for folders may lie in each other as deep as a path is long."""
    waiting = [(root, part, plain)]
    while waiting:
        folder, part, plain = waiting.pop()
        for file in folder.files:
            layout.part[file], layout.plain[file] = part, plain + file.rsplit("/", 1)[-1]
        roles = _roles(folder.folders)
        inside: list[tuple[_Folder, Part, str]] = []
        for name, inner in folder.folders.items():
            role = roles.get(name)
            if roles and role is None:
                beside[name] += _count(inner)
                continue
            if role is not None:
                splits[name] += _count(inner)
            below = f"{plain}{name}/" if role is None else f"{plain}{role.within}"
            apart = part == "apart" or (role is not None and role.part == "apart")
            inside.append((inner, "apart" if apart else "train", below))
        waiting += reversed(inside)


@dataclass(frozen=True)
class _Role:
    """A folder as a split.

    Args:
        rest: what its name says besides: seg of seg_train, a of trainA; nothing of train.
        within: the folder that stands for it without splits, with its slash; nothing where there is none.
    """

    part: Part
    rest: str = ""
    within: str = ""


def _roles(names: Iterable[str]) -> dict[str, _Role]:
    """The splits among folders beside each other: of one set, one to train on and another; else none.

    Either they are called train and test, or alike but for these words, like seg_train and seg_test; then
    all that lie beside them must be called so too, or they are classes like cat, cat_train and cat_test. Of
    several sets, like trainA, trainB and testA, each is a folder of its own.
    """
    found, pairs, strangers = _pairs(names)
    if "" in pairs:
        return {name: role for name, role in found.items() if not role.rest}
    if not pairs or strangers:
        return {}
    sets = {role.rest.casefold(): f"{role.rest}/" for role in reversed(found.values()) if role.rest}
    several = len(sets) > 1
    return {
        name: replace(role, within=sets.get(role.rest.casefold(), "") if several else "")
        for name, role in found.items()
    }


def _pairs(names: Iterable[str]) -> tuple[dict[str, _Role], set[str], list[str]]:
    """Folders that may be splits, the sets with one to train on and another, and folders that are none."""
    names = [*names]
    found = {name: role for name in names if (role := _role(name)) is not None}
    parts: dict[str, set[Part]] = {}
    for role in found.values():
        parts.setdefault(role.rest.casefold(), set()).add(role.part)
    strangers = [name for name in names if name not in found and not _is_unused(name)]
    return found, {rest for rest, both in parts.items() if len(both) > 1}, strangers


def _role(name: str) -> _Role | None:
    if (part := _split(name)) is not None:
        return _Role(part)
    words = _WORD.findall(name)
    said = [word for word in words if _split(word) is not None]
    part = _split(said[0]) if len(said) == 1 else None
    return None if part is None else _Role(part, " ".join(word for word in words if word != said[0]))


def _is_unused(name: str) -> bool:
    return any(word.casefold() in _UNUSED for word in _WORD.findall(name))


def _split(name: str) -> Part | None:
    known = _BESIDE.sub("", re.sub(r"[\W_]+", "", name.casefold()), count=1)
    return "train" if known in _TRAIN else "apart" if known in _APART else None


def _count(folder: _Folder) -> int:
    waiting, count = [folder], 0
    while waiting:
        here = waiting.pop()
        count += len(here.files)
        waiting += here.folders.values()
    return count


def _split_notes(part: dict[str, Part], splits: Counter[str], beside: Counter[str]) -> Iterable[str]:
    apart = sum(own == "apart" for own in part.values())
    if splits:
        roles = {name: _role(name) for name in splits}
        used, kept = (
            [name for name, role in roles.items() if role is not None and role.part == own]
            for own in ("train", "apart")
        )
        yield plural(
            "The folders {all} are splits, not classes: {used} is trained on, {pictures} in {kept} kept "
            "apart.",
            "The folders {all} are splits, not classes: {used} are trained on, {pictures} in {kept} kept "
            "apart.",
            len(used), all=listed([*used, *kept]), used=listed(used), pictures=_pictures(apart),
            kept=listed(kept),
        )  # fmt: skip
    for name, count in beside.items():
        yield tr(
            "{name} lies beside the splits and is not used ({pictures}).",
            name=name,
            pictures=_pictures(count),
        )


def _pictures(count: int) -> str:
    return plural("{n} picture", "{n} pictures", count)


def listed(names: Sequence[str]) -> str:
    """ "a, b and c", shortened where there are many."""
    shown = list(names) if len(names) <= 6 else [*names[:5], tr("{count} more", count=len(names) - 5)]
    if len(shown) == 1:
        return shown[0]
    return tr("{names} and {last}", names=", ".join(shown[:-1]), last=shown[-1])


def classes_by_folder(
    plain: dict[str, str], trained: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The class of each file by its folder, and sentences about it; none where folders make no classes.

    The folders that are classes stand right below the root, or below the one folder that holds everything.
    A few pictures beside them have no class; of those that are kept apart it may be all.

    Args:
        plain: where each file lies, without splits.
        trained: the files that are trained on; they decide.
    """
    below, depth, strays = {file: plain[file] for file in trained if file in plain}, 0, []
    count = len(below)
    while True:
        here = [file for file, path in below.items() if path.count("/") == depth]
        strays += here
        below = {file: path for file, path in below.items() if path.count("/") > depth}
        folders = Counter(path.split("/")[depth] for path in below.values())
        if not folders or not _are_few(len(strays), count, min(folders.values())):
            return {}, ()
        if len(folders) > 1:
            named = {f: path.split("/")[depth] for f, path in plain.items() if path.count("/") > depth}
            return named, (*_stray_notes(strays), *_like_splits(folders))
        depth += 1


def _like_splits(names: Iterable[str]) -> Iterable[str]:
    """A sentence where folders that are taken for classes may have been meant for splits."""
    found, pairs, strangers = _pairs(sorted(names))
    paired = [name for name, role in found.items() if role.rest and role.rest.casefold() in pairs]
    if paired and strangers:
        yield tr(
            "{names} are taken for classes, as {other} beside them is no split.",
            names=listed(paired), other=strangers[0],
        )  # fmt: skip
    alike = [name for name, role in found.items() if not role.rest]
    if alike:
        taken = plural(
            "{names} is taken for a class", "{names} are taken for classes", len(alike), names=listed(alike)
        )
        yield tr(
            "{taken}: splits need one folder to train on, called train, and one to keep apart beside it.",
            taken=taken,
        )


def _are_few(strays: int, total: int, smallest: int) -> bool:
    return strays * _FEW <= total or strays < smallest


def _stray_notes(strays: Sequence[str]) -> Iterable[str]:
    if strays:
        yield plural(
            "{n} picture lies beside the class folders and has no class, first {name}.",
            "{n} pictures lie beside the class folders and have no class, first {name}.",
            len(strays),
            name=strays[0],
        )


def twins(names: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each group of class names that a person would take for the same."""
    groups: dict[str, list[str]] = {}
    for name in names:
        folded = " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").split())
        if _NUMBER.fullmatch(folded):  # 1, 1.0 and 01
            folded = str(float(folded))
        groups.setdefault(folded, []).append(name)
    return tuple(
        tr(
            "The classes {names} are told apart, though their names are almost the same.",
            names=listed([tr("“{name}”", name=name) for name in group]),
        )
        for group in groups.values()
        if len(group) > 1
    )
