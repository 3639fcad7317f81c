"""Which pack the program opens: the one its gallery was made with, and what it does when that cannot be opened."""

from pathlib import Path

import pytest

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.bootstrap.orders import Orders
from edge.bootstrap.packs import open_packs, settings_in_use
from edge.settings import EdgeSettings, load_settings
from tests.builders import HubSide, PackOffer, face_of
from tests.edge_cli.units import UnitFolder
from tests.pack_fakes import made_up_pack

OWN, PACK = made_up_pack("own", seed=1), made_up_pack("new", seed=2)


def write(folder: Path, pack: PackOffer) -> Path:
    folder.mkdir(parents=True)
    for path, data in pack.files.items():
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> EdgeSettings:
    unit = UnitFolder(tmp_path)
    write(tmp_path / "pack", OWN)
    return load_settings(unit.config)


def test_without_a_gallery_it_is_the_pack_of_the_settings(settings: EdgeSettings) -> None:
    assert settings_in_use(settings, open_packs(settings), None) == settings


def test_it_is_the_pack_that_the_gallery_was_made_with(settings: EdgeSettings) -> None:
    fetched = write(settings.storage.data_dir / "packs" / PACK.pack_id, PACK)
    packs = open_packs(settings)
    for pack, folder in ((PACK, fetched), (OWN, settings.recognition.pack_dir)):
        body = HubSide(pack_id=pack.pack_id).gallery(3, {1: [face_of(1)]}).body
        chosen = settings_in_use(settings, packs, body)
        assert chosen.recognition.pack_dir == folder
        assert chosen.recognition.variant == settings.recognition.variant


def test_a_pack_that_is_not_here_leaves_that_of_the_settings(settings: EdgeSettings) -> None:
    body = HubSide(pack_id=PACK.pack_id).gallery(3, {1: [face_of(1)]}).body
    assert settings_in_use(settings, open_packs(settings), body) == settings


def test_a_unit_that_accepts_no_packs_runs_its_own(settings: EdgeSettings) -> None:
    write(settings.storage.data_dir / "packs" / PACK.pack_id, PACK)
    recognition = settings.recognition.model_copy(update={"accept_packs": False})
    alone = settings.model_copy(update={"recognition": recognition})
    body = HubSide(pack_id=PACK.pack_id).gallery(3, {1: [face_of(1)]}).body
    assert settings_in_use(alone, open_packs(alone), body) == alone


def test_the_program_begins_again_once_for_each_time_it_is_asked() -> None:
    orders = Orders()
    assert not orders.take_reopening()
    orders.begin_anew()
    assert orders.stop.is_set()
    assert orders.take_reopening()
    assert not orders.stop.is_set()
    assert not orders.take_reopening()


def test_whoever_wants_it_ended_ends_it_though_it_was_about_to_begin_again() -> None:
    orders = Orders()
    orders.begin_anew()
    orders.hurry.set()
    orders.stop.set()
    assert not orders.take_reopening()
    assert orders.stop.is_set()


def test_a_damaged_head_on_disk_counts_as_none(settings: EdgeSettings) -> None:
    file = UnitFile(settings.storage.data_dir)
    try:
        with file.writing() as db:
            db.execute("INSERT INTO content (hash, sealed) VALUES ('a', x'00')")
            db.execute("INSERT INTO gallery (slot, revision, signed_head, manifest_hash) VALUES (1, 3, x'7b', 'a')")
        store = SqliteGallery(file)
        assert store.signed_head() is None
        assert store.in_use() is None
    finally:
        file.close()
