"""Writes PyTorch's old file format by hand, so that the reader can be tried on small files and on files that lie."""

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

PROTO = b"\x80\x02"
MAGIC = PROTO + b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
VERSION = PROTO + b"M\xe9\x03."
STORAGE_TYPES = {"float32": b"FloatStorage", "int64": b"LongStorage"}


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(number(value) for value in values) + b"t"


MACHINE = PROTO + b"}(" + text("protocol_version") + number(1001) + text("little_endian") + b"\x88u."
EMPTY_DICTIONARY = b"ccollections\nOrderedDict\n)R"


def storage(key: str, kind: bytes, count: int) -> bytes:
    reference = text("storage") + b"ctorch\n" + kind + b"\n" + text(key) + text("cpu") + number(count) + b"N"
    return b"(" + reference + b"tQ"


def tensor(stored: bytes, sizes: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    arguments = stored + number(offset) + numbers(sizes) + numbers(strides) + b"\x89" + EMPTY_DICTIONARY
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def state_pickle(items: Mapping[str, bytes]) -> bytes:
    versions = b"}" + text("_metadata") + b"}sb"
    pairs = b"".join(text(name) + value for name, value in items.items())
    return PROTO + EMPTY_DICTIONARY + b"(" + pairs + b"u" + versions + b"."


def key_list(keys: list[str]) -> bytes:
    return PROTO + b"](" + b"".join(map(text, keys)) + b"e."


def row(values: NDArray[np.generic]) -> bytes:
    return struct.pack("<q", values.size) + values.tobytes()


def content_of(state: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return the file that holds `state`, one storage for each tensor."""
    items, rows = {}, b""
    for index, (name, values) in enumerate(state.items()):
        strides = tuple(stride // values.itemsize for stride in values.strides)
        stored = storage(str(index), STORAGE_TYPES[values.dtype.name], values.size)
        items[name] = tensor(stored, values.shape, strides)
        rows += row(values)
    return file_of(state_pickle(items), key_list([str(index) for index in range(len(state))]), rows)


def file_of(state: bytes, keys: bytes, rows: bytes) -> bytes:
    return MAGIC + VERSION + MACHINE + state + keys + rows
