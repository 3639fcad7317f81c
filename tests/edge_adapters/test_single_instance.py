"""One daemon per data folder, where the folder's disk knows locks at all."""

import errno
import os
from pathlib import Path

import pytest

from edge.adapters.single_instance import DataFolderLock
from edge.core.errors import AnotherDaemon, StorageFailed


def test_a_second_one_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path), pytest.raises(AnotherDaemon), DataFolderLock(tmp_path):
        pass
    with DataFolderLock(tmp_path):
        pass


def test_a_network_disk_without_locks_is_said_and_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("edge.adapters.single_instance.fcntl.flock", refused)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(StorageFailed, match="cannot be locked") as caught, DataFolderLock(tmp_path):
        pass

    assert "disk of this machine" in caught.value.hint
    assert len(list(Path("/proc/self/fd").iterdir())) == before
