"""What was computed survives a stop, is unreadable without its key, and is computed again when it is damaged."""

from pathlib import Path

import numpy as np
import pytest

from recognition.evaluation.dataset import EvaluationRefused
from recognition.evaluation.resume import FOLDER, KEY_FILE, NoMemory, SealedMemory

VECTOR = np.linspace(-1, 1, 128, dtype=np.float32)


def entries(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).iterdir())


def remembered(folder: Path) -> SealedMemory:
    memory = SealedMemory(folder)
    memory.put({"vector": VECTOR, "problem": np.array("no_face")}, "picture", "abc")
    return memory


def test_another_run_finds_what_the_first_one_kept(tmp_path: Path) -> None:
    remembered(tmp_path)
    found = SealedMemory(tmp_path).get("picture", "abc")
    assert found is not None
    assert (found["vector"] == VECTOR).all()
    assert str(found["problem"]) == "no_face"


def test_other_words_find_nothing(tmp_path: Path) -> None:
    memory = remembered(tmp_path)
    assert memory.get("picture", "abd") is None
    assert memory.get("picturea", "bc") is None
    assert NoMemory().get("picture", "abc") is None


def test_vectors_are_not_readable_on_disk_and_files_are_the_owners(tmp_path: Path) -> None:
    remembered(tmp_path)
    (entry,) = entries(tmp_path)
    assert VECTOR.tobytes()[:32] not in entry.read_bytes()
    assert b"vector" not in entry.read_bytes()
    modes = [path.stat().st_mode & 0o777 for path in (entry, tmp_path / KEY_FILE, tmp_path / FOLDER)]
    assert modes == [0o600, 0o600, 0o700]


def test_without_the_key_nothing_is_read(tmp_path: Path) -> None:
    remembered(tmp_path)
    (tmp_path / KEY_FILE).unlink()
    assert SealedMemory(tmp_path).get("picture", "abc") is None


@pytest.mark.parametrize("change", [b"", b"short", None])
def test_a_torn_or_altered_entry_counts_as_absent(tmp_path: Path, change: bytes | None) -> None:
    memory = remembered(tmp_path)
    (entry,) = entries(tmp_path)
    content = entry.read_bytes()
    entry.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if change is None else change)
    assert memory.get("picture", "abc") is None
    memory.put({"vector": VECTOR}, "picture", "abc")
    assert memory.get("picture", "abc") is not None


def test_an_entry_in_the_place_of_another_is_not_believed(tmp_path: Path) -> None:
    memory = remembered(tmp_path)
    (entry,) = entries(tmp_path)
    memory.put({"vector": -VECTOR}, "picture", "xyz")
    (other,) = [path for path in entries(tmp_path) if path != entry]
    other.write_bytes(entry.read_bytes())
    assert memory.get("picture", "xyz") is None


def test_a_complete_run_leaves_nothing(tmp_path: Path) -> None:
    memory = remembered(tmp_path)
    (tmp_path / "report.html").touch()
    memory.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_key_of_another_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(EvaluationRefused, match="not a key of 32 bytes"):
        SealedMemory(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EvaluationRefused, match="cannot be kept"):
        SealedMemory(tmp_path / "file")
