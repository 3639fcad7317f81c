"""`rollcall-hub serve` as a process of its own, with a real broker, a real database and a unit made by hand."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import update

from deploy.own_process import free_port, wait_until
from deploy.private_servers import MosquittoSettings, PrivateMariaDb, PrivateMosquitto, password_file_line
from hub.adapters.gallery_revisions import touch_galleries
from hub.adapters.migrations import migrate
from hub.adapters.schema import attendance, consents, erasures, events
from protocol.content import Applied, GalleryManifest, Head, HeadBody, Part, Want, Wanted
from protocol.delivery import Receipt
from protocol.sealing import check_signature, manifest_context, unseal
from tests.conftest import running
from tests.hub_adapters.serving import Place, Unit, a_school
from tests.hub_core.builders import START, a_message, an_event

pytestmark = [pytest.mark.server, pytest.mark.system, pytest.mark.model]


@pytest.fixture
def place(
    tmp_path: Path, own_mariadb: PrivateMariaDb, own_broker: PrivateMosquitto, pack_folder: Path
) -> Iterator[Place]:
    made = Place(tmp_path / "hub", own_mariadb, own_broker.port, pack_folder)
    yield made
    made.database.close()


@dataclass
class Served:
    """What the tests below work with."""

    place: Place
    unit: Unit
    student_id: str
    key: bytes


@pytest.fixture
def served(place: Place, own_broker: PrivateMosquitto, tmp_path: Path) -> Iterator[Served]:
    """A serving hub, a unit that was welcomed, a student who has consented."""
    unit_id, student_id, key = a_school(place, tmp_path / "unit")
    unit = Unit(unit_id, own_broker.port)
    unit.link.start()
    try:
        with place.serving() as process:
            unit.is_welcomed()
            yield Served(place, unit, student_id, key)
            assert process.poll() is None
    finally:
        unit.link.stop()
    log = place.log.read_text(encoding="utf-8")
    assert "Ada" not in log
    assert "Traceback" not in log
    assert log.rstrip().endswith("stopped")


def test_a_gallery_is_announced_fetched_confirmed_and_erased(served: Served, tmp_path: Path) -> None:
    unit, place = served.unit, served.place
    head = unit.hears(Head)
    check_signature((tmp_path / "unit" / "hub.pub").read_bytes(), head.body.encode(), head.signature)
    body = HeadBody.model_validate_json(head.body)
    assert body.operating_points is not None
    unit.say("want", Want(items=(Wanted(kind="manifest", hash=body.manifest_hash),)))
    part = unit.hears(Part, lambda one: one.hash == body.manifest_hash)
    manifest = GalleryManifest.model_validate_json(unseal(served.key, part.data, *manifest_context(unit.unit_id)))
    assert [entry.display_name for entry in manifest.entries] == ["0001_Ada Lovelace"]
    unit.say("applied", Applied(revision=body.revision, students=1, at=START))
    place.command("gallery", "push", "--timeout", "30")

    with place.database.transaction() as connection:
        connection.execute(update(consents).values(withdrawn_at=START))
        touch_galleries(connection, START)
    newer = unit.hears(Head, lambda one: HeadBody.model_validate_json(one.body).revision > body.revision)
    revision = HeadBody.model_validate_json(newer.body).revision
    unit.say("applied", Applied(revision=revision, erased=(served.student_id,), at=START))
    place.command("gallery", "push", "--timeout", "30")
    with place.database.transaction() as connection:
        [erasure] = connection.execute(erasures.select()).all()
    assert erasure.confirmed_at is not None


def test_events_reach_the_register_also_over_a_killed_database(served: Served, own_mariadb: PrivateMariaDb) -> None:
    unit, place = served.unit, served.place
    unit.say("events", a_message([an_event(seq, student_id=served.student_id, at=START) for seq in (1, 2, 3)]))
    assert unit.hears(Receipt).high_water == 3
    assert wait_until(lambda: place.count(attendance) == 1, 30)

    own_mariadb.kill()
    unit.say("events", a_message([an_event(4, student_id=served.student_id)], number=4))
    unit.hears(Receipt, lambda one: one.result == "busy")
    own_mariadb.start()

    def taken() -> bool:
        unit.say("events", a_message([an_event(4, student_id=served.student_id)], number=5))
        unit.link.take(1, 1)
        return place.count(events) == 4

    assert wait_until(taken, 40)
    assert place.says("database recovered")
    assert place.log.read_text(encoding="utf-8").count("database lost") == 1


def test_it_waits_for_a_database_and_a_broker_that_come_later(
    tmp_path: Path, own_mariadb: PrivateMariaDb, pack_folder: Path
) -> None:
    port = free_port()
    place = Place(tmp_path / "hub", own_mariadb, port, pack_folder)
    place.database.run(migrate)
    own_mariadb.kill()
    with place.serving() as process:
        assert place.says("waiting for the database")
        own_mariadb.start()
        assert place.says("database connected")
        assert place.says("nothing listens there")
        with PrivateMosquitto(tmp_path / "late-broker", port=port):
            assert place.says("broker connected", timeout_s=60)
        assert process.poll() is None
    assert place.log.read_text(encoding="utf-8").count("waiting for the database") == 1
    place.database.close()


def test_it_stops_while_it_still_waits(tmp_path: Path, own_mariadb: PrivateMariaDb, pack_folder: Path) -> None:
    place = Place(tmp_path / "hub", own_mariadb, 1, pack_folder)
    own_mariadb.kill()
    with place.serving() as process:
        assert place.says("waiting for the database")
    assert process.returncode == 0
    place.database.close()


def test_it_ends_at_once_when_waiting_would_not_help(place: Place, tmp_path: Path) -> None:
    with place.serving() as process:
        assert process.wait(40) == 1
    assert "rollcall-hub db migrate" in place.log.read_text(encoding="utf-8")
    (tmp_path / "hub" / "database.password").write_text("wrong", encoding="utf-8")
    with place.serving() as process:
        assert process.wait(40) == 1
    assert "check database.user and database.password_file" in place.log.read_text(encoding="utf-8")


def test_a_broker_that_refuses_our_password_ends_it_with_a_sentence(
    tmp_path: Path, own_mariadb: PrivateMariaDb, pack_folder: Path, pytestconfig: pytest.Config
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(password_file_line("hub", "right") + "\n", encoding="utf-8")
    passwords.chmod(0o600)
    settings = MosquittoSettings(anonymous=False, extra_lines=(f"password_file {passwords}",))
    with running(PrivateMosquitto(tmp_path / "locked", settings=settings), pytestconfig) as locked:
        place = Place(tmp_path / "hub", own_mariadb, locked.port, pack_folder)
        place.database.run(migrate)
        with place.serving() as process:
            assert process.wait(60) == 1
        assert "check broker.username and broker.password_file" in place.log.read_text(encoding="utf-8")
        place.database.close()


def test_it_stops_in_time_although_the_broker_is_frozen(place: Place, own_broker: PrivateMosquitto) -> None:
    place.database.run(migrate)
    try:
        with place.serving():
            assert place.says("broker connected")
            os.kill(own_broker.pid, signal.SIGSTOP)
    finally:
        os.kill(own_broker.pid, signal.SIGCONT)
    assert place.log.read_text(encoding="utf-8").rstrip().endswith("stopped")
