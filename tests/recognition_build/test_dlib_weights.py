"""The reader of dlib's format understands exactly its network and refuses everything else in one way."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recognition.build.dlib_stream import DlibStream
from recognition.build.dlib_weights import RESNET_29, DlibNetwork, read_dlib_network
from recognition.build.pinned_inputs import DLIB_NETWORK, PinnedInput, read_input
from recognition.core.errors import PackAltered, PackInvalid
from tests.recognition_build.dlib_writer import MEANS, SMALL, DlibWriter, alias, integer, real, tensor

WRITER = DlibWriter()
CONTENT = WRITER.content()


def test_a_network_is_read_to_the_last_byte() -> None:
    network = read_dlib_network(CONTENT, SMALL)
    assert network.channel_means == MEANS
    assert [block.halves for block in network.blocks] == [False, True]
    assert network.stem.kernel.shape == (7, 7, 3, 2)
    assert network.blocks[1].first.kernel.shape == (3, 3, 2, 3)
    np.testing.assert_array_equal(network.projection, WRITER.projection.reshape(3, 4))


def test_each_affine_layer_is_folded_into_its_convolution() -> None:
    stem = read_dlib_network(CONTENT, SMALL).stem
    gamma, beta = WRITER.affines[0].reshape(2, 2)
    filters = WRITER.filters[0][: 2 * 3 * 49].reshape(2, 3, 7, 7)
    bias = WRITER.filters[0][2 * 3 * 49 :]
    for output in range(2):
        expected = filters[output].transpose(1, 2, 0) * gamma[output]
        assert float(np.abs(stem.kernel[..., output] - expected).max()) < 1e-6
    assert float(np.abs(stem.bias - (bias * gamma + beta)).max()) < 1e-6


@settings(max_examples=150)
@given(keep=st.integers(0, len(CONTENT) - 1))
def test_a_file_cut_short_anywhere_is_refused(keep: int) -> None:
    with pytest.raises(PackInvalid):
        read_dlib_network(CONTENT[:keep], SMALL)


def test_a_file_with_something_behind_its_end_is_refused() -> None:
    with pytest.raises(PackInvalid, match="1 bytes after the end"):
        read_dlib_network(CONTENT + b"\0", SMALL)


@settings(max_examples=300)
@given(at=st.integers(0, len(CONTENT) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_another_weight_or_a_refusal_and_nothing_else(at: int, bit: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[at] ^= 1 << bit
    try:
        network = read_dlib_network(bytes(damaged), SMALL)
    except PackInvalid:
        return
    assert all(np.isfinite(block.first.kernel).all() for block in network.blocks)


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(PackInvalid):
        read_dlib_network(content, SMALL)


def weights_of(network: DlibNetwork) -> list[NDArray[np.float32]]:
    convolutions = [network.stem, *(part for block in network.blocks for part in (block.first, block.second))]
    return [array for part in convolutions for array in (part.kernel, part.bias)] + [network.projection]


def outline_of(network: DlibNetwork) -> list[object]:
    """Everything about a network that is not a weight."""
    convolutions = [network.stem, *(part for block in network.blocks for part in (block.first, block.second))]
    strides = [(part.kernel.shape, part.bias.shape, part.stride, part.padding) for part in convolutions]
    return [network.size_px, [block.halves for block in network.blocks], strides, network.projection.shape]


OUTLINE = outline_of(read_dlib_network(CONTENT, SMALL))


def read_or_refuse(content: bytes) -> None:
    """Read it: nothing but PackInvalid may be raised, and what is read has the plan's form and finite weights."""
    try:
        network = read_dlib_network(content, SMALL)
    except PackInvalid:
        return
    assert outline_of(network) == OUTLINE
    assert np.allclose(network.channel_means, MEANS, atol=1e-3)
    assert all(np.isfinite(array).all() for array in weights_of(network))


@settings(max_examples=300)
@given(at=st.integers(0, len(CONTENT) - 1), value=st.integers(0, 255))
def test_a_byte_changed_anywhere_gives_the_same_form_or_a_refusal(at: int, value: int) -> None:
    read_or_refuse(CONTENT[:at] + bytes([value]) + CONTENT[at + 1 :])


@settings(max_examples=300)
@given(data=st.data(), size=st.integers(1, len(CONTENT) // 2))
def test_swapped_blocks_give_the_same_form_or_a_refusal(data: st.DataObject, size: int) -> None:
    """As on a disk whose blocks were mixed up."""
    first = data.draw(st.integers(0, len(CONTENT) - 2 * size))
    second = data.draw(st.integers(first + size, len(CONTENT) - size))
    blocks = (CONTENT[second : second + size], CONTENT[first + size : second], CONTENT[first : first + size])
    read_or_refuse(CONTENT[:first] + b"".join(blocks) + CONTENT[second + size :])


@settings(max_examples=200)
@given(at=st.integers(0, len(CONTENT)), count=st.integers(1, 50), more=st.binary(max_size=50))
def test_bytes_lost_or_added_anywhere_are_refused_or_change_no_form(at: int, count: int, more: bytes) -> None:
    read_or_refuse(CONTENT[:at] + more + CONTENT[at + count :])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(CONTENT) - 1), change=st.integers(1, 255), keep=st.none() | st.integers(0, len(CONTENT)))
def test_on_its_way_into_a_pack_a_changed_file_is_always_refused(
    tmp_path: Path, at: int, change: int, keep: int | None
) -> None:
    """A changed weight has no form of its own: only the pinned checksum knows it, and the build reads through it."""
    damaged = bytearray(CONTENT)
    damaged[at] ^= change
    folder = tmp_path / "fuzzed_models"
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    (folder / "network.dat").write_bytes(bytes(damaged[:keep]))
    pinned = PinnedInput(folder.name, "test 1", "network.dat", hashlib.sha256(CONTENT).hexdigest(), "MIT")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        with pytest.raises(PackAltered):
            read_input(pinned)


def test_another_mean_than_dlibs_is_refused() -> None:
    plan = replace(SMALL, channel_means=(122.0, 117.0, 105.0))
    with pytest.raises(PackInvalid, match="channel means"):
        read_dlib_network(CONTENT, plan)


def test_a_network_of_another_shape_is_refused() -> None:
    with pytest.raises(PackInvalid):
        read_dlib_network(CONTENT, RESNET_29)


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused_before_memory_is_asked_for() -> None:
    huge = integer(2) + integer(2**31) * 4
    with pytest.raises(PackInvalid, match="more than the file holds"):
        DlibStream(huge).tensor()


@pytest.mark.parametrize("value", [0, 1, -1, 255, 256, -70_000, 2**40, 2**63])
def test_integers_come_back(value: int) -> None:
    assert DlibStream(integer(value)).integer() == value


@pytest.mark.parametrize("value", [0.0, 1.0, 0.6, -122.78, 1e-12])
def test_floats_come_back(value: float) -> None:
    assert DlibStream(real(value)).real() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        integer(1) + integer(32000),  # infinity as dlib writes it
        integer(1) + integer(32002),  # not a number
        integer(2**63) + integer(2000),  # larger than any float
    ],
)
def test_floats_that_are_no_numbers_are_refused(content: bytes) -> None:
    with pytest.raises(PackInvalid):
        DlibStream(content).real()


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(PackInvalid, match="not finite"):
        DlibStream(tensor(np.array([1, np.nan], dtype=np.float32))).tensor()
    with pytest.raises(PackInvalid, match="shape"):
        DlibStream(alias(-1, 2, 3, 4)).alias()


@pytest.mark.build
def test_the_real_file_is_read_within_two_seconds() -> None:
    content = read_input(DLIB_NETWORK)
    started_s = time.perf_counter()
    network = read_dlib_network(content)
    assert time.perf_counter() - started_s < 2
    assert len(network.blocks) == 14
    assert network.projection.shape == (256, 128)
