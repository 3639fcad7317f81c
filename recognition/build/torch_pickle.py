"""The instructions of a pickle, read and never run: enough of them for a dictionary of PyTorch tensors.

A pickle is a program; loading one calls whatever it names. Here its instructions are only read. Those that a dictionary
of tensors needs are followed on a stack of plain values, four names stand for what they mean, and nothing is imported
or called. Any other instruction or name is refused with its place in the file.
"""

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from recognition.core.errors import PackInvalid

MOST_INSTRUCTIONS = 500_000
"""A state of some hundred tensors takes about 14,000."""
LARGEST_COUNT = 2**31
MOST_DIMENSIONS = 4
LONGEST_QUOTE = 60

ITEM_TYPES: dict[str, np.dtype[Any]] = {"torch FloatStorage": np.dtype("<f4"), "torch LongStorage": np.dtype("<i8")}
_DICT = "collections OrderedDict"
_REBUILD = "torch._utils _rebuild_tensor_v2"
_NAMES = {_DICT, _REBUILD, *ITEM_TYPES}

_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}


@dataclass(frozen=True, slots=True)
class Storage:
    """A row of values that lies elsewhere in the file."""

    key: str
    item_type: str
    count: int


@dataclass(frozen=True, slots=True)
class TensorView:
    """A tensor: which values of a storage, in which shape. `offset` and `strides` count values."""

    storage: Storage
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of values."""
        return prod(self.sizes)


@dataclass(frozen=True, slots=True)
class _Name:
    """A name the pickle would import."""

    text: str


class _Mark:
    """Where a group of values begins on the stack."""


class PickleReader:
    """Follows the instructions of one pickle. Its stack holds plain values and the three kinds above, nothing else."""

    def __init__(self, stream: BytesIO) -> None:
        self._stream = stream
        self._at = stream.tell()
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._actions: dict[str, Callable[[], None]] = {
            "MARK": lambda: self._stack.append(_Mark()),
            "EMPTY_DICT": lambda: self._stack.append({}),
            "EMPTY_LIST": lambda: self._stack.append([]),
            "TUPLE": lambda: self._stack.append(tuple(self._group())),
            "TUPLE1": lambda: self._stack.append(self._several(1)),
            "TUPLE2": lambda: self._stack.append(self._several(2)),
            "TUPLE3": lambda: self._stack.append(self._several(3)),
            "APPENDS": self._append,
            "SETITEM": lambda: self._set(list(self._several(2))),
            "SETITEMS": lambda: self._set(self._group()),
            "BINPERSID": self._refer,
            "REDUCE": self._reduce,
            "BUILD": self._build,
        }

    def value(self) -> tuple[Any, int]:
        """Return what the pickle describes, and the offset of its end. The stream is left there."""
        instructions = self._instructions()
        if instructions[-1][0] != "STOP":
            raise self._refused(f"more than {MOST_INSTRUCTIONS} instructions")
        for name, argument, at in instructions[:-1]:
            self._at = at
            self._follow(name, argument)
        result = self._pop()
        if self._stack:
            raise self._refused("values left over")
        return result, self._stream.tell()

    def _instructions(self) -> list[tuple[str, Any, int]]:
        """Return name, argument and offset of each instruction up to STOP."""
        start = self._stream.tell()
        with warnings.catch_warnings():
            # Odd texts in instructions that are refused anyway would warn while they are decoded.
            warnings.simplefilter("ignore")
            try:
                found = list(islice(pickletools.genops(self._stream), MOST_INSTRUCTIONS))
            except ValueError as exc:
                raise invalid(
                    f"an instruction after byte {start} that ends or reads wrong", self._stream.tell()
                ) from exc
        return [(opcode.name, argument, start if at is None else at) for opcode, argument, at in found]

    def _follow(self, name: str, argument: Any) -> None:
        if name in self._actions:
            self._actions[name]()
        elif name in _LITERALS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._top()
        elif name in ("BINGET", "LONG_BINGET"):
            self._get(argument)
        elif name == "GLOBAL":
            if argument not in _NAMES:
                raise self._refused(f"the name {argument[:LONGEST_QUOTE]!r}")
            self._stack.append(_Name(argument))
        elif name != "PROTO" or argument != 2:
            raise self._refused(f"the instruction {name}")

    def _get(self, place: int) -> None:
        if place not in self._memo:
            raise self._refused("a reference to nothing")
        self._stack.append(self._memo[place])

    def _append(self) -> None:
        items = self._group()
        target = self._top()
        if not isinstance(target, list):
            raise self._refused("items for something that is no list")
        target += items

    def _set(self, pairs: list[Any]) -> None:
        target = self._top()
        # A dictionary within itself cannot be built: only texts are keys, and values are never looked into again.
        if not isinstance(target, dict) or len(pairs) % 2:
            raise self._refused("items for something that is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str) or key in target:
                raise self._refused("a key that is no text or comes twice")
            target[key] = value

    def _refer(self) -> None:
        """Take what stands for a storage: ("storage", type, key, device, number of values, no view)."""
        reference = self._pop()
        if not isinstance(reference, tuple) or len(reference) != 6:
            raise self._refused("a reference that is no storage")
        kind, item_type, key, device, count, view = reference
        right = _is_text(kind) and kind == "storage" and _is_text(key) and _is_text(device) and view is None
        if not (right and isinstance(item_type, _Name) and item_type.text in ITEM_TYPES and _is_count(count)):
            raise self._refused("a storage of another kind")
        self._stack.append(Storage(key, item_type.text, count))

    def _reduce(self) -> None:
        """Take what would be a call: an empty dictionary or a tensor."""
        function, arguments = self._several(2)
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise self._refused("a call of something unknown")
        if function.text == _DICT and not arguments:
            self._stack.append({})
        elif function.text == _REBUILD and len(arguments) == 6:
            self._stack.append(self._view(arguments))
        else:
            raise self._refused("a call that makes no tensor and no empty dictionary")

    def _view(self, arguments: tuple[Any, ...]) -> TensorView:
        storage, offset, sizes, strides, gradient, hooks = arguments
        if not isinstance(storage, Storage) or not _is_count(offset) or gradient is not False or hooks != {}:
            raise self._refused("a tensor of another kind")
        if not (_are_counts(sizes) and _are_counts(strides)) or not len(sizes) == len(strides) <= MOST_DIMENSIONS:
            raise self._refused("a tensor without a sensible shape")
        view = TensorView(storage, offset, sizes, strides)
        last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        # The product too: a stride of 0 repeats one value as often as a size says.
        if not 0 < view.count <= storage.count or last >= storage.count:
            raise self._refused(f"a tensor of shape {sizes} in a storage of {storage.count} values")
        return view

    def _build(self) -> None:
        """Take attributes for a dictionary: the versions of the layers, which say nothing about the weights."""
        attributes = self._pop()
        if not isinstance(self._top(), dict) or not isinstance(attributes, dict) or set(attributes) != {"_metadata"}:
            raise self._refused("attributes of something unknown")

    def _group(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        values: list[Any] = []
        while self._stack:
            value = self._stack.pop()
            if isinstance(value, _Mark):
                return values[::-1]
            values.append(value)
        raise self._refused("a group without a beginning")

    def _several(self, count: int) -> tuple[Any, ...]:
        return tuple(self._pop() for _ in range(count))[::-1]

    def _pop(self) -> Any:
        value = self._top()
        self._stack.pop()
        return value

    def _top(self) -> Any:
        if not self._stack or isinstance(self._stack[-1], _Mark):
            raise self._refused("an instruction without its values")
        return self._stack[-1]

    def _refused(self, what: str) -> PackInvalid:
        return invalid(what, self._at)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_COUNT


def _are_counts(values: Any) -> bool:
    return isinstance(values, tuple) and all(_is_count(value) for value in values)


def invalid(what: str, at: int) -> PackInvalid:
    """Return the error that says what was found where."""
    return PackInvalid(
        f"the file of weights holds {what} at byte {at}",
        hint="it is damaged or of another kind; get it again from its origin",
    )
