"""The demonstration's pictures: the same every time, and what they say is in them."""

import hashlib
from pathlib import Path

import cv2
import pytest

from deploy import clip as clip_module
from deploy.clip import FACES, SAMPLES, SCRIPTS, Scene, make_clip

LARGEST_SAMPLE_BYTES = 80_000


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Scene]]:
    folder = tmp_path_factory.mktemp("clip")
    return folder, make_clip(folder)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.jpg"))
    }


def test_the_same_portraits_give_the_same_pictures(clip: tuple[Path, list[Scene]], tmp_path: Path) -> None:
    (tmp_path / SCRIPTS[0].name).mkdir()
    (tmp_path / SCRIPTS[0].name / "999.jpg").write_bytes(b"left over from another version")
    clip_module._cut_out_once.cache_clear()  # or who is in the pictures would not be cut out a second time
    make_clip(tmp_path, scripts=SCRIPTS[:2])
    again = digests(tmp_path)
    first = digests(clip[0])
    assert again == {name: first[name] for name in first if name.startswith((SCRIPTS[0].name, SCRIPTS[1].name))}


def test_each_folder_is_one_scene_of_moving_pictures(clip: tuple[Path, list[Scene]]) -> None:
    folder, scenes = clip
    assert sorted(path.name for path in folder.iterdir()) == [scene.name for scene in scenes]
    for scene in scenes:
        assert 8 <= len(scene.frames) <= 14
        assert sorted((folder / scene.name).iterdir()) == list(scene.frames)
        assert len(set(digests(folder / scene.name).values())) == len(scene.frames)
        assert cv2.imread(str(scene.frames[0])).shape == (720, 1280, 3)  # type: ignore[union-attr]


def test_the_scenes_hold_nobody_one_a_stranger_and_all_together() -> None:
    people = [(script.expected, script.strangers) for script in SCRIPTS]
    assert people == [((), 0), (("obama",), 0), (("biden",), 0), ((), 1), (("biden", "obama"), 1)]
    assert all(len(script.actors) == len(script.expected) + script.strangers for script in SCRIPTS)


def test_every_sample_is_small_and_credited() -> None:
    credited = (SAMPLES / "CREDITS.md").read_text(encoding="utf-8")
    samples = sorted(SAMPLES.glob("*.jpg"))
    assert [sample.stem for sample in samples] == sorted(FACES)
    for sample in samples:
        assert f"`{sample.name}`" in credited
        assert sample.stat().st_size < LARGEST_SAMPLE_BYTES


def test_a_missing_portrait_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"astronaut\.jpg"):
        make_clip(tmp_path, tmp_path)
    (tmp_path / "astronaut.jpg").write_bytes(b"no picture")
    with pytest.raises(FileNotFoundError, match=r"astronaut\.jpg is not there or is no picture"):
        make_clip(tmp_path, tmp_path)
