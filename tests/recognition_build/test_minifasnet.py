"""The Keras models compute what the weights mean, as a plain NumPy reading of the same weights does."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recognition.build.liveness_pack import WEIGHTS
from recognition.build.minifasnet_network import keras_network
from recognition.build.torch_state import Tensor, read_state
from recognition.core.errors import PackInvalid
from tests.recognition_build.minifasnet_reference import Reference, small_state

pytestmark = pytest.mark.build


def crops(count: int) -> NDArray[np.float32]:
    """Return (count, 80, 80, 3) coarse random pictures: smooth enough that a network is not certain of them."""
    coarse = np.random.default_rng(3).integers(0, 256, (count, 10, 10, 3))
    return coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.float32)


def reference_of(state: dict[str, Tensor], pictures: NDArray[np.float32]) -> NDArray[np.float64]:
    reference = Reference({name.removeprefix("module."): values for name, values in state.items()})
    return np.stack([reference.probabilities(picture.transpose(2, 0, 1).astype(np.float64)) for picture in pictures])


@pytest.mark.parametrize("attention", [False, True])
def test_a_network_of_random_weights_agrees_with_plain_arithmetic(attention: bool) -> None:
    state = small_state(attention=attention)
    wanted = reference_of(state, crops(4))
    assert 0.01 < float(wanted.max(axis=1).min()) < 0.99  # certain answers would agree whatever is wrong
    found = np.asarray(keras_network(state)(crops(4), training=False))
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_the_published_networks_agree_with_plain_arithmetic(shared_folder: Path) -> None:
    for weights in WEIGHTS:
        state = read_state((shared_folder / "models" / weights.name).read_bytes())
        wanted = reference_of(state, crops(3))
        found = np.asarray(keras_network(state)(crops(3), training=False))
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_names_without_the_trainers_prefix_are_the_same_network() -> None:
    state = small_state(attention=True)
    bare = {name.removeprefix("module."): values for name, values in state.items()}
    one, other = (np.asarray(keras_network(names)(crops(1), training=False)) for names in (state, bare))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("module.conv_4.model.2.conv.bn.weight", None),
        ("module.prob.weight", np.zeros((4, 10), dtype=np.float32)),
        ("module.conv1.conv.weight", np.zeros((4, 4, 3, 3), dtype=np.float32)),
        ("module.conv_3.model.0.project.conv.weight", np.zeros((9, 3, 1, 1), dtype=np.float32)),
        ("module.conv1.bn.running_var", np.full(4, -1, dtype=np.float32)),
        ("module.conv1.conv.weight", np.zeros((4, 3, 3, 3), dtype=np.int64)),
        ("module.conv_6_dw.conv.weight", np.zeros((20, 1, 7, 7), dtype=np.float32)),
        ("module.conv_7.weight", np.zeros(3, dtype=np.float32)),
    ],
)
def test_a_state_of_another_network_is_refused(name: str, values: Tensor | None) -> None:
    state = small_state(attention=False)
    state.pop(name, None)
    if values is not None:
        state[name] = values
    with pytest.raises(PackInvalid, match="liveness network"):
        keras_network(state)
