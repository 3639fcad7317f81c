"""Writes the dlib format, so that the reader can be tried on small networks and on networks that are wrong."""

import numpy as np
from numpy.typing import NDArray

from recognition.build.dlib_weights import BlockPlan, NetworkPlan

MEANS = (122.0, 117.0, 104.0)

SMALL = NetworkPlan(
    size_px=150,
    stem_channels=2,
    blocks=(BlockPlan(2, halves=False), BlockPlan(3, halves=True)),
    dimensions=4,
    channel_means=MEANS,
)
"""A network of a few hundred weights with one block of each kind."""


def integer(value: int) -> bytes:
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def real(value: float) -> bytes:
    mantissa, exponent = np.frexp(value)
    return integer(int(mantissa * 2**24)) + integer(int(exponent) - 24)


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def shape(*sizes: int) -> bytes:
    return b"".join(integer(size) for size in sizes)


def tensor(values: NDArray[np.float32]) -> bytes:
    sizes = (*values.shape, 1, 1, 1, 1)[:4] if values.size else (0, 0, 0, 0)
    return integer(2) + shape(*sizes) + values.astype("<f4").tobytes()


def alias(*sizes: int) -> bytes:
    return integer(1) + shape(*sizes)


TRAILER = b"110" + tensor(np.zeros(0, np.float32)) * 3
RATES = real(1.0) * 3 + real(0.0)


class DlibWriter:
    """Writes a network of random weights; `stem`, `affine` and `projection` keep what a test compares with."""

    def __init__(self, plan: NetworkPlan = SMALL, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._plan = plan
        self.affines: list[NDArray[np.float32]] = []
        self.filters: list[NDArray[np.float32]] = []
        self.projection: NDArray[np.float32] = np.zeros((0, 0, 1, 1), np.float32)

    def content(self) -> bytes:
        plan = self._plan
        body = self._convolution(3, plan.stem_channels, (7, 2, 0), innermost=True)
        body += _named("relu_") + _named("max_pool_2", 3, 3, 2, 2, 0, 0)
        channels, versions = plan.stem_channels, [2, 2, 2, 3]
        for block in plan.blocks:
            body += self._convolution(channels, block.channels, (3, 2, 0) if block.halves else (3, 1, 1))
            body += _named("relu_") + self._convolution(block.channels, block.channels, (3, 1, 1))
            body += _named("avg_pool_2", 2, 2, 2, 2, 0, 0) if block.halves else b""
            body += _named("add_prev_") + _named("relu_")
            versions = [2, 2, *([2, 1, 1] if block.halves else []), 2, 2, 2, 2, 2, 1, *versions]
            channels = block.channels
        body += _named("avg_pool_2", 0, 0, 1, 1, 0, 0) + self._connected(channels, plan.dimensions)
        head = integer(1) + text("loss_metric_2") + real(0.04) + real(0.6)
        head += b"".join(integer(version) for version in [2, 2, *versions])
        head += text("input_rgb_image_sized") + b"".join(map(real, MEANS)) + shape(plan.size_px, plan.size_px)
        return head + body

    def _convolution(self, before: int, after: int, kind: tuple[int, int, int], *, innermost: bool = False) -> bytes:
        size, stride, padding = kind
        filters = self._values(after * before * size * size)
        bias, affine = self._values(after), self._values(2 * after)
        self.filters.append(np.concatenate([filters, bias]))
        self.affines.append(affine)
        layer = text("con_4") + tensor(self.filters[-1])
        layer += shape(after, size, size, stride, stride, padding, padding)
        layer += alias(after, before, size, size) + alias(1, after, 1, 1) + RATES + TRAILER
        layer += integer(1) if innermost else b""
        return layer + text("affine_") + tensor(affine) + alias(1, after, 1, 1) * 2 + integer(0) + TRAILER

    def _connected(self, before: int, after: int) -> bytes:
        self.projection = self._values(before * after).reshape(before, after, 1, 1)
        layer = text("fc_2") + shape(after, before) + tensor(self.projection)
        return layer + alias(before, after, 1, 1) + alias(0, 0, 0, 0) + integer(1) + RATES + TRAILER

    def _values(self, count: int) -> NDArray[np.float32]:
        return self._random.normal(size=count).astype(np.float32)


def _named(name: str, *numbers: int) -> bytes:
    return text(name) + shape(*numbers) + TRAILER
