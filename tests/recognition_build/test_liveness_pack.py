"""The liveness networks are compiled from exactly the published files, or the error says what to fetch."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from recognition.adapters.litert_models import LitertModel
from recognition.build import liveness_pack
from recognition.build.liveness_pack import WEIGHTS, LivenessWeights, build_liveness
from recognition.build.minifasnet_network import keras_network
from recognition.build.torch_state import read_state
from recognition.core.errors import PackAltered, PackInvalid, PackMissing
from tests.recognition_build.minifasnet_reference import small_state
from tests.recognition_build.published_liveness import compiled_once
from tests.recognition_build.torch_writer import content_of


def silent(_: str) -> None:
    """Take the progress lines nobody reads here."""


@pytest.fixture
def small_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two narrow random networks in place of the published ones; returns their folder."""
    pinned = []
    for index, published in enumerate(WEIGHTS):
        content = content_of(small_state(attention=index == 1, seed=index))
        (tmp_path / published.name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        pinned.append(LivenessWeights(published.name, digest, published.file, published.crop_scale))
    monkeypatch.setattr(liveness_pack, "WEIGHTS", tuple(pinned))  # the published files are not part of the project
    return tmp_path


def test_a_missing_file_is_named_with_origin_checksum_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PackMissing) as caught:
        build_liveness(tmp_path / "weights", tmp_path / "pack", silent)
    for part in (WEIGHTS[0].name, WEIGHTS[0].sha256, "github.com/minivision-ai", str(tmp_path / "weights"), "without"):
        assert part in str(caught.value)
    assert not (tmp_path / "pack").exists()


def test_another_file_of_that_name_is_refused_with_both_checksums(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS[0].name).write_bytes(b"\x80\x02cos\nsystem\n.")
    with pytest.raises(PackAltered) as caught:
        build_liveness(tmp_path, tmp_path / "pack", silent)
    assert WEIGHTS[0].sha256 in str(caught.value)
    assert hashlib.sha256(b"\x80\x02cos\nsystem\n.").hexdigest() in str(caught.value)


def test_a_folder_in_place_of_the_file_is_an_error_too(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS[0].name).mkdir()
    with pytest.raises(PackMissing, match="cannot be read"):
        build_liveness(tmp_path, tmp_path / "pack", silent)


def test_a_missing_second_file_is_found_before_the_first_one_is_compiled(small_weights: Path, tmp_path: Path) -> None:
    (small_weights / WEIGHTS[1].name).unlink()
    lines: list[str] = []
    with pytest.raises(PackMissing, match=WEIGHTS[1].name):
        build_liveness(small_weights, tmp_path / "pack", lines.append)
    assert lines == []


@pytest.mark.build
def test_both_networks_are_compiled_and_answer_as_their_reference(small_weights: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    built = build_liveness(small_weights, tmp_path / "pack", lines.append)
    assert [network.crop_scale for network in built.networks] == [2.7, 4.0]
    assert len(lines) == 2
    crops = np.random.default_rng(1).integers(0, 256, (5, 80, 80, 3)).astype(np.float32)
    for network, published in zip(built.networks, WEIGHTS, strict=True):
        assert (network.input_px, network.live_class) == (80, 1)
        assert 0.9999 < network.parity <= 1
        assert "Apache-2.0" in network.licence
        assert published.name in network.origin
        model = LitertModel(tmp_path / "pack" / network.file, threads=1, most_shapes=1)
        wanted = keras_network(read_state((small_weights / published.name).read_bytes()))(crops, training=False)
        np.testing.assert_allclose(model.run(crops)[0], np.asarray(wanted), atol=1e-4)


@pytest.mark.build
def test_a_network_that_disagrees_with_its_reference_is_refused_and_nothing_is_written(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness_pack, "LARGEST_DIFFERENCE", -1.0)  # no compiler is that good
    with pytest.raises(PackInvalid, match="differs from its reference"):
        build_liveness(small_weights, tmp_path / "pack", silent)
    assert not (tmp_path / "pack").exists()


@pytest.mark.build
def test_the_published_weights_compile_to_the_same_bytes_twice(
    shared_folder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The first time may have been in another process, with whatever else that had done before."""
    _, first = compiled_once(shared_folder, tmp_path_factory)
    build_liveness(shared_folder / "models", tmp_path / "second", silent)
    for weights in WEIGHTS:
        one, other = ((folder / weights.file).read_bytes() for folder in (first, tmp_path / "second"))
        assert one == other
        assert len(one) < 2e6
