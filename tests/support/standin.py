"""A device that is not here: tensors on it are numbers of the processor under another name.

What Apple's and NVIDIA's GPUs refuse, or would have to wait for, raises `UnavailableError` where it is asked:
float64, tensors of two devices in one operation, an operation that one of them lacks, and, inside of
`no_waiting`, a value that is read or an image that is copied while the device waits. An optimizer's step that
is to be skipped is taken, as MPS takes it.

It is a backend of the whole process, so it lives in a process of its own (`support.standin_run`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import torchgen
import yaml
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from diffusion_studio.core import devices

NAME = "standin"
DEVICE = torch.device("privateuseone", 0)  # as it is called until it is registered
DEVICES = ("MPS", "CUDA")
_COMPOSITE = (
    "CompositeExplicitAutograd",
    "CompositeImplicitAutograd",
    "CompositeExplicitAutogradNonFunctional",
)
_READS = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "unique", "_unique2")
_MOVES = ("_to_copy", "copy_", "_copy_from")
_AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)
_SELF_MADE = ("detach", "alias", "_fused_sdp_choice", "_assert_async")  # the same everywhere

_IN_HALF = ("conv2d", "linear", "matmul", "mm", "bmm", "addmm", "baddbmm")  # what autocast computes in bf16
_kernels, _others = torch.library.Library("aten", "IMPL"), torch.library.Library("_", "IMPL")  # of autocast

_waiting = threading.local()


class UnavailableError(AssertionError):
    """What one of the devices would not do."""


class Foreign(Tensor):
    """A tensor on the stand-in; `own` holds its numbers."""

    own: Tensor

    @staticmethod
    def __new__(cls, own: Tensor) -> Foreign:
        if own.is_inference() != torch.is_inference_mode_enabled():
            with torch.inference_mode(own.is_inference()):
                return cls.__new__(cls, own)
        found: Foreign = Tensor._make_wrapper_subclass(
            cls, own.shape, strides=own.stride(), storage_offset=own.storage_offset(), dtype=own.dtype,
            device=DEVICE,
        )  # fmt: skip
        found.own = own
        return found

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, **_: Any) -> str:
        return f"Foreign({self.own!r})"


class StandIn(TorchDispatchMode):
    """While it is entered, tensors can be made on the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def register() -> None:
    """Makes the device known to torch; once in a process, before the first backward pass."""
    _setup_privateuseone_for_python_backend(NAME)
    torch.utils._foreach_utils._get_foreach_kernels_supported_devices = lambda: ["cuda"]
    devices.copies_ahead = lambda device: True
    getattr(torch, NAME).get_amp_supported_dtype = lambda: [torch.bfloat16]
    _others.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    for name in _IN_HALF:
        _kernels.impl(name, partial(_in_half, getattr(torch.ops.aten, name).default), "AutocastPrivateUse1")
    Tensor.pin_memory = lambda self, device=None: self
    tensor, made = torch.tensor, torch.Generator

    def tensor_on(data: Any, device: Any = None, **options: Any) -> Tensor:
        return tensor(data, **options).to(device or "cpu")

    torch.tensor = tensor_on  # which makes its tensors below all modes

    class Generator(made):  # type: ignore[misc, valid-type]
        def __new__(cls, device: Any = "cpu") -> Any:
            return made("cpu" if torch.device(device).type == NAME else device)

    torch.Generator = Generator  # type: ignore[misc]


def _in_half(func: Any, *args: Any, **kwargs: Any) -> Any:
    """An operation as autocast has it: its numbers are turned to bf16 before."""

    def lowered(value: Any) -> Any:
        return value.to(torch.bfloat16) if isinstance(value, Tensor) and value.is_floating_point() else value

    with torch._C._ExcludeDispatchKeyGuard(_AUTOCAST):
        return func(*_mapped(lowered, args), **_mapped_named(lowered, kwargs))


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    """Nothing in here may wait for the device."""
    _waiting.forbidden = True
    try:
        yield
    finally:
        _waiting.forbidden = False


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    """What an operation is given, in lists and tuples too; torch's own trees know more, and take longer."""
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _tensors(value)
    return found


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """The same lists and tuples of changed leaves."""
    if isinstance(value, (list, tuple)):
        return type(value)([_mapped(change, each) for each in value])
    return change(value)


def _mapped_named(change: Callable[[Any], Any], values: dict[str, Any]) -> dict[str, Any]:
    return {name: _mapped(change, each) for name, each in values.items()}


@cache
def _decomposes(func: Any) -> bool:
    return bool(func._can_decompose())


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    if _decomposes(func):  # in inference mode operations come as they were written
        with StandIn():
            return func.decompose(*args, **kwargs)
    tensors = _tensors(args) + _tensors(kwargs.values())
    foreign = any(isinstance(each, Foreign) for each in tensors)
    wanted = kwargs.get("device")
    asked = wanted is not None and torch.device(wanted).type == NAME
    if not foreign and not asked:
        return func(*args, **kwargs)
    _check(func, args, kwargs, tensors, asked)
    kwargs = {key: value for key, value in kwargs.items() if key != "found_inf"} if foreign else kwargs
    out = func(*_mapped(_own, args), **_mapped_named(_own, kwargs))
    return out if not asked and wanted is not None else _wrapped(func, args, out)


def _wrapped(func: Any, args: Any, out: Any) -> Any:
    """The results on the device; what is changed in place stays the tensor that it is."""
    known = {id(_own(each)): each for each in _tensors(args)}

    def wrap(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if value.dtype == torch.float64:
            raise UnavailableError(f"{func}: float64 on the device, which MPS does not have")
        return known[id(value)] if id(value) in known else Foreign(value)

    return _mapped(wrap, out)


def _own(value: Any) -> Any:
    if isinstance(value, Foreign):
        return value.own
    if isinstance(value, torch.device) and value.type == NAME:
        return torch.device("cpu")
    return value


def _check(func: Any, args: Any, kwargs: Any, tensors: list[Tensor], asked: bool) -> None:
    name = _name(func)
    if name in _MOVES:
        _check_move(func, args, kwargs, asked)
        return
    strangers = [t for t in tensors if not isinstance(t, Foreign) and t.ndim > 0]
    if strangers:
        raise UnavailableError(f"{func}: tensors of two devices, here {tuple(strangers[0].shape)}")

    reads = name in _READS or (name in ("index", "index_put_") and _by_mask(args[1]))
    if reads and getattr(_waiting, "forbidden", False):
        raise UnavailableError(f"{func}: a value is read in the middle of a step")
    if lacking := _lacking(func):
        raise UnavailableError(f"{func}: not known to {' and '.join(lacking)}")


@cache
def _name(func: Any) -> str:
    """`add` of aten::add.Tensor."""
    found: str = func.name()
    return found.removeprefix("aten::").partition(".")[0]


@cache
def _lacking(func: Any) -> tuple[str, ...]:
    """The devices that have no such operation."""
    made = _name(func) in _SELF_MADE
    return tuple(device for device in DEVICES if not made and not _knows(func.name(), device))


def _by_mask(indices: Any) -> bool:
    return any(i is not None and i.dtype == torch.bool for i in indices)


def _check_move(func: Any, args: Any, kwargs: Any, asked: bool) -> None:
    """A copy to the device, from it or on it."""
    to, source = (args[0], args[1]) if len(args) > 1 else (None, args[0])
    arrives = asked or isinstance(to, Foreign) or (to is None and kwargs.get("device") is None)
    leaves, comes = isinstance(source, Foreign) and not arrives, not isinstance(source, Foreign) and arrives
    if not getattr(_waiting, "forbidden", False):
        return
    if leaves:
        raise UnavailableError(f"{func}: {tuple(source.shape)} values are read in the middle of a step")
    if comes and source.ndim > 1 and not kwargs.get("non_blocking"):
        raise UnavailableError(f"{func}: the device waits for a copy of shape {tuple(source.shape)}")


@cache
def _functions() -> dict[str, dict[str, Any]]:
    place = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
    entries = yaml.load(place.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {entry["func"].partition("(")[0]: entry for entry in entries}


@cache
def _knows(name: str, device: str) -> bool:
    """Whether torch has a kernel of an operation for a device, by torch's own list of its functions."""
    entry = _functions().get(name.removeprefix("aten::"))
    if entry is None:
        return True  # not an operation on numbers
    if "structured_delegate" in entry:
        return _knows(entry["structured_delegate"], device)
    if "ufunc_inner_loop" in entry and device == "CUDA":
        return True  # its kernel is made of the inner loop
    keys = {key.strip() for listed in entry.get("dispatch", {}) for key in listed.split(",")}
    return not keys or device in keys or any(key in keys for key in _COMPOSITE)
