"""Reads dlib's face recognition network from its own file format, without dlib.

The file names every layer and its shape, so the reader knows at each byte what must come next: a file that holds
another network, or a damaged one, is refused, never half understood. Layout of the file:

    version 1, loss ("loss_metric_2", margin, distance), one version per layer from output to input,
    input ("input_rgb_image_sized", three channel means, 150, 150), then the layers from input to output.
    A layer: its details by name, three booleans, three cached tensors that are empty in a cleaned network.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.build.dlib_stream import DlibStream, Shape


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """One residual block: how many channels it has and whether it halves the picture."""

    channels: int
    halves: bool


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The network a file must hold."""

    size_px: int
    stem_channels: int
    blocks: tuple[BlockPlan, ...]
    dimensions: int
    channel_means: tuple[float, float, float] = (122.782, 117.001, 104.298)
    """Red, green, blue: dlib subtracts the same from every picture, so another number here is a damaged one."""


RESNET_29 = NetworkPlan(
    size_px=150,
    stem_channels=32,
    blocks=(
        *(BlockPlan(32, halves=False),) * 3,
        *(BlockPlan(64, halves=True), *(BlockPlan(64, halves=False),) * 3),
        *(BlockPlan(128, halves=True), *(BlockPlan(128, halves=False),) * 2),
        *(BlockPlan(256, halves=True), *(BlockPlan(256, halves=False),) * 2),
        BlockPlan(256, halves=True),
    ),
    dimensions=128,
)
"""dlib_face_recognition_resnet_model_v1: 29 layers with weights, 5.6 million parameters."""


_MEANS_TOLERANCE = 1e-3
"""The file holds them as float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution with the affine layer after it folded in.

    `kernel` (rows, columns, channels in, channels out) float32, `bias` (channels out,) float32.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int
    padding: int


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A residual block: two convolutions beside a shortcut."""

    first: Convolution
    second: Convolution
    halves: bool


@dataclass(frozen=True, slots=True, eq=False)
class DlibNetwork:
    """Everything the file says. `channel_means` are red, green, blue; `projection` is (channels, dimensions)."""

    size_px: int
    channel_means: tuple[float, float, float]
    stem: Convolution
    blocks: tuple[Block, ...]
    projection: NDArray[np.float32]


def read_dlib_network(content: bytes, plan: NetworkPlan = RESNET_29) -> DlibNetwork:
    """Read the whole `content` of a file that must hold the network of `plan`.

    Raises PackInvalid, and nothing else, for anything that is not exactly such a file.
    """
    stream = DlibStream(content)
    stream.expect(1)
    stream.text("loss_metric_2")
    stream.real()
    stream.real()
    stream.expect(*_layer_versions(plan))
    stream.text("input_rgb_image_sized")
    channel_means = (stream.real(), stream.real(), stream.real())
    if not np.allclose(channel_means, plan.channel_means, rtol=0, atol=_MEANS_TOLERANCE):
        raise stream.invalid(f"channel means {channel_means}")
    stream.expect(plan.size_px, plan.size_px)
    stem = _read_stem(stream, plan.stem_channels)
    blocks = _read_blocks(stream, plan)
    projection = _read_projection(stream, plan.blocks[-1].channels, plan.dimensions)
    stream.end()
    return DlibNetwork(plan.size_px, channel_means, stem, blocks, projection)


def _layer_versions(plan: NetworkPlan) -> list[int]:
    """Return the version of every layer from output to input: tags and skips 1, the innermost 3, all others 2."""
    versions = [2, 2]  # fully connected, global average
    for block in reversed(plan.blocks):
        shortcut = [2, 1, 1] if block.halves else []  # average pool, skip, tag
        versions += [2, 2, *shortcut, *[2] * 5, 1]  # relu, add; affine, con, relu, affine, con; tag
    return [*versions, 2, 2, 2, 3]  # max pool, relu, affine, con


def _read_stem(stream: DlibStream, channels: int) -> Convolution:
    stem = _read_convolution(stream, _ConvolutionShape(3, channels, size=7, stride=2, padding=0), innermost=True)
    _read_relu(stream)
    stream.text("max_pool_2")
    stream.expect(3, 3, 2, 2, 0, 0)
    _read_trailer(stream)
    return stem


def _read_blocks(stream: DlibStream, plan: NetworkPlan) -> tuple[Block, ...]:
    blocks = []
    channels = plan.stem_channels
    for block in plan.blocks:
        stride, padding = (2, 0) if block.halves else (1, 1)
        first = _read_convolution(stream, _ConvolutionShape(channels, block.channels, 3, stride, padding))
        _read_relu(stream)
        second = _read_convolution(stream, _ConvolutionShape(block.channels, block.channels, 3, stride=1, padding=1))
        if block.halves:
            stream.text("avg_pool_2")
            stream.expect(2, 2, 2, 2, 0, 0)
            _read_trailer(stream)
        stream.text("add_prev_")
        _read_trailer(stream)
        _read_relu(stream)
        blocks.append(Block(first, second, block.halves))
        channels = block.channels
    return tuple(blocks)


@dataclass(frozen=True, slots=True)
class _ConvolutionShape:
    channels_in: int
    channels_out: int
    size: int
    stride: int
    padding: int


def _read_convolution(stream: DlibStream, shape: _ConvolutionShape, *, innermost: bool = False) -> Convolution:
    """Read a convolution and the affine layer behind it."""
    out = shape.channels_out
    stream.text("con_4")
    values = stream.tensor().ravel()
    stream.expect(out, *(shape.size,) * 2, *(shape.stride,) * 2, *(shape.padding,) * 2)
    filters_shape: Shape = (out, shape.channels_in, shape.size, shape.size)
    stream.alias(filters_shape)
    stream.alias((1, out, 1, 1))
    _read_learning_rates(stream)
    _read_trailer(stream)
    if innermost:
        stream.expect(1)  # how many samples a picture expands to
    filters_count = out * shape.channels_in * shape.size**2
    if len(values) != filters_count + out:
        raise stream.invalid(f"a convolution of {len(values)} values")
    gamma, beta = _read_affine(stream, out)
    kernel = values[:filters_count].reshape(filters_shape).transpose(2, 3, 1, 0)
    folded: NDArray[np.float32] = np.ascontiguousarray(kernel * gamma)
    bias: NDArray[np.float32] = values[filters_count:] * gamma + beta
    if not (np.isfinite(folded).all() and np.isfinite(bias).all()):
        raise stream.invalid("a convolution whose values overflow")
    return Convolution(folded, bias, shape.stride, shape.padding)


def _read_affine(stream: DlibStream, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    stream.text("affine_")
    values = stream.tensor().ravel()
    stream.alias((1, channels, 1, 1))
    stream.alias((1, channels, 1, 1))
    stream.expect(0)  # the mode: per channel
    _read_trailer(stream)
    if len(values) != 2 * channels:
        raise stream.invalid(f"an affine layer of {len(values)} values")
    return values[:channels], values[channels:]


def _read_projection(stream: DlibStream, channels: int, dimensions: int) -> NDArray[np.float32]:
    stream.text("avg_pool_2")
    stream.expect(0, 0, 1, 1, 0, 0)  # size 0: over the whole picture
    _read_trailer(stream)
    stream.text("fc_2")
    stream.expect(dimensions, channels)
    values = stream.tensor()
    if values.shape != (channels, dimensions, 1, 1):
        raise stream.invalid(f"a projection of shape {values.shape}")
    stream.alias((channels, dimensions, 1, 1))
    stream.alias((0, 0, 0, 0))
    stream.expect(1)  # without bias
    _read_learning_rates(stream)
    _read_trailer(stream)
    return values.reshape(channels, dimensions)


def _read_relu(stream: DlibStream) -> None:
    stream.text("relu_")
    _read_trailer(stream)


def _read_learning_rates(stream: DlibStream) -> None:
    for _ in range(4):
        stream.real()


def _read_trailer(stream: DlibStream) -> None:
    """Read what follows every layer: three booleans and three tensors that a cleaned network leaves empty."""
    stream.flags(3)
    for _ in range(3):
        if stream.tensor().size:
            raise stream.invalid("a network that was not cleaned after training")
