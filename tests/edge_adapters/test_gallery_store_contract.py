"""What every gallery store promises: the one on disk, and the one in memory that other tests trust."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.core.errors import StorageFailed
from edge.core.ports import GalleryStore
from tests.edge_adapters.pieces import gallery, hash_of
from tests.fakes import MemoryGalleryStore

MANIFEST, OTHER_MANIFEST = b"sealed manifest", b"sealed manifest of revision 2"
ANN, BOB, TIMETABLE = b"sealed template of Ann", b"sealed template of Bob", b"sealed timetable"


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GalleryStore]:
    if request.param == "memory":
        yield MemoryGalleryStore()
        return
    file = UnitFile(tmp_path)
    yield SqliteGallery(file)
    file.close()


def stage(store: GalleryStore, *pieces: bytes) -> None:
    for piece in pieces:
        store.stage(hash_of(piece), piece)


def test_a_new_unit_has_no_gallery(store: GalleryStore) -> None:
    assert store.in_use() is None
    assert store.staged(hash_of(MANIFEST)) is None


def test_a_staged_piece_is_found_and_is_not_yet_in_use(store: GalleryStore) -> None:
    stage(store, MANIFEST)

    assert store.staged(hash_of(MANIFEST)) == MANIFEST
    assert store.in_use() is None


def test_the_same_piece_may_come_twice(store: GalleryStore) -> None:
    stage(store, ANN, ANN)

    assert store.staged(hash_of(ANN)) == ANN


def test_has_tells_which_pieces_need_not_be_fetched(store: GalleryStore) -> None:
    stage(store, MANIFEST, ANN)

    assert store.has([hash_of(ANN), hash_of(BOB)]) == {hash_of(ANN)}
    assert store.has([]) == set()


def test_a_swapped_gallery_is_in_use_with_its_pieces(store: GalleryStore) -> None:
    stage(store, MANIFEST, ANN, TIMETABLE)
    new = gallery(1, MANIFEST, (ANN,), TIMETABLE)
    store.swap(new)

    assert store.in_use() == new.head
    assert store.has([hash_of(MANIFEST), hash_of(ANN), hash_of(TIMETABLE)]) == {
        hash_of(MANIFEST),
        hash_of(ANN),
        hash_of(TIMETABLE),
    }


def test_what_the_new_gallery_does_not_list_is_deleted(store: GalleryStore) -> None:
    """Also what was staged for a gallery that never came: nothing of a student stays behind."""
    stage(store, MANIFEST, ANN, BOB, TIMETABLE)
    store.swap(gallery(1, MANIFEST, (ANN, BOB), TIMETABLE))
    stage(store, OTHER_MANIFEST, b"staged for a gallery that never came")
    store.swap(gallery(2, OTHER_MANIFEST, (ANN,)))

    assert store.staged(hash_of(ANN)) == ANN
    gone = [MANIFEST, BOB, TIMETABLE, b"staged for a gallery that never came"]
    assert store.has([hash_of(piece) for piece in gone]) == set()


def test_dropped_pieces_are_gone_and_the_others_stay(store: GalleryStore) -> None:
    stage(store, MANIFEST, ANN, BOB)
    store.swap(gallery(1, MANIFEST, (ANN, BOB)))
    stage(store, OTHER_MANIFEST)
    store.drop([hash_of(BOB), hash_of(OTHER_MANIFEST), hash_of(b"never here")])
    store.drop([])

    assert store.held() == {hash_of(MANIFEST), hash_of(ANN)}
    assert store.in_use() == gallery(1, MANIFEST, ()).head


def test_a_piece_that_comes_again_replaces_what_this_disk_damaged(store: GalleryStore) -> None:
    stage(store, MANIFEST, ANN)
    store.swap(gallery(1, MANIFEST, (ANN,)))
    for piece in (MANIFEST, ANN):
        store.stage(hash_of(piece), b"!" + piece[1:])
        store.stage(hash_of(piece), piece)

        assert store.staged(hash_of(piece)) == piece


def test_nothing_of_a_dropped_piece_stays_in_the_files(tmp_path: Path) -> None:
    file = UnitFile(tmp_path)
    store = SqliteGallery(file)
    stage(store, MANIFEST, ANN, BOB)
    store.swap(gallery(1, MANIFEST, (ANN, BOB)))
    store.drop([hash_of(BOB)])
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    file.close()

    assert ANN in content
    assert BOB not in content


def test_a_swap_can_be_repeated(store: GalleryStore) -> None:
    stage(store, MANIFEST, ANN)
    new = gallery(1, MANIFEST, (ANN,))
    store.swap(new)
    store.swap(new)

    assert store.in_use() == new.head
    assert store.staged(hash_of(ANN)) == ANN


def test_a_signed_reset_may_go_back_to_a_lower_revision(store: GalleryStore) -> None:
    stage(store, MANIFEST)
    store.swap(gallery(9, MANIFEST, ()))
    stage(store, OTHER_MANIFEST)
    store.swap(gallery(2, OTHER_MANIFEST, ()))

    in_use = store.in_use()
    assert in_use is not None
    assert in_use.revision == 2


@pytest.mark.parametrize("missing", [OTHER_MANIFEST, TIMETABLE])
def test_a_gallery_without_its_manifest_or_timetable_never_replaces_the_one_in_use(
    store: GalleryStore, missing: bytes
) -> None:
    stage(store, MANIFEST, ANN)
    old = gallery(1, MANIFEST, (ANN,))
    store.swap(old)
    stage(store, *({OTHER_MANIFEST, TIMETABLE} - {missing}))

    with pytest.raises(StorageFailed):
        store.swap(gallery(2, OTHER_MANIFEST, (), TIMETABLE))

    assert store.in_use() == old.head
    assert store.staged(hash_of(ANN)) == ANN
