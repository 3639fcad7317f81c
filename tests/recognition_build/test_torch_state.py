"""The reader of PyTorch's old files follows what a dictionary of tensors needs and refuses all else in one way."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recognition.build import torch_pickle
from recognition.build.liveness_pack import WEIGHTS
from recognition.build.torch_state import MAGIC, Tensor, read_state
from recognition.core.errors import PackInvalid
from tests.recognition_build import torch_writer as writer
from tests.recognition_build.torch_writer import content_of, file_of, key_list, row, state_pickle, storage, tensor

STATE: dict[str, NDArray[np.generic]] = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(4, 3, 2, 1),
    "bn.bias": np.array([0.5, -0.25], dtype=np.float32),
    "bn.num_batches_tracked": np.array(7, dtype=np.int64),
}
CONTENT = content_of(STATE)
VALUES_FROM = len(CONTENT) - sum(8 + values.nbytes for values in STATE.values())
ROW = np.arange(6, dtype=np.float32)


def one_tensor(described: bytes, values: NDArray[np.generic] = ROW) -> bytes:
    return file_of(state_pickle({"w": described}), key_list(["0"]), row(values))


def in_place_of_the_state(instructions: bytes) -> bytes:
    return file_of(writer.PROTO + instructions + b".", key_list([]), b"")


def assert_same(found: dict[str, Tensor], wanted: dict[str, NDArray[np.generic]]) -> None:
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype
        assert found[name].shape == values.shape
        np.testing.assert_array_equal(found[name], values)


def test_a_state_is_read_with_names_shapes_and_values() -> None:
    assert int.from_bytes(writer.MAGIC[4:14], "little") == MAGIC
    assert_same(read_state(CONTENT), STATE)


def test_offset_and_strides_choose_the_values() -> None:
    stored = storage("0", b"FloatStorage", 6)
    found = read_state(one_tensor(tensor(stored, (2, 2), (1, 2), offset=2)))["w"]
    np.testing.assert_array_equal(found, [[2, 4], [3, 5]])
    assert found.flags["OWNDATA"]


def test_two_tensors_may_share_a_storage() -> None:
    stored = storage("0", b"FloatStorage", 6)
    items = {"a": tensor(stored, (3,), (1,)), "b": tensor(stored, (3,), (1,), offset=3)}
    found = read_state(file_of(state_pickle(items), key_list(["0"]), row(ROW)))
    np.testing.assert_array_equal(np.concatenate([found["a"], found["b"]]), ROW)


@pytest.mark.parametrize(
    ("sizes", "strides", "offset"),
    [
        ((7,), (1,), 0),  # one value more than there are
        ((6,), (1,), 1),  # the last one behind the end
        ((2, 3), (4, 1), 0),
        ((1000, 1000), (0, 0), 0),  # one value, a million times
        ((2**31 - 1, 2**31 - 1), (1, 1), 0),
        ((-2,), (1,), 0),
        ((2,), (-1,), 1),
        ((2,), (1, 1), 0),
        ((0,), (1,), 0),
        ((1,) * 5, (1,) * 5, 0),
        ((2,), (1,), -1),
    ],
)
def test_a_shape_that_its_storage_does_not_hold_is_refused(
    sizes: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    with pytest.raises(PackInvalid, match="at byte"):
        read_state(one_tensor(tensor(storage("0", b"FloatStorage", 6), sizes, strides, offset)))


def test_many_tensors_over_one_storage_do_not_multiply_its_memory() -> None:
    values = np.zeros(100_000, dtype=np.float32)
    whole = tensor(storage("0", b"FloatStorage", values.size), (values.size,), (1,))
    content = file_of(state_pickle({f"w{index}": whole for index in range(300)}), key_list(["0"]), row(values))
    tracemalloc.start()
    with pytest.raises(PackInvalid, match="more values than their storages"):
        read_state(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(tmp_path: Path) -> None:
    """Loaded as PyTorch loads it, this file would run the shell."""
    witness = tmp_path / "it_ran"
    command = writer.text(f"touch {witness}")
    for call in (
        b"cos\nsystem\n(" + command + b"tR",
        b"cposix\nsystem\n" + command + b"\x85R",
        b"(" + command + b"ios\nsystem\n",  # INST
        b"(cos\nsystem\n" + command + b"o",  # OBJ
        b"cbuiltins\neval\n(" + command + b"tR",
        writer.text("os") + writer.text("system") + b"\x93" + command + b"\x85R",  # STACK_GLOBAL
        b"cos\nsystem\n" + command + b"\x85\x81",  # NEWOBJ
        b"\x82\x01",  # EXT1
    ):
        for content in (in_place_of_the_state(call), writer.PROTO + call + b".", writer.MAGIC + call + b"."):
            with pytest.raises(PackInvalid, match="at byte"):
                read_state(content)
    assert not witness.exists()


@pytest.mark.parametrize(
    "instructions",
    [
        b"",
        b"R",
        b"t",
        b"(",
        b"0",
        b"h\x05",
        b"}Q",
        b"}(" + writer.text("a") + b"u",
        b"}(" + writer.number(1) + writer.number(2) + b"u",
        b"}(" + writer.text("a") + b"N" + writer.text("a") + b"Nu",
        b"](Ne",
        b")(Ne",
        b"}}b",
        b"ccollections\nOrderedDict\n" + writer.number(1) + b"\x85R",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"}q\x00" + writer.text("a") + b"h\x00s",  # a dictionary within itself
        b"S'\\d'\n",
        b"}}",
    ],
)
def test_instructions_that_make_no_dictionary_of_tensors_are_refused(instructions: bytes) -> None:
    with pytest.raises(PackInvalid, match="at byte"):
        read_state(in_place_of_the_state(instructions))


@pytest.mark.parametrize(
    "described",
    [
        tensor(storage("0", b"DoubleStorage", 6), (6,), (1,)),
        tensor(storage("0", b"LongStorage", 6), (6,), (1,)),
        tensor(storage("0", b"FloatStorage", 5), (5,), (1,)),
        tensor(storage("0", b"FloatStorage", -1), (6,), (1,)),
        tensor(storage("1", b"FloatStorage", 6), (6,), (1,)),
        tensor(b"N", (6,), (1,)),
        storage("0", b"FloatStorage", 6),
    ],
)
def test_a_storage_that_is_not_as_described_is_refused(described: bytes) -> None:
    with pytest.raises(PackInvalid, match="at byte"):
        read_state(one_tensor(described))


def test_storages_that_two_tensors_describe_differently_are_refused() -> None:
    items = {
        "a": tensor(storage("0", b"FloatStorage", 6), (6,), (1,)),
        "b": tensor(storage("0", b"FloatStorage", 5), (5,), (1,)),
    }
    with pytest.raises(PackInvalid, match="described in two ways"):
        read_state(file_of(state_pickle(items), key_list(["0"]), row(ROW)))


def test_a_storage_list_with_a_key_too_many_is_refused() -> None:
    described = tensor(storage("0", b"FloatStorage", 6), (6,), (1,))
    for keys in ([], ["0", "0"], ["0", "1"]):
        with pytest.raises(PackInvalid, match="list of storages"):
            read_state(file_of(state_pickle({"w": described}), key_list(keys), row(ROW) * len(keys)))


def test_swapped_storages_are_refused() -> None:
    order = state_pickle(
        {
            "a": tensor(storage("0", b"FloatStorage", 6), (6,), (1,)),
            "b": tensor(storage("1", b"FloatStorage", 2), (2,), (1,)),
        }
    )
    two = np.ones(2, dtype=np.float32)
    assert list(read_state(file_of(order, key_list(["1", "0"]), row(two) + row(ROW)))) == ["a", "b"]
    with pytest.raises(PackInvalid, match="a storage of 6 values where 2 are expected"):
        read_state(file_of(order, key_list(["1", "0"]), row(ROW) + row(two)))


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(PackInvalid, match="not finite"):
        read_state(content_of({"w": np.array([1, np.nan], dtype=np.float32)}))


def test_a_file_of_a_big_endian_machine_is_refused() -> None:
    with pytest.raises(PackInvalid, match="the other way round"):
        read_state(CONTENT.replace(b"little_endian\x88", b"little_endian\x89"))


def test_endless_instructions_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_pickle, "MOST_INSTRUCTIONS", 1000)  # half a million would take a while
    with pytest.raises(PackInvalid, match="more than 1000 instructions"):
        read_state(in_place_of_the_state(b"N" * 2000))


@settings(max_examples=150)
@given(keep=st.integers(0, len(CONTENT) - 1))
def test_a_file_cut_short_anywhere_is_refused(keep: int) -> None:
    with pytest.raises(PackInvalid):
        read_state(CONTENT[:keep])


def test_a_file_with_something_behind_its_end_is_refused() -> None:
    with pytest.raises(PackInvalid, match="bytes of values where"):
        read_state(CONTENT + b"\0")


@settings(max_examples=500)
@given(at=st.integers(0, VALUES_FROM - 1), value=st.integers(0, 255))
def test_an_altered_byte_before_the_values_never_gives_other_values(at: int, value: int) -> None:
    """A name may read differently, or an unused word; which values there are may not."""
    damaged = bytearray(CONTENT)
    damaged[at] = value
    try:
        found = read_state(bytes(damaged))
    except PackInvalid:
        return
    flat = [sorted(tensor.ravel().tolist()) for tensor in found.values()]
    # An altered size may leave values out, and altered strides may reorder or repeat them; none comes from elsewhere.
    for values, wanted in zip(flat, STATE.values(), strict=True):
        assert set(values) <= set(wanted.ravel().tolist())


@settings(max_examples=100)
@given(at=st.integers(VALUES_FROM, len(CONTENT) - 1), bit=st.integers(0, 7))
def test_an_altered_value_gives_another_weight_or_a_refusal_and_nothing_else(at: int, bit: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[at] ^= 1 << bit
    try:
        found = read_state(bytes(damaged))
    except PackInvalid:
        return
    assert [(name, values.shape, values.dtype) for name, values in found.items()] == [
        (name, values.shape, values.dtype) for name, values in STATE.items()
    ]
    assert all(np.isfinite(values).all() for values in found.values())
    assert sum(int((found[name] != values).sum()) for name, values in STATE.items()) == 1


@settings(max_examples=200)
@given(first=st.integers(0, len(CONTENT)), second=st.integers(0, len(CONTENT)), length=st.integers(1, 60))
def test_pieces_that_changed_places_are_refused_or_change_nothing_but_order(
    first: int, second: int, length: int
) -> None:
    low, high = sorted((first, second))
    if low + length > high or high + length > len(CONTENT):
        return
    one, other = CONTENT[low : low + length], CONTENT[high : high + length]
    swapped = CONTENT[:low] + other + CONTENT[low + length : high] + one + CONTENT[high + length :]
    try:
        found = read_state(swapped)
    except PackInvalid:
        return
    assert all(np.isfinite(values).all() for values in found.values())
    assert sum(values.size for values in found.values()) <= sum(values.size for values in STATE.values())


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(PackInvalid):
        read_state(content)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([bytes([code]) for code in range(256)] + [b"q\x00", b"h\x00"]), max_size=40))
def test_random_instructions_are_refused(instructions: list[bytes]) -> None:
    with pytest.raises(PackInvalid):
        read_state(in_place_of_the_state(b"".join(instructions)))


def test_the_published_files_are_read(shared_folder: Path) -> None:
    for weights, tensors in zip(WEIGHTS, (334, 370), strict=True):
        state = read_state((shared_folder / "models" / weights.name).read_bytes())
        assert len(state) == tensors
        assert state["module.conv1.conv.weight"].shape == (32, 3, 3, 3)
        assert state["module.prob.weight"].shape == (3, 128)
        # A trained batch norm's variances: a row read from the wrong place would not be positive throughout.
        assert all((values > 0).all() for name, values in state.items() if name.endswith("running_var"))


@settings(max_examples=25)
@given(data=st.data())
def test_a_published_file_cut_or_altered_is_refused_or_read_whole(data: st.DataObject, shared_folder: Path) -> None:
    content = (shared_folder / "models" / WEIGHTS[0].name).read_bytes()
    with pytest.raises(PackInvalid):
        read_state(content[: data.draw(st.integers(0, len(content) - 1))])
    damaged = bytearray(content)
    damaged[data.draw(st.integers(0, 66_668))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        state = read_state(bytes(damaged))
    except PackInvalid:
        return
    assert len(state) == 334
