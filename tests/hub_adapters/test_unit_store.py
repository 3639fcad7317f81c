"""What units say of themselves, on a real MariaDB: copied cards are noticed and stay visible for a while."""

from datetime import datetime, timedelta

import pytest

from hub.adapters.event_store import MySqlEventStore
from hub.adapters.schema import epochs
from protocol.delivery import Hello
from tests.hub_adapters.school import ZONE, School
from tests.hub_core.builders import BOOT, EPOCH, PACK, START, UNIT, a_batch, an_event, an_id

pytestmark = pytest.mark.server
OTHER_EPOCH = "00000000000000bb"


@pytest.fixture
def store(school: School) -> MySqlEventStore:
    school.unit()
    return MySqlEventStore(school.database, ZONE)


def hear(store: MySqlEventStore, after_s: float, *, boot_id: str = BOOT, epoch: str = EPOCH) -> bool:
    """Say hello; tell whether a copied card is suspected."""
    hello = Hello(
        epoch=epoch,
        boot_id=boot_id,
        last_seq=0,
        delivered_seq=0,
        gallery_revision=0,
        pack_id=PACK,
        software="1",
        clock="synced",
        at=START,
    )
    greeting = store.greet(UNIT, hello, START + timedelta(seconds=after_s))
    assert greeting is not None
    return greeting.clone_suspected


def cloned_at(school: School) -> list[datetime | None]:
    return [row["cloned_at"] for row in school.rows(epochs)]


def test_a_unit_that_was_started_again_is_no_copy(store: MySqlEventStore, school: School) -> None:
    assert [hear(store, 60 * number, boot_id=an_id(number)) for number in range(5)] == [False] * 5
    assert cloned_at(school) == [None]


def test_a_boot_that_returns_after_another_one_is_a_copied_card_and_stays_on_record(
    store: MySqlEventStore, school: School
) -> None:
    assert not hear(store, 0, boot_id=an_id(1))
    assert not hear(store, 10, boot_id=an_id(2))
    assert hear(store, 20, boot_id=an_id(1))
    assert cloned_at(school) == [START + timedelta(seconds=20)]


def test_a_connection_that_was_lost_for_a_moment_is_no_copy(store: MySqlEventStore) -> None:
    assert not hear(store, 0)
    assert not hear(store, 1)
    assert not hear(store, 400)


def test_the_old_stream_of_a_unit_whose_rest_arrives_late_is_no_copy(store: MySqlEventStore, school: School) -> None:
    assert not hear(store, 0, epoch=OTHER_EPOCH)
    # Of a file that was damaged before the hub ever heard of it, salvaged and sent behind what happens now.
    store.take([a_batch([an_event(1)], at=START + timedelta(seconds=60))])
    assert not hear(store, 120, epoch=OTHER_EPOCH)
    assert cloned_at(school) == [None, None]


def test_a_hello_that_is_handled_late_does_not_make_a_unit_silent(store: MySqlEventStore, school: School) -> None:
    store.take([a_batch([an_event(1)], at=START + timedelta(seconds=60))])
    hear(store, 0)
    assert [row["last_heard_at"] for row in school.rows(epochs)] == [START + timedelta(seconds=60)]


def test_what_is_replayed_from_long_ago_is_no_sign_of_life_and_takes_none_away(
    store: MySqlEventStore, school: School
) -> None:
    hear(store, 600)
    store.take([a_batch([an_event(1)], at=START)])
    assert [row["last_heard_at"] for row in school.rows(epochs)] == [START + timedelta(seconds=600)]
