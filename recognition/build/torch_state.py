"""Reads the weights in a file that PyTorch saved before version 1.6, without running what such a file says.

The file is five pickles (a magic number, a protocol number, the machine's sizes, the object, the list of storage keys)
and behind them, in the order of that list, each storage as a count of values and the values themselves.
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.build.torch_pickle import ITEM_TYPES, PickleReader, Storage, TensorView, invalid

Tensor = NDArray[np.float32] | NDArray[np.int64]

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
LARGEST_FILE_BYTES = 64 * 1024 * 1024


def read_state(content: bytes) -> dict[str, Tensor]:
    """Return the tensors of a saved state dictionary by name, in its order; copies, every value finite.

    Raises PackInvalid, with the offset, for anything but a whole file of that kind. No size is believed before it was
    compared with the file, and the tensors together never hold more values than the file does.
    """
    if len(content) > LARGEST_FILE_BYTES:
        raise invalid(f"{len(content)} bytes, more than any such file has", 0)
    stream = BytesIO(content)
    _expect(stream, MAGIC, "magic number")
    _expect(stream, PROTOCOL, "protocol number")
    _check_machine(stream)
    state, at = PickleReader(stream).value()
    keys, _ = PickleReader(stream).value()
    views = _views(state, at)
    values = _read_storages(content, stream.tell(), _storage_list(keys, views, stream.tell()))
    return {name: _tensor(view, values[view.storage.key]) for name, view in views.items()}


def _expect(stream: BytesIO, wanted: int, what: str) -> None:
    found, at = PickleReader(stream).value()
    if type(found) is not int or found != wanted:
        raise invalid(f"another {what}", at)


def _check_machine(stream: BytesIO) -> None:
    machine, at = PickleReader(stream).value()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise invalid("values of a machine that writes them the other way round", at)


def _views(state: Any, at: int) -> dict[str, TensorView]:
    """Return the tensors of the object, if it is a dictionary of tensors and they fit into the file."""
    if not isinstance(state, dict) or not all(isinstance(view, TensorView) for view in state.values()):
        raise invalid("something that is no dictionary of tensors", at)
    return state


def _storage_list(keys: Any, views: dict[str, TensorView], at: int) -> list[Storage]:
    """Return the storages in the file's order: those that the tensors name, each once."""
    named: dict[str, Storage] = {}
    for view in views.values():
        if named.setdefault(view.storage.key, view.storage) != view.storage:
            raise invalid("a storage described in two ways", at)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(named):
        raise invalid("a list of storages that does not fit its tensors", at)
    # Many tensors over one storage would ask for more memory than the file is large.
    if sum(view.count for view in views.values()) > sum(storage.count for storage in named.values()):
        raise invalid("tensors with more values than their storages", at)
    return [named[key] for key in keys]


def _read_storages(content: bytes, at: int, storages: list[Storage]) -> dict[str, Tensor]:
    """Return the values of each storage by its key; together they are the rest of the file, to the byte."""
    wanted = sum(8 + storage.count * ITEM_TYPES[storage.item_type].itemsize for storage in storages)
    if wanted != len(content) - at:
        raise invalid(f"{len(content) - at} bytes of values where {wanted} are expected", at)
    values: dict[str, Tensor] = {}
    for storage in storages:
        count = int.from_bytes(content[at : at + 8], "little")
        if count != storage.count:
            raise invalid(f"a storage of {count} values where {storage.count} are expected", at)
        item_type = ITEM_TYPES[storage.item_type]
        row = np.frombuffer(content, dtype=item_type, count=count, offset=at + 8)
        if not np.isfinite(row).all():
            raise invalid("a storage with values that are not finite", at)
        values[storage.key] = row
        at += 8 + count * item_type.itemsize
    return values


def _tensor(view: TensorView, values: Tensor) -> Tensor:
    # Within the storage: its reader compared the last value of the shape with the number of values.
    strides = tuple(stride * values.itemsize for stride in view.strides)
    placed = np.lib.stride_tricks.as_strided(values[view.offset :], view.sizes, strides, writeable=False)
    copied: Tensor = np.array(placed, dtype=placed.dtype.newbyteorder("="), order="C")
    return copied
