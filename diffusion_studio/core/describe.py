"""One description per choice: bounds, default, unit, help and source of a parameter stand once.

The form in the window, the command line, `config.json` and the tooltips are all generated from it.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from diffusion_studio.core.complaints import explained, place_of
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

Scale = Literal["linear", "log"]
KnobType = Literal["int", "float", "bool", "choice", "text", "numbers", "points", "files", "family"]


class Choice(BaseModel):
    """A frozen, validated set of parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def proposals(self, name: str, value: Any) -> Mapping[str, Any]:
        """What else changes, by name, when parameter `name` gets `value` and the others are not given."""
        return {}


class Member(Choice):
    """One member of a family (a schedule, a sampler, a spacing): a class that says what it is and whence.

    A concrete member sets `kind: Literal[...]` with a default, and the class variables below. A class right
    below `Member` is the root of a family and says what it is called. A member is found because it is
    defined: nothing lists it.
    """

    kind: str
    family: ClassVar[str]  # what the family is called; said by its root
    rank: ClassVar[int] = 1000  # place in the menus; of equal ones, the one that is defined first comes first
    is_given: ClassVar[bool] = False  # whether it is what a person gives, and nothing before: numbers, images
    title: ClassVar[str]
    summary: ClassVar[str]
    formula: ClassVar[str]  # LaTeX
    symbols: ClassVar[str] = ""  # what letters mean that stand in this formula alone
    source: ClassVar[str]


M = TypeVar("M", bound=Choice)
Model = TypeVar("Model", bound=BaseModel)
F = TypeVar("F", bound=Member)


def members(base: type[F]) -> dict[str, type[F]]:
    """Every concrete member of the family `base` by its kind, in the order of the menus.

    Raises:
        TypeError: two members are of the same kind.
    """
    found: dict[str, type[F]] = {}
    for cls in sorted(_concrete(base), key=lambda cls: cls.rank):
        kind = cls.model_fields["kind"].default
        if kind in found:
            raise TypeError(f"{found[kind].__name__} and {cls.__name__} are both of the kind {kind!r}.")
        found[kind] = cls
    return found


def _concrete(base: type[F]) -> Iterator[type[F]]:
    for cls in base.__subclasses__():
        if isinstance(cls.model_fields["kind"].default, str):
            yield cls
        yield from _concrete(cls)


class OneOf:
    """Marks a field that holds any member of a family, told apart by `kind`: `Annotated[Sampler, OneOf()]`.

    Which members there are is asked when a class with such a field is defined.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        union: Any = functools.reduce(operator.or_, members(source).values())
        return handler.generate_schema(Annotated[union, Field(discriminator="kind")])


def knob(
    default: Any,
    *,
    title: str,
    help: str,
    symbol: str = "",
    unit: str = "",
    formula: str = "",
    source: str = "",
    scale: Scale = "linear",
    advanced: bool = False,
    words: Mapping[Any, str] | None = None,
    multiple: int = 1,
    **bounds: Any,
) -> Any:
    """A pydantic field with everything a person needs to know about it.

    `words` are shown in place of values that mean something: {0: "automatic"}. A form offers multiples of
    `multiple` only. `bounds` are ge, gt, le, lt.
    """
    extra: JsonDict = {
        "symbol": symbol, "unit": unit, "formula": formula,
        "source": source, "scale": scale, "advanced": advanced, "multiple": multiple,
        "words": [[value, word] for value, word in (words or {}).items()],
    }  # fmt: skip
    return Field(default, title=title, description=help, json_schema_extra=extra, **bounds)


@dataclass(frozen=True)
class Knob:
    """The description of one parameter, ready for a form, a tooltip or a help text."""

    path: str
    type: KnobType
    title: str
    help: str
    default: Any
    symbol: str = ""
    unit: str = ""
    formula: str = ""  # LaTeX
    source: str = ""
    low: float | None = None
    high: float | None = None
    open_low: bool = False  # the bound itself is not allowed
    open_high: bool = False
    scale: Scale = "linear"
    advanced: bool = False
    multiple: int = 1  # a form offers multiples of it only
    options: tuple[tuple[Any, str], ...] = ()  # (value, label)
    words: tuple[tuple[Any, str], ...] = ()  # (value, word that is shown for it)

    def word(self, value: Any) -> str:
        """The word that is shown for `value`, or ""."""
        return next((word for known, word in self.words if known == value), "")

    def under(self, prefix: str) -> Knob:
        return replace(self, path=f"{prefix}.{self.path}") if prefix else self


def knobs(choice: Choice, prefix: str = "") -> tuple[Knob, ...]:
    """Every parameter of `choice`, nested ones by dotted path; a family's `kind` comes first."""
    found: list[Knob] = []
    for name in type(choice).model_fields:
        value = getattr(choice, name)
        if isinstance(value, Member):
            found.append(_family_knob(type(choice), name, value).under(prefix))
        if isinstance(value, Choice):
            found += knobs(value, f"{prefix}.{name}" if prefix else name)
        elif not (isinstance(choice, Member) and name == "kind"):
            found.append(_knob(type(choice), name).under(prefix))
    return tuple(found)


def _family_knob(holder: type[Choice], name: str, value: Member) -> Knob:
    plain = _knob(holder, name)
    options = tuple((kind, cls.title) for kind, cls in members(_family_base(type(value))).items())
    return replace(
        plain,
        path=f"{name}.kind",
        type="family",
        default=plain.default.kind,
        options=options,
        formula=type(value).formula,
        source=type(value).source,
        help=f"{plain.help} {type(value).title}: {type(value).summary}",
    )


def _family_base(cls: type[Member]) -> type[Member]:
    """The family's root: the class right below `Member`."""
    return next(c for c in cls.__mro__ if Member in c.__bases__)


def families(choice: Choice, prefix: str = "") -> dict[str, type[Member]]:
    """The families that `choice` takes members of, by the dotted paths of the parameters that hold them."""
    found: dict[str, type[Member]] = {}
    for name in type(choice).model_fields:
        value, path = getattr(choice, name), f"{prefix}.{name}" if prefix else name
        if isinstance(value, Member):
            found[path] = _family_base(type(value))
        if isinstance(value, Choice):
            found |= families(value, path)
    return found


def variants(choice: M) -> Iterator[M]:
    """`choice`, then one for each member that could stand in place of one of its own."""
    yield choice
    for path, base in families(choice).items():
        for kind in members(base):
            if kind != get_value(choice, f"{path}.kind"):
                yield with_value(choice, f"{path}.kind", kind)


def every_knob(choice: Choice) -> tuple[Knob, ...]:
    """The parameters of `choice`, then those that it would have with other members."""
    found: dict[str, Knob] = {}
    for variant in variants(choice):
        found = {k.path: k for k in knobs(variant)} | found
    return tuple(found.values())


@functools.cache
def _knob(holder: type[Choice], name: str) -> Knob:
    """The parameter that a class describes by one of its fields: asked for at every edit of any."""
    info = holder.model_fields[name]
    extra: dict[str, Any] = dict(info.json_schema_extra) if isinstance(info.json_schema_extra, dict) else {}
    pairs = extra.pop("words", [])
    words = tuple((tuple(v) if isinstance(v, list | tuple) else v, word) for v, word in pairs)
    return Knob(
        path=name,
        type=_type_of(info.annotation),
        title=info.title or name.replace("_", " "),
        help=info.description or "",
        default=info.get_default(call_default_factory=True),
        options=tuple((v, dict(words).get(v, str(v))) for v in _literals(info.annotation)),
        words=words,
        **_bounds(info),
        **extra,
    )


def _literals(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()


def _type_of(annotation: Any) -> KnobType:
    if _literals(annotation):
        return "choice"
    plain: dict[Any, KnobType] = {bool: "bool", int: "int", float: "float", str: "text"}
    if annotation in plain:
        return plain[annotation]
    if typing.get_origin(annotation) is not tuple:
        return "text"
    item = typing.get_args(annotation)[0]
    return "files" if item is str else "points" if typing.get_origin(item) is tuple else "numbers"


_BOUNDS = {"ge": ("low", False), "gt": ("low", True), "le": ("high", False), "lt": ("high", True)}


def _bounds(info: FieldInfo) -> dict[str, Any]:
    """The bounds of a field as arguments of `Knob`; `gt` and `lt` leave the bound itself out."""
    found: dict[str, Any] = {}
    for rule in info.metadata:
        for name, (end, is_open) in _BOUNDS.items():
            if hasattr(rule, name):
                found |= {end: getattr(rule, name), f"open_{end}": is_open}
    return found


def get_value(choice: Choice, path: str) -> Any:
    """The value at a dotted path.

    Raises:
        KeyError: no such parameter.
    """
    value: Any = choice
    for name in path.split("."):
        if not isinstance(value, Choice) or name not in type(value).model_fields:
            raise KeyError(path)
        value = getattr(value, name)
    return value


def with_value(choice: M, path: str, value: Any) -> M:
    """A copy of `choice` in which the parameter at `path` has `value`; text is read as the parameter's type.

    Choosing another `kind` takes that member's defaults.

    Raises:
        Refused: no such parameter, or a value it cannot have; the message is a sentence for a person.
    """
    return with_values(choice, [(path, value)])


def with_values(choice: M, changes: Iterable[tuple[str, Any]]) -> M:
    """A copy of `choice` with the value of every (path, value), in whatever order; checked when all are in.

    Members are chosen first, so that their own parameters are there. Of one parameter the last value counts.
    What a change proposes for others is taken where none of the changes speaks of them.

    Raises:
        Refused: as for `with_value`.
    """
    given = list(_single(changes))
    for path, value in sorted([*_proposed(choice, given), *given], key=_turn):
        choice = _unchecked(choice, path, value)
    return validated(type(choice), choice.model_dump(warnings=False))


def _single(changes: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The changes of single parameters; a dict gives several of one member."""
    for path, value in changes:
        if isinstance(value, dict):
            yield from _single((f"{path}.{name}", inner) for name, inner in value.items())
        else:
            yield path, value


def _proposed(choice: Choice, given: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The further changes that the given ones propose."""
    for path, value in given:
        holder, _, name = path.rpartition(".")
        with contextlib.suppress(KeyError):  # no such parameter, which is refused where it is set
            asked = get_value(choice, holder) if holder else choice
            if not isinstance(asked, Choice):
                continue
            for other, proposed in asked.proposals(name, value).items():
                place = f"{holder}.{other}" if holder else other
                if not any(f"{said}.".startswith(f"{place}.") for said, _ in given):
                    yield from _single([(place, proposed)])


def _turn(change: tuple[str, Any]) -> tuple[bool, int]:
    """Kinds come before other parameters, outer ones before inner ones."""
    path, _ = change
    chooses = path.rpartition(".")[2] == "kind"
    return not chooses, path.count(".") if chooses else 0


def _unchecked(choice: M, path: str, value: Any) -> M:
    """With a value as it was given; the whole is not checked yet."""
    try:
        present = get_value(choice, path)
    except KeyError:
        known = ", ".join(k.path for k in knobs(choice))
        raise Refused(tr("There is no parameter {path!r}. Known: {known}.", path=path, known=known)) from None
    holder, _, name = path.rpartition(".")
    if isinstance(present, tuple) and isinstance(value, str):
        parts = value.replace(",", " ").split()
        value = tuple(part.split(":") if ":" in part else part for part in parts)
    if isinstance(value, str):
        value = _meant(get_value(choice, holder) if holder else choice, name, value)
    if name == "kind" and value != present and (member := _kind_of(get_value(choice, holder), value)):
        path, value = holder, member()
    return _put(choice, path, value)


def _meant(holder: Any, name: str, text: str) -> Any:
    """The number that a parameter shows as this word ("auto"); of anything else the text as it is."""
    if isinstance(holder, Choice) and name in type(holder).model_fields:
        words = _knob(type(holder), name).words
        return next((value for value, word in words if word == text and not isinstance(value, str)), text)
    return text


def _kind_of(present: Any, kind: Any) -> type[Any] | None:
    """The member of that kind in the family of `present`, if there is one."""
    if not isinstance(present, Member) or not isinstance(kind, str):
        return None
    return members(_family_base(type(present))).get(kind)


def _put(choice: M, path: str, value: Any) -> M:
    name, _, rest = path.partition(".")
    return choice.model_copy(update={name: _put(getattr(choice, name), rest, value) if rest else value})


def validated(kind: type[Model], data: Any) -> Model:
    """`data` from a person or from a file as one of this kind; the one place where pydantic is asked.

    Raises:
        Refused: with the first complaint as a sentence.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(explained(first), where=place_of(first["loc"], data)) from None
