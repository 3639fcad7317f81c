"""Packs on a real disk: what survives, what is checked, what is deleted, and that two ports keep one promise."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from edge.adapters import pack_folder, pack_room
from edge.adapters.pack_folder import PackFolder, PackNeeds
from edge.adapters.pack_room import drop_unfinished
from edge.core.errors import GalleryRefused, StorageFailed, StorageFull, StorageReadOnly
from edge.core.pack_fetch import PackFetch
from edge.core.ports import PackStore
from protocol.content import HeadBody, PackFile, PackList
from recognition.adapters.pack_files import read_pack
from recognition.core.errors import PackInvalid
from tests.builders import HubSide, PackOffer, SealedGallery, face_of
from tests.pack_fakes import MANIFEST, PART, MemoryPackStore, made_up_pack

OWN = made_up_pack("own", seed=9)
PACK = made_up_pack()
THIRD = made_up_pack("third", seed=4)
SPARE = 64 * 1024 * 1024
"""What a pack must leave free."""


def write(folder: Path, pack: PackOffer) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in pack.files.items():
        (folder / path).write_bytes(data)
    return folder


class Disk:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.own = write(folder / "own", OWN)
        self.opened: list[Path] = []

    def packs(self, needs: PackNeeds | None = None) -> PackFolder:
        return PackFolder(self.data, self.own, needs or PackNeeds("f32", "mtcnn", liveness=False), self.opened.append)

    @property
    def names(self) -> set[str]:
        folder = self.data / "packs"
        return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, disk: Disk) -> PackStore:
    return disk.packs() if request.param == "disk" else MemoryPackStore(OWN)


def offered(pack: PackOffer) -> SealedGallery:
    return HubSide(pack_id=pack.pack_id).gallery(5, {1: [face_of(1)]}, pack=pack)


def fetch(store: PackStore, pack: PackOffer, *, most: int = 100) -> None:
    """Fetch a pack over a good network, or as much of it as `most` answers bring."""
    source, transfer = offered(pack), PackFetch(store)
    transfer.follow(source.body)
    for now_s in range(most):
        if transfer.ready:
            return
        want = transfer.next_want(1000.0 * now_s)
        assert want is not None
        for part in source.parts(want):
            transfer.on_part(part)


def file_of(pack: PackOffer, path: str) -> PackFile:
    return next(file for file in pack.listed.files if file.path == path)


def free_bytes(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """From now on, the disk says that so much is free."""
    usage = shutil.disk_usage("/")._replace(free=count)
    monkeypatch.setattr("edge.adapters.pack_room.shutil.disk_usage", lambda _path: usage)


def code_of(caught: "pytest.ExceptionInfo[GalleryRefused]") -> str:
    return caught.value.code


def test_a_fetched_pack_is_whole_and_names_its_dimensions(store: PackStore) -> None:
    assert store.has(OWN.pack_id)
    assert not store.has(PACK.pack_id)
    fetch(store, PACK)
    assert store.has(PACK.pack_id)
    assert store.dimensions(PACK.pack_id) == 16
    assert store.has(OWN.pack_id)


def test_a_file_grows_part_by_part_and_can_be_cut(store: PackStore) -> None:
    store.put(PACK.pack_id, "a.bin", 0, b"x" * 10)
    store.put(PACK.pack_id, "a.bin", 10, b"y" * 5)
    assert store.length(PACK.pack_id, "a.bin") == 15
    store.put(PACK.pack_id, "a.bin", 10, b"z")
    assert store.length(PACK.pack_id, "a.bin") == 11
    assert store.length(PACK.pack_id, "b.bin") == store.length("nobody-1", "b.bin") == 0


def test_what_belongs_behind_something_that_is_not_there_any_more_is_not_written(store: PackStore) -> None:
    """A full disk gave up what had come: a hole in its place would cost the whole file a second time, at its end."""
    store.put(PACK.pack_id, "a.bin", 0, b"x" * 10)
    store.abandon(besides=None)
    store.put(PACK.pack_id, "a.bin", 10, b"y" * 5)
    assert store.length(PACK.pack_id, "a.bin") == 0
    store.put(PACK.pack_id, "a.bin", 0, b"x" * 10)
    store.put(PACK.pack_id, "a.bin", 11, b"y" * 5)
    assert store.length(PACK.pack_id, "a.bin") == 10


def test_a_file_with_another_hash_is_deleted(store: PackStore) -> None:
    wanted = file_of(PACK, "faces.json")
    store.put(PACK.pack_id, "faces.json", 0, PACK.files["faces.json"])
    assert store.check(PACK.pack_id, wanted)
    store.put(PACK.pack_id, "faces.json", 0, b"!" * wanted.bytes)
    assert not store.check(PACK.pack_id, wanted)
    assert store.length(PACK.pack_id, "faces.json") == 0


def test_what_is_left_of_other_packs_is_deleted(store: PackStore) -> None:
    for pack in (PACK, THIRD):
        store.put(pack.pack_id, "a.bin", 0, b"x")
    store.abandon(besides=PACK.pack_id)
    assert store.length(PACK.pack_id, "a.bin") == 1
    assert store.length(THIRD.pack_id, "a.bin") == 0
    store.abandon(besides=None)
    assert store.length(PACK.pack_id, "a.bin") == 0


def test_a_fetched_pack_opens_and_is_for_nobody_else(disk: Disk) -> None:
    fetch(disk.packs(), PACK)
    folder = disk.data / "packs" / PACK.pack_id
    assert read_pack(folder, "f32").pack_id == PACK.pack_id
    assert not (folder / "embedder-f16.bin").exists()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "detector.bin").stat().st_mode & 0o777 == 0o600
    disk.packs().trial(PACK.pack_id)
    assert disk.opened == [folder]


def test_after_a_restart_only_what_lacks_is_fetched(disk: Disk) -> None:
    fetch(disk.packs(), PACK, most=4)
    part = disk.data / "packs" / f"{PACK.pack_id}.part"
    assert (part / "embedder-f32.bin").stat().st_size == 4 * PART
    before = (part / "embedder-f32.bin").stat().st_ino
    fetch(disk.packs(), PACK)
    whole = disk.data / "packs" / PACK.pack_id
    assert (whole / "embedder-f32.bin").stat().st_ino == before
    assert disk.names == {PACK.pack_id}


def test_a_unit_whose_settings_need_another_variant_fetches_that_one(disk: Disk) -> None:
    packs = disk.packs(PackNeeds("f16", "mtcnn", liveness=False))
    fetch(packs, PACK)
    names = {entry.name for entry in (disk.data / "packs" / PACK.pack_id).iterdir()}
    assert names == {MANIFEST, "embedder-f16.bin", "detector.bin", "faces.json"}


@pytest.mark.parametrize(
    ("needs", "lacks"),
    [
        (PackNeeds("int8", "mtcnn", liveness=False), "variant int8"),
        (PackNeeds("f32", "yunet", liveness=False), "detector yunet"),
        (PackNeeds("f32", "mtcnn", liveness=True), "liveness"),
    ],
)
def test_a_pack_without_what_the_settings_need_is_refused_before_it_is_fetched(
    disk: Disk, needs: PackNeeds, lacks: str
) -> None:
    with pytest.raises(GalleryRefused, match=lacks) as caught:
        fetch(disk.packs(needs), PACK)
    assert code_of(caught) == "pack_unusable"
    assert {entry.name for entry in (disk.data / "packs" / f"{PACK.pack_id}.part").iterdir()} == {MANIFEST}


def test_too_little_disk_is_said_before_the_models_come(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    free_bytes(monkeypatch, SPARE + PART)
    with pytest.raises(GalleryRefused, match="of disk") as caught:
        fetch(disk.packs(), PACK)
    assert code_of(caught) == "pack_no_space"
    assert {entry.name for entry in (disk.data / "packs" / f"{PACK.pack_id}.part").iterdir()} == {MANIFEST}


def test_a_disk_that_others_fill_meanwhile_keeps_its_reserve(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attendance comes first: what was counted before the transfer may be gone long before its end."""
    fetch(disk.packs(), PACK, most=3)
    part = disk.data / "packs" / f"{PACK.pack_id}.part"
    before = {entry.name: entry.stat().st_size for entry in part.iterdir()}
    free_bytes(monkeypatch, SPARE + PART - 1)
    with pytest.raises(GalleryRefused, match="of disk") as caught:
        disk.packs().put(PACK.pack_id, "embedder-f32.bin", 3 * PART, bytes(PART))
    assert code_of(caught) == "pack_no_space"
    assert {entry.name: entry.stat().st_size for entry in part.iterdir()} == before
    free_bytes(monkeypatch, SPARE + PART)
    disk.packs().put(PACK.pack_id, "embedder-f32.bin", 3 * PART, bytes(PART))


def test_a_transfer_that_would_fill_the_disk_is_refused_once_and_tried_again_after_an_hour(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, transfer = offered(PACK), PackFetch(disk.packs())
    transfer.follow(source.body)
    for now_s in range(3):
        want = transfer.next_want(float(now_s))
        assert want is not None
        for part in source.parts(want):
            transfer.on_part(part)
    want = transfer.next_want(4.0)
    assert want is not None
    free_bytes(monkeypatch, 0)
    first, *others = source.parts(want)
    with pytest.raises(GalleryRefused, match="of disk"):
        transfer.on_part(first)
    for part in others:
        transfer.on_part(part)
    assert transfer.next_want(3000.0) is None
    monkeypatch.undo()
    assert transfer.next_want(3700.0) is not None


class TestGivenUp:
    """A full disk gives up a pack on its way first of all: it is fetched again."""

    def test_what_has_come_is_deleted_and_whole_packs_stay(self, disk: Disk) -> None:
        fetch(disk.packs(), THIRD)
        disk.packs().put(PACK.pack_id, "a.bin", 0, bytes(1000))
        assert drop_unfinished(disk.data) == 1000
        assert disk.names == {THIRD.pack_id}
        assert drop_unfinished(disk.data) == 0

    def test_without_any_pack_there_is_nothing_to_give_up(self, tmp_path: Path) -> None:
        assert drop_unfinished(tmp_path) == 0

    def test_what_a_kill_left_of_an_earlier_time_is_no_obstacle(self, disk: Disk) -> None:
        packs = disk.packs()
        packs.put(PACK.pack_id, "a.bin", 0, bytes(1000))
        (disk.data / "packs" / f"{PACK.pack_id}.part").rename(disk.data / "packs" / f"{PACK.pack_id}.dropped")
        packs.put(PACK.pack_id, "a.bin", 0, bytes(2000))
        assert drop_unfinished(disk.data) == 3000
        assert disk.names == set()

    @pytest.mark.parametrize("after", range(1, 12))
    def test_a_transfer_from_which_it_is_taken_at_any_moment_begins_again_and_ends_whole(
        self, disk: Disk, after: int
    ) -> None:
        source, packs = offered(PACK), disk.packs()
        transfer, parts = PackFetch(packs), 0
        transfer.follow(source.body)
        for now_s in range(200):
            want = transfer.next_want(1000.0 * now_s)
            if want is None:
                break
            for part in source.parts(want):
                parts += 1
                if parts == after:
                    drop_unfinished(disk.data)
                with suppress(GalleryRefused):
                    transfer.on_part(part)
        assert transfer.ready
        assert read_pack(disk.data / "packs" / PACK.pack_id, "f32").pack_id == PACK.pack_id

    @pytest.mark.parametrize("step", ["check", "put", "finish"])
    def test_it_may_go_in_the_middle_of_a_step_and_the_program_goes_on(
        self, disk: Disk, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        """Recognition finds the disk full while the conversation with the hub writes the pack."""
        packs = disk.packs()
        packs.put(PACK.pack_id, "faces.json", 0, PACK.files["faces.json"])

        def gone(*_given: object, **_named: object) -> object:
            # Deleting opens folders too.
            patch.undo()
            drop_unfinished(disk.data)
            raise FileNotFoundError(2, "No such file or directory")

        with monkeypatch.context() as patch:
            if step == "check":
                patch.setattr("edge.adapters.pack_folder._hash_of", gone)
                assert not packs.check(PACK.pack_id, file_of(PACK, "faces.json"))
            elif step == "put":
                patch.setattr("edge.adapters.pack_folder.os.open", gone)
                packs.put(PACK.pack_id, "faces.json", 900, b"x")
            else:
                patch.setattr("edge.adapters.pack_folder.sync_folder", gone)
                packs.finish(PACK.listed)
        assert packs.length(PACK.pack_id, "faces.json") == 0
        assert not packs.has(PACK.pack_id)


def test_too_little_memory_is_said_before_the_models_come(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_room, "memory_available", lambda: 30_000_000)
    with pytest.raises(GalleryRefused, match="of memory") as caught:
        fetch(disk.packs(), PACK)
    assert code_of(caught) == "pack_no_memory"


def test_this_machine_says_how_much_memory_there_is() -> None:
    available = pack_room.memory_available()
    assert available is None or available > 1_000_000


def test_the_pack_that_runs_is_kept_and_older_ones_make_room(disk: Disk) -> None:
    packs = disk.packs()
    packs.runs(OWN.pack_id)
    fetch(packs, PACK)
    packs = disk.packs()
    packs.runs(PACK.pack_id)
    fetch(packs, THIRD)
    assert disk.names == {PACK.pack_id, THIRD.pack_id}
    packs = disk.packs()
    packs.runs(THIRD.pack_id)
    fetch(packs, made_up_pack("fourth", seed=5))
    assert PACK.pack_id not in disk.names
    assert disk.own.is_dir()


def test_a_list_that_contradicts_the_manifest_is_refused(disk: Disk) -> None:
    files = dict(PACK.files)
    files["detector.bin"] = b"another file"
    with pytest.raises(GalleryRefused, match="differ") as caught:
        fetch(disk.packs(), PackOffer(PACK.pack_id, files))
    assert code_of(caught) == "pack_unusable"


def test_a_pack_under_anothers_name_is_refused(disk: Disk) -> None:
    with pytest.raises(GalleryRefused, match="offered as"):
        fetch(disk.packs(), PackOffer(THIRD.pack_id, PACK.files))


@pytest.mark.parametrize("name", ["..", "x.part", "a.b"])
def test_no_name_leads_out_of_the_folder_or_to_another_pack(disk: Disk, name: str) -> None:
    with pytest.raises(GalleryRefused):
        disk.packs().put(name, "a.bin", 0, b"x")
    assert not disk.packs().has(name)


def test_a_pack_whose_models_do_not_open_is_tried_once(disk: Disk) -> None:
    def refuse(folder: Path) -> None:
        disk.opened.append(folder)
        raise PackInvalid("this version of the library cannot read the model")

    packs = PackFolder(disk.data, disk.own, PackNeeds("f32", "mtcnn", liveness=False), refuse)
    fetch(packs, PACK)
    for _ in range(3):
        with pytest.raises(GalleryRefused, match="cannot be opened") as caught:
            packs.trial(PACK.pack_id)
    assert code_of(caught) == "pack_unusable"
    assert len(disk.opened) == 1


def test_of_a_fetched_pack_that_this_disk_damaged_only_the_damaged_file_is_fetched_again(disk: Disk) -> None:
    fetch(disk.packs(), PACK)
    folder = disk.data / "packs" / PACK.pack_id
    kept = (folder / "embedder-f32.bin").stat().st_ino
    (folder / "detector.bin").write_bytes(b"!" * 70_000)
    packs = disk.packs()
    packs.distrust(PACK.pack_id, "it has another checksum")
    assert not packs.has(PACK.pack_id)
    fetch(packs, PACK)
    assert read_pack(folder, "f32").pack_id == PACK.pack_id
    assert (folder / "embedder-f32.bin").stat().st_ino == kept


def test_a_fetched_pack_without_a_readable_manifest_is_fetched_again(disk: Disk) -> None:
    fetch(disk.packs(), PACK)
    (disk.data / "packs" / PACK.pack_id / MANIFEST).write_bytes(b"{}")
    packs = disk.packs()
    assert not packs.has(PACK.pack_id)
    fetch(packs, PACK)
    assert packs.has(PACK.pack_id)


def unreadable(monkeypatch: pytest.MonkeyPatch, name: str, number: int = errno.EIO) -> None:
    """From now on, the disk cannot read files of this name as long as they have the inode that they have now."""
    really = pack_folder._hash_of
    bad: dict[Path, int] = {}

    def hash_of(path: Path) -> str:
        if path.name == name and bad.setdefault(path.with_name(name), path.stat().st_ino) == path.stat().st_ino:
            raise OSError(number, os.strerror(number), str(path))
        return really(path)

    monkeypatch.setattr(pack_folder, "_hash_of", hash_of)


def test_of_a_fetched_pack_that_the_disk_cannot_read_only_that_file_is_fetched_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the unit would not start, at any start, and only a person could help."""
    fetch(disk.packs(), PACK)
    folder = disk.data / "packs" / PACK.pack_id
    kept = (folder / "detector.bin").stat().st_ino
    packs = disk.packs()
    with monkeypatch.context() as patch:
        unreadable(patch, "embedder-f32.bin")
        packs.distrust(PACK.pack_id, "the library read a bad block")
    assert not packs.has(PACK.pack_id)
    with monkeypatch.context() as patch:
        part = disk.data / "packs" / f"{PACK.pack_id}.part"
        # Otherwise the new file may get the number of the deleted one.
        os.link(part / "embedder-f32.bin", disk.data / "held")
        unreadable(patch, "embedder-f32.bin")
        fetch(packs, PACK)
    assert read_pack(folder, "f32").pack_id == PACK.pack_id
    assert (folder / "detector.bin").stat().st_ino == kept


def test_a_file_on_its_way_that_the_disk_cannot_read_is_deleted_and_comes_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs, wanted = disk.packs(), file_of(PACK, "faces.json")
    packs.put(PACK.pack_id, "faces.json", 0, PACK.files["faces.json"])
    with monkeypatch.context() as patch:
        unreadable(patch, "faces.json", errno.EACCES)
        with pytest.raises(StorageFailed):
            packs.check(PACK.pack_id, wanted)
    assert packs.length(PACK.pack_id, "faces.json") == wanted.bytes
    unreadable(monkeypatch, "faces.json")
    assert not packs.check(PACK.pack_id, wanted)
    assert packs.length(PACK.pack_id, "faces.json") == 0


def test_a_pack_that_is_as_it_should_be_and_does_not_open_is_refused_and_kept(disk: Disk) -> None:
    """Otherwise the program would fetch it, open itself anew and fail, again and again."""
    fetch(disk.packs(), PACK)
    packs = disk.packs()
    packs.distrust(PACK.pack_id, "the library is too old")
    assert packs.has(PACK.pack_id)
    with pytest.raises(GalleryRefused, match="too old"):
        packs.trial(PACK.pack_id)
    assert disk.opened == []


def test_a_pack_of_the_settings_needs_no_fetching(disk: Disk) -> None:
    assert disk.packs().place(OWN.pack_id) == disk.own
    body: HeadBody = offered(OWN).body
    transfer = PackFetch(disk.packs())
    transfer.follow(body)
    assert transfer.ready


def test_a_disk_that_refuses_is_full_or_broken(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    packs = disk.packs()
    for number, error in ((28, StorageFull), (30, StorageReadOnly), (5, StorageFailed)):

        def refuse(*_given: object, number: int = number) -> int:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("edge.adapters.pack_folder.os.open", refuse)
        with pytest.raises(error) as caught:
            packs.put(PACK.pack_id, "a.bin", 0, b"x")
        assert type(caught.value) is error


def test_a_list_with_a_file_twice_is_no_list() -> None:
    file = PackFile(path="a.bin", sha256="a" * 64, bytes=1)
    with pytest.raises(ValueError, match="twice"):
        PackList(pack_id="x-1", files=(file, file))
