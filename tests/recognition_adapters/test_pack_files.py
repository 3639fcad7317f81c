"""A pack is used whole and unchanged, or not at all."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from recognition.adapters.litert_models import LitertModel
from recognition.adapters.pack_files import (
    HIGHEST_FLOOR,
    LARGEST_MANIFEST_BYTES,
    EmbedderPart,
    embedder_pack_id,
    read_pack,
)
from recognition.core.calibration import operating_points
from recognition.core.errors import PackAltered, PackError, PackInvalid, PackMissing

MODEL = b"not really a model"


def embedder(**changes: Any) -> dict[str, Any]:
    return {
        "variants": {"f32": "embedder.tflite"},
        "dimensions": 128,
        "chip_px": 150,
        "weights_sha256": "ab" * 32,
        "views": [{"zoom": 1.0, "right_px": 0.0, "down_px": 0.0, "mirrored": False}],
        "metric": "cosine",
        "landmarks": {"mtcnn": [[1.0, 2.0]] * 5},
        **changes,
    }


def manifest(**changes: Any) -> dict[str, Any]:
    part = embedder(**changes.pop("embedder", {}))
    tail = {"tail_start": 0.9, "tail_share": 0.01, "tail_scale": 0.01, "tail_shape": -0.1, "margin": 0.01}
    checksum = hashlib.sha256(MODEL).hexdigest()
    content = {
        "format": 1,
        "pack_id": pack_id(part),
        "name": "test",
        "description": "",
        "files": {
            "embedder.tflite": {"sha256": checksum, "size_bytes": len(MODEL), "origin": "the test", "licence": "MIT"}
        },
        "detectors": {},
        "embedder": part,
        "statistics": {
            "strangers": [{"samples": 1, "comparisons": 100, **tail}],
            "same_person_floor": 0.8,
            "measured_on": "nothing",
        },
        "inputs": {},
        "parity": {},
    }
    return {**content, **changes}


def pack_id(part: dict[str, Any]) -> str:
    return embedder_pack_id("test", EmbedderPart.model_validate_json(json.dumps(part)))


def a_pack(folder: Path, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    (folder / "embedder.tflite").write_bytes(MODEL)
    return folder


def test_a_good_pack_is_read(tmp_path: Path) -> None:
    pack = read_pack(a_pack(tmp_path / "p", manifest()))
    assert pack.dimensions == 128
    assert pack.same_person_floor == 0.8
    assert pack.geometry("mtcnn").landmarks.shape == (5, 2)
    assert pack.pack_id.startswith("test-1-")


def test_a_pack_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(PackMissing, match=r"no model pack.*recognition\.build"):
        read_pack(tmp_path / "nowhere")


def test_a_missing_file_is_named_with_its_origin(tmp_path: Path) -> None:
    folder = a_pack(tmp_path / "p", manifest())
    (folder / "embedder.tflite").unlink()
    with pytest.raises(PackMissing, match=r"embedder\.tflite.*the test"):
        read_pack(folder)


@pytest.mark.parametrize("content", [b"not really a modem", b"short", MODEL + b"more", b""])
def test_a_changed_file_is_named_with_both_checksums(tmp_path: Path, content: bytes) -> None:
    folder = a_pack(tmp_path / "p", manifest())
    (folder / "embedder.tflite").write_bytes(content)
    with pytest.raises(PackAltered, match=hashlib.sha256(MODEL).hexdigest()):
        read_pack(folder)


@pytest.mark.parametrize("other", [b"not really a modem", b"another model"], ids=["of one size", "of two sizes"])
def test_two_good_files_that_changed_places_are_refused(tmp_path: Path, other: bytes) -> None:
    folder = a_pack(tmp_path / "p", with_file("live.tflite", other, liveness=LIVENESS))
    (folder / "live.tflite").write_bytes(other)
    assert read_pack(folder).dimensions == 128
    (folder / "embedder.tflite").write_bytes(other)
    (folder / "live.tflite").write_bytes(MODEL)
    with pytest.raises(PackAltered, match=rf"embedder\.tflite.*{hashlib.sha256(MODEL).hexdigest()}"):
        read_pack(folder)


BAD_MANIFESTS: dict[str, Any] = {
    "empty": "",
    "text": "no json",
    "list": "[]",
    "null": "null",
    "deep": "[" * 20_000,
    "newer": manifest(format=2),
    "more fields": manifest(unknown=1),
    "another id": manifest(pack_id="test-1-000000000000"),
    "no files": manifest(files={}),
    "path": manifest(files={"../x": {"sha256": "ab" * 32, "size_bytes": 1, "origin": "", "licence": ""}}),
    "unlisted": manifest(detectors={"mtcnn": {"place": "unlisted.tflite"}}),
    "nan": json.dumps(manifest()).replace("0.01", "NaN"),
    "no tail": json.dumps(manifest()).replace('"tail_scale": 0.01', '"tail_scale": 0.0'),
    "metric": json.dumps(manifest()).replace("cosine", "euclidean"),
    "text for a number": json.dumps(manifest()).replace("150", '"150"'),
    "four landmarks": manifest(embedder={"landmarks": {"mtcnn": [[1.0, 2.0]] * 4}}),
    "large": " " * LARGEST_MANIFEST_BYTES + "{}",
}


@pytest.mark.parametrize("kind", BAD_MANIFESTS)
def test_a_manifest_that_cannot_be_understood_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(PackInvalid, match=r"manifest\.json"):
        read_pack(a_pack(tmp_path / "p", BAD_MANIFESTS[kind]))


@pytest.mark.parametrize(
    "change",
    [
        {"dimensions": 64},
        {"chip_px": 160},
        {"views": [{"zoom": 1.0, "right_px": 0.0, "down_px": 0.0, "mirrored": True}]},
        {"weights_sha256": "cd" * 32},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_a_vector_decides_the_pack_id(change: dict[str, Any]) -> None:
    assert pack_id(embedder(**change)) != pack_id(embedder())


def test_another_precision_of_the_same_weights_keeps_templates_valid() -> None:
    assert pack_id(embedder(variants={"int8": "other.tflite"})) == pack_id(embedder())


def test_a_model_that_the_runtime_refuses_is_invalid(tmp_path: Path) -> None:
    folder = a_pack(tmp_path / "p", manifest())
    with pytest.raises(PackInvalid, match=r"embedder\.tflite"):
        LitertModel(folder / "embedder.tflite", threads=1, most_shapes=1)


def test_every_pack_error_can_be_caught_as_one() -> None:
    assert {PackMissing, PackAltered, PackInvalid} == set(PackError.__subclasses__())


LIVENESS = {"networks": [{"file": "live.tflite", "crop_scale": 2.7, "input_px": 80, "live_class": 1}]}


def with_file(name: str, content: bytes = b"another model", **changes: Any) -> dict[str, Any]:
    """A manifest that lists one file more."""
    outline = manifest(**changes)
    checksum = hashlib.sha256(content).hexdigest()
    outline["files"][name] = {"sha256": checksum, "size_bytes": len(content), "origin": "the test", "licence": "MIT"}
    return outline


def test_a_pack_without_liveness_has_no_networks(tmp_path: Path) -> None:
    assert read_pack(a_pack(tmp_path / "p", manifest())).liveness_networks() == ()


def test_liveness_networks_are_given_with_their_files(tmp_path: Path) -> None:
    folder = a_pack(tmp_path / "p", with_file("live.tflite", liveness=LIVENESS))
    (folder / "live.tflite").write_bytes(b"another model")
    ((path, network),) = read_pack(folder).liveness_networks()
    assert path == folder / "live.tflite"
    assert (network.crop_scale, network.input_px, network.live_class) == (2.7, 80, 1)


def test_liveness_changes_no_pack_id() -> None:
    """Templates stay valid when a school adds it."""
    assert with_file("live.tflite", liveness=LIVENESS)["pack_id"] == manifest()["pack_id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"liveness": LIVENESS},
        {"liveness": {"networks": []}},
        {"liveness": {"networks": LIVENESS["networks"] * 5}},
        {"liveness": {"networks": [{**LIVENESS["networks"][0], "file": "../x"}]}},
        {"reference": {"file": "unlisted.json", "made_by": "somebody"}},
        {"published": {"same_person_cosine": 2.0, "origin": ""}},
    ],
    ids=["unlisted network", "no network", "five networks", "path", "unlisted reference", "impossible cosine"],
)
def test_optional_parts_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(PackInvalid, match=r"manifest\.json"):
        read_pack(a_pack(tmp_path / "p", manifest(**changes)))


def test_a_pack_without_statistics_recognises_nobody(tmp_path: Path) -> None:
    """Nothing was measured: no score, not even of the enrolled picture itself, may mark anybody."""
    published = {"same_person_cosine": 0.6, "origin": "its makers"}
    pack = read_pack(a_pack(tmp_path / "p", manifest(statistics=None, published=published)))
    assert pack.statistics is None
    assert pack.same_person_floor == 0.6
    points = pack.operating_points(1, 0.01)
    assert all(points.for_samples(samples).margin == 2.0 for samples in (1, 5))
    assert read_pack(a_pack(tmp_path / "q", manifest(statistics=None))).same_person_floor == HIGHEST_FLOOR


def test_a_pack_with_statistics_gives_points_a_stranger_seldom_reaches(tmp_path: Path) -> None:
    pack = read_pack(a_pack(tmp_path / "p", manifest()))
    assert pack.statistics is not None
    assert pack.operating_points(100, 0.01) == operating_points(pack.statistics, 100, 0.01)


def test_a_program_that_opens_one_variant_need_not_check_the_others(tmp_path: Path) -> None:
    variants = {"f32": "embedder.tflite", "int8": "small.tflite"}
    folder = a_pack(tmp_path / "p", with_file("small.tflite", embedder={"variants": variants}))
    assert read_pack(folder, "f32").dimensions == 128
    for asked in ("int8", None, "f16"):
        with pytest.raises(PackMissing, match=r"small\.tflite"):
            read_pack(folder, asked)
