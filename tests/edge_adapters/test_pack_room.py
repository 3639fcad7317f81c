"""What a model pack on its way leaves on a full disk: nothing, also of an earlier time."""

from pathlib import Path

from edge.adapters.pack_room import FOLDER_NAME, drop_unfinished

PACK_ID = "0123456789abcdef"


def test_what_a_kill_left_half_deleted_is_deleted_although_nothing_of_that_pack_came_again(tmp_path: Path) -> None:
    dropped = tmp_path / FOLDER_NAME / f"{PACK_ID}.dropped"
    dropped.mkdir(parents=True)
    (dropped / "a.bin").write_bytes(bytes(1000))

    assert drop_unfinished(tmp_path) == 1000
    assert list(dropped.parent.iterdir()) == []


def test_whole_packs_stay(tmp_path: Path) -> None:
    whole = tmp_path / FOLDER_NAME / PACK_ID
    whole.mkdir(parents=True)

    assert drop_unfinished(tmp_path) == 0
    assert whole.is_dir()
