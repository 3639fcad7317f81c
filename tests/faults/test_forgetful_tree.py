"""The forgetful disk forgets exactly what was not synced."""

import stat

import pytest

from tests.faults.forgetful_tree import DiskFile, DiskFolder, ForgetfulDisk


def _write(disk: ForgetfulDisk, path: str, content: bytes) -> DiskFile:
    folder, name = disk.parent(path)
    made = DiskFile(stat.S_IFREG | 0o600, bytearray(content))
    folder.seen[name] = made
    return made


def test_a_synced_file_in_a_synced_folder_survives_a_cut() -> None:
    disk = ForgetfulDisk()
    made = _write(disk, "/a", b"kept")
    disk.sync_file(made)
    disk.sync_folder(disk.root)
    disk.cut()
    assert bytes(disk.file("/a").seen) == b"kept"


def test_what_was_written_after_the_sync_is_gone() -> None:
    disk = ForgetfulDisk()
    made = _write(disk, "/a", b"kept")
    disk.sync_file(made)
    disk.sync_folder(disk.root)
    made.seen += b" and lost"
    disk.cut()
    assert bytes(disk.file("/a").seen) == b"kept"


def test_a_synced_file_whose_folder_was_not_synced_is_gone() -> None:
    disk = ForgetfulDisk()
    disk.sync_file(_write(disk, "/a", b"lost"))
    disk.cut()
    with pytest.raises(FileNotFoundError):
        disk.find("/a")


def test_a_rename_without_a_sync_of_the_folder_is_undone() -> None:
    disk = ForgetfulDisk()
    disk.sync_file(_write(disk, "/old", b"before"))
    disk.sync_folder(disk.root)
    new = _write(disk, "/new", b"after")
    disk.sync_file(new)
    disk.root.seen["old"] = disk.root.seen.pop("new")
    assert bytes(disk.file("/old").seen) == b"after"
    disk.cut()
    assert bytes(disk.file("/old").seen) == b"before"


def test_a_name_in_a_synced_folder_without_a_sync_of_the_file_is_an_empty_file() -> None:
    disk = ForgetfulDisk()
    disk.root.seen["deep"] = DiskFolder(stat.S_IFDIR | 0o700)
    _write(disk, "/deep/a", b"lost")
    disk.sync_folder(disk.root)
    folder = disk.find("/deep")
    assert isinstance(folder, DiskFolder)
    disk.sync_folder(folder)
    disk.cut()
    assert bytes(disk.file("/deep/a").seen) == b""
