"""A pack is put in its place whole or not at all, by one program at a time, whatever stops it."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recognition.build import pack_folder
from recognition.build.build_errors import BuildStopped
from recognition.build.pack_folder import replacing, write_file
from recognition.core.errors import PackInvalid
from tests.edge_adapters.programs import on_a_small_disk

STARTS_AND_WAITS = """
import sys
from pathlib import Path
from recognition.build.pack_folder import replacing, write_file
with replacing(Path(sys.argv[1])) as working:
    write_file(working / "manifest.json", b"half")
    print("at work", flush=True)
    sys.stdin.readline()
"""


def a_pack(folder: Path, content: str = "old") -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(content)
    return folder


def content_of(folder: Path) -> str:
    return (folder / "manifest.json").read_text()


def at_work(destination: Path) -> Any:
    program: Any = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS, str(destination)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout.readline() == "at work\n"
    return program


def test_a_filled_folder_takes_the_place_of_the_old_pack(tmp_path: Path) -> None:
    destination = a_pack(tmp_path / "dlib")
    (destination / "old.tflite").write_text("old")
    with replacing(destination) as working:
        write_file(working / "manifest.json", b"new")
        assert content_of(destination) == "old"
    assert [path.name for path in destination.iterdir()] == ["manifest.json"]
    assert content_of(destination) == "new"
    assert list(tmp_path.iterdir()) == [destination]


def test_a_folder_above_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    with replacing(tmp_path / "packs" / "dlib") as working:
        write_file(working / "manifest.json", b"new")
    assert content_of(tmp_path / "packs" / "dlib") == "new"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_an_interrupted_build_changes_nothing_and_leaves_nothing(tmp_path: Path, stop: type[BaseException]) -> None:
    destination = a_pack(tmp_path / "dlib")

    def build() -> None:
        with replacing(destination) as working:
            write_file(working / "manifest.json", b"new")
            raise stop

    with pytest.raises(stop):
        build()
    assert content_of(destination) == "old"
    assert list(tmp_path.iterdir()) == [destination]


def test_the_old_pack_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = a_pack(tmp_path / "dlib")
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if "building" in self.name:
            raise OSError(errno.EIO, "Input/output error", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)  # a disk that fails between two steps cannot be had otherwise
    with pytest.raises(BuildStopped, match="Input/output error"), replacing(destination) as working:
        write_file(working / "manifest.json", b"new")
    assert content_of(destination) == "old"
    assert list(tmp_path.iterdir()) == [destination]


def test_what_is_no_pack_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(PackInvalid, match="not a model pack"), replacing(tmp_path):
        pytest.fail("it was let in")
    (tmp_path / "file").write_text("")
    with pytest.raises(PackInvalid, match="not a model pack"), replacing(tmp_path / "file"):
        pytest.fail("it was let in")


def test_a_second_program_is_told_who_is_at_work(tmp_path: Path) -> None:
    destination = tmp_path / "dlib"
    with at_work(destination) as first:
        sentence = f"process {first.pid}, is writing the pack dlib in"
        with pytest.raises(BuildStopped, match=sentence), replacing(destination):
            pytest.fail("it was let in")
        first.communicate("go on\n")
    assert first.returncode == 0
    assert content_of(destination) == "half"
    with replacing(destination) as working:
        write_file(working / "manifest.json", b"new")
    assert list(tmp_path.iterdir()) == [destination]


def test_ctrl_c_in_a_real_program_leaves_nothing(tmp_path: Path) -> None:
    destination = a_pack(tmp_path / "dlib")
    with at_work(destination) as program:
        program.send_signal(signal.SIGINT)
        program.communicate()
    assert content_of(destination) == "old"
    assert list(tmp_path.iterdir()) == [destination]


def test_the_next_program_clears_away_what_a_killed_one_left(tmp_path: Path) -> None:
    destination = a_pack(tmp_path / "dlib")
    with at_work(destination) as program:
        program.kill()
        program.communicate()
    assert len(list(tmp_path.iterdir())) == 3  # the pack, the half-built one, the lock file
    with replacing(destination) as working:
        write_file(working / "manifest.json", b"new")
    assert list(tmp_path.iterdir()) == [destination]
    assert content_of(destination) == "new"


def test_a_pack_that_a_killed_program_had_moved_aside_is_put_back(tmp_path: Path) -> None:
    destination = tmp_path / "dlib"
    a_pack(tmp_path / ".dlib-old-x" / "dlib")
    with pytest.raises(KeyboardInterrupt), replacing(destination):
        raise KeyboardInterrupt
    assert content_of(destination) == "old"
    assert list(tmp_path.iterdir()) == [destination]


def test_a_lock_that_its_owner_deleted_in_between_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a third program, with a new file of that name, would be at work beside us."""
    lock, is_still = tmp_path / ".dlib.lock", pack_folder._is_still
    looks: list[bool] = []

    def deleted_first(path: Path, stream: Any) -> bool:
        if not looks:
            lock.unlink()
        looks.append(is_still(path, stream))
        return looks[-1]

    monkeypatch.setattr(pack_folder, "_is_still", deleted_first)  # the moment between two system calls
    with replacing(tmp_path / "dlib") as working:
        write_file(working / "manifest.json", b"new")
        assert lock.read_text() == str(os.getpid())
    assert looks == [False, True]


FILLS_THE_DISK = """
import sys
from pathlib import Path
from recognition.build.build_errors import BuildStopped
from recognition.build.pack_folder import replacing, write_file
folder = Path(sys.argv[1])
destination = folder / "dlib"
destination.mkdir()
(destination / "manifest.json").write_text("old")
try:
    with replacing(destination) as working:
        write_file(working / "embedder.tflite", bytes(5_000_000))
except BuildStopped as exc:
    print(exc)
print((destination / "manifest.json").read_text(), [path.name for path in folder.iterdir()])
"""


def test_a_full_disk_is_a_sentence_and_the_old_pack_stays(tmp_path: Path) -> None:
    said = on_a_small_disk(FILLS_THE_DISK, tmp_path / "disk", 1024).splitlines()
    assert "the disk is full, so nothing was changed" in said[0]
    assert said[1] == "old ['dlib']"


def test_a_folder_that_may_not_be_written_is_a_sentence() -> None:
    with pytest.raises(BuildStopped, match="cannot be written"), replacing(Path("/proc/packs/dlib")):
        pytest.fail("it was let in")
