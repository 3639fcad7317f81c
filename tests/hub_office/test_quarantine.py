"""The quarantine: seen, corrected, taken after all, set aside; nothing of it ever deleted, every decision on record."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from typer.testing import CliRunner, Result

from hub.adapters import quarantine_room, quarantine_rows, quarantine_store, stream_marks
from hub.adapters.database import Database
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.quarantine_rows import PAGE, Kept, Line, Wanted
from hub.cli import app
from hub.cli import quarantine as quarantine_cli
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.ingest import Arrival, Unusable
from hub.office import quarantine, quarantine_replay, units
from protocol import codec, topics
from protocol.delivery import Audit, RangeDigest, xor64
from tests.hub_core.builders import EPOCH, START, a_batch, a_message, a_student, an_event, an_id
from tests.hub_office.conftest import NOW, OfficeUnderTest

UNIT_ID = "abababab-abab-abab-abab-abababababab"
AT = START
Command = Callable[..., Result]


@pytest.fixture
def store(desk: OfficeUnderTest) -> MySqlEventStore:
    """The store of the school's one unit."""
    desk.do("insert into rooms (id, name) values (repeat('r', 16), '12')")
    desk.add_unit("12")
    return MySqlEventStore(desk.office.database, desk.office.settings.zone)


@pytest.fixture
def run(desk: OfficeUnderTest) -> Command:
    def call(*words: str, code: int = 0) -> Result:
        arguments = ["--config", str(desk.settings_file), "--actor", "ada", "quarantine", *words]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == code, result.output
        return result

    return call


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    """Every statement that goes to the database."""
    said: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        said.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    yield said
    event.remove(database._engine, "before_cursor_execute", note)


def poison(store: MySqlEventStore, desk: OfficeUnderTest, seq: int = 2, at: datetime = AT, **changed: Any) -> Kept:
    """One event that the hub did not take."""
    store.take([a_batch([an_event(seq, **({"score": 7} | changed))], unit_id=UNIT_ID, at=at)])
    line = next(row for row in quarantine.find(desk.office, Wanted()) if row.seq == seq)
    return quarantine.one(desk.office, line.row_id)


def now_understood(desk: OfficeUnderTest, kept: Kept) -> None:
    """As after an update of the hub: what is kept is an event of a kind that is known now."""
    body = json.dumps(an_event(kept.seq or 0)).encode().hex()
    desk.do(f"update quarantine set body = x'{body}' where hex(id) = '{kept.row_id.replace('-', '').upper()}'")  # noqa: S608


def one(desk: OfficeUnderTest, kept: Kept) -> Kept:
    return quarantine.one(desk.office, kept.row_id)


def corrected(kept: Kept, **changed: Any) -> bytes:
    return json.dumps(json.loads(kept.body) | {"score": 0.7} | changed).encode()


def test_an_event_that_is_understood_now_is_taken_at_its_own_place(
    store: MySqlEventStore, desk: OfficeUnderTest
) -> None:
    store.take([a_batch([an_event(1)], unit_id=UNIT_ID)])
    kept = poison(store, desk)
    [before] = quarantine_replay.replay(desk.office, [kept])
    assert (before.outcome, before.why) == (None, "invalid: wrong or missing: seen.score")
    now_understood(desk, kept)
    [after] = quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert after.outcome == "taken"
    assert desk.rows("select seq, epoch from events order by seq") == [(1, EPOCH), (2, EPOCH)]
    settled = one(desk, kept)
    assert (settled.outcome, settled.resolved_by) == ("taken", "tester")
    assert desk.count("quarantine") == 1
    assert desk.actions()[-1] == "quarantine.replay"
    again = quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert again[0].why == "was settled before"
    assert desk.count("events") == 2


def test_what_is_on_record_already_is_settled_as_a_duplicate(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    kept = poison(store, desk)
    body = one(desk, kept)
    store.take([a_batch([an_event(2)], unit_id=UNIT_ID)])
    desk.do("update quarantine set resolved_at = null, outcome = null, resolved_by = null")
    now_understood(desk, kept)
    [done] = quarantine_replay.replay(desk.office, [one(desk, body)])
    assert done.outcome == "duplicate"
    assert desk.count("events") == 1


def test_an_event_that_the_unit_sends_again_and_that_is_taken_settles_its_entry(
    store: MySqlEventStore, desk: OfficeUnderTest
) -> None:
    kept = poison(store, desk)
    store.take([a_batch([an_event(2)], unit_id=UNIT_ID)])
    settled = one(desk, kept)
    assert (settled.outcome, settled.resolved_by) == ("taken", "the unit")
    assert quarantine.find(desk.office, Wanted()) == []


def counted(*seqs: int, last: int = 2) -> Audit:
    """What a unit says that counts these events of a range."""
    rows = a_batch([an_event(seq) for seq in seqs]).rows
    digest = RangeDigest(first=1, last=last, count=len(seqs), xor64=xor64(row.sha256 for row in rows))
    return Audit(epoch=EPOCH, audit_id=an_id(9), digests=(digest,))


def differs(store: MySqlEventStore, *seqs: int) -> bool:
    answer = store.audit(UNIT_ID, counted(*seqs))
    assert answer is not None
    return bool(answer.differing)


def test_what_a_person_had_taken_is_no_difference_to_the_unit_that_holds_it_as_a_dead_letter(
    store: MySqlEventStore, desk: OfficeUnderTest
) -> None:
    store.take([a_batch([an_event(1)], unit_id=UNIT_ID)])
    kept = poison(store, desk)
    assert not differs(store, 1)
    now_understood(desk, kept)
    quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert not differs(store, 1)
    # The unit offers its dead letter again by itself: from now on both count it.
    [taken] = store.take([a_batch([an_event(2)], unit_id=UNIT_ID, number=2)])
    assert taken.receipt is not None
    assert taken.receipt.duplicate
    assert one(desk, kept).resolved_by == "the unit"
    assert not differs(store, 1, 2)
    desk.do("delete from events where seq = 2")
    assert differs(store, 1, 2)


def test_a_replay_that_breaks_off_after_the_commit_is_still_known_to_be_a_persons(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.take([a_batch([an_event(1)], unit_id=UNIT_ID)])
    kept = poison(store, desk)
    now_understood(desk, kept)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(quarantine_replay, "_close", killed)
    with pytest.raises(KeyboardInterrupt):
        quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert (one(desk, kept).outcome, one(desk, kept).resolved_by) == ("taken", "tester")
    assert not differs(store, 1)


def test_a_replay_in_vain_claims_nothing(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    store.take([a_batch([an_event(2, event_id=an_id(50))], unit_id=UNIT_ID)])
    kept = poison(store, desk, seq=2)
    now_understood(desk, kept)
    [done] = quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert done.outcome is None
    assert one(desk, kept).resolved_by is None


def test_a_conflict_stays_open_whatever_else_is_taken(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    store.take([a_batch([an_event(1)], unit_id=UNIT_ID)])
    kept = poison(store, desk, seq=1, score=0.5)
    assert kept.code == "conflict"
    store.take([a_batch([an_event(1)], unit_id=UNIT_ID)])
    assert one(desk, kept).resolved_at is None
    [done] = quarantine_replay.replay(desk.office, [kept])
    assert done.outcome is None
    assert done.why.startswith("conflict: ")


def test_a_corrected_event_is_taken_and_what_was_sent_is_kept(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    kept = poison(store, desk)
    quarantine.fix(desk.office, kept.row_id, corrected(kept))
    [done] = quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert done.outcome == "taken"
    settled = one(desk, kept)
    assert settled.body == kept.body
    assert json.loads(settled.fixed_body or b"")["score"] == 0.7
    assert desk.actions()[-2:] == ["quarantine.fix", "quarantine.replay"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": 9}, "still not an event"),
        ({"seq": 3}, "keep its place"),
        ({"event_id": an_id(5)}, "keep its event_id"),
    ],
)
def test_a_correction_that_is_wrong_is_refused(
    store: MySqlEventStore, desk: OfficeUnderTest, change: dict[str, Any], said: str
) -> None:
    kept = poison(store, desk)
    with pytest.raises(BadInput, match=said):
        quarantine.fix(desk.office, kept.row_id, corrected(kept, **change))
    assert one(desk, kept).fixed_body is None
    assert "quarantine.fix" not in desk.actions()


@pytest.mark.parametrize("body", [b"\xff", b"[]", b'"text"', b"{"])
def test_a_correction_that_is_no_event_at_all_is_refused(
    store: MySqlEventStore, desk: OfficeUnderTest, body: bytes
) -> None:
    kept = poison(store, desk)
    with pytest.raises(BadInput):
        quarantine.fix(desk.office, kept.row_id, body)


def test_what_is_set_aside_stays_on_record_and_is_never_taken(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    kept = poison(store, desk)
    with pytest.raises(BadInput, match="say why"):
        quarantine.discard(desk.office, kept.row_id, " ")
    quarantine.discard(desk.office, kept.row_id, "a test of the installer")
    assert (one(desk, kept).outcome, one(desk, kept).body) == ("discarded", kept.body)
    with pytest.raises(Conflict, match="discarded by tester"):
        quarantine.discard(desk.office, kept.row_id, "again")
    with pytest.raises(Conflict):
        quarantine.fix(desk.office, kept.row_id, corrected(kept))
    assert one(desk, kept).detail == "wrong or missing: seen.score; set aside: a test of the installer"
    # What somebody wrote could never be erased from the audit log.
    assert "installer" not in str(desk.rows("select detail from audit"))
    long = poison(store, desk, seq=3, kind="x" * 300)
    with pytest.raises(BadInput, match="1 to 120"):
        quarantine.discard(desk.office, long.row_id, "y" * 121)
    quarantine.discard(desk.office, long.row_id, "y" * 120)
    assert one(desk, long).detail.endswith("; set aside: " + "y" * 120)


def test_a_whole_message_that_was_not_understood_is_replayed_too(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    message = codec.encode(a_message([an_event(1), an_event(2)]))
    topic = topics.up("test", UNIT_ID, "events").topic
    arrival = Arrival(topic, message, AT)
    store.quarantine([Unusable("invalid", "not known then", arrival, UNIT_ID), Unusable("invalid", "", arrival)])
    lost = Arrival(topic, b"\xff\x00", AT)
    store.quarantine([Unusable("invalid", "not JSON", lost, UNIT_ID)])
    waiting = [quarantine.one(desk.office, line.row_id) for line in quarantine.find(desk.office, Wanted())]
    done = quarantine_replay.replay(desk.office, waiting)
    assert sorted((one.outcome or "", one.why) for one in done)[-1] == ("taken", "")
    assert sum(one.outcome is None for one in done) == 2
    assert desk.count("events") == 2


def test_what_would_begin_one_stream_too_many_today_stays_and_says_so(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = topics.up("test", UNIT_ID, "events").topic
    arrival = Arrival(topic, codec.encode(a_message([an_event(1)])), AT)
    store.quarantine([Unusable("invalid", "not known then", arrival, UNIT_ID)])
    [line] = quarantine.find(desk.office, Wanted())
    waiting = quarantine.one(desk.office, line.row_id)
    with monkeypatch.context() as today:
        today.setattr(stream_marks, "MOST_NEW_A_DAY", 0)
        [refused] = quarantine_replay.replay(desk.office, [waiting])
    assert (refused.outcome, refused.why) == (None, "its unit began too many streams today: replay it tomorrow")
    assert desk.count("events") == 0
    [done] = quarantine_replay.replay(desk.office, [quarantine.one(desk.office, line.row_id)])
    assert done.outcome == "taken"


def test_what_began_too_many_streams_then_is_taken_when_there_are_few_today(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_marks, "MOST_NEW_A_DAY", 2)
    for number in (1, 2):
        other = a_batch([an_event(number, event_id=an_id(70 + number))], unit_id=UNIT_ID, epoch=f"{number:016x}")
        [taken] = store.take([replace(other, received_at=NOW - timedelta(days=10, hours=number))])
        assert taken.receipt is not None
        assert taken.receipt.accepted
    topic = topics.up("test", UNIT_ID, "events").topic
    arrival = Arrival(topic, codec.encode(a_message([an_event(1)])), NOW - timedelta(days=10))
    store.quarantine([Unusable("invalid", "not known then", arrival, UNIT_ID)])
    [line] = quarantine.find(desk.office, Wanted())
    [done] = quarantine_replay.replay(desk.office, [quarantine.one(desk.office, line.row_id)])
    assert done.outcome == "taken"


def test_an_export_is_of_one_moment_whatever_is_settled_meanwhile(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [poison(store, desk, seq=seq) for seq in range(1, 6)]
    pages = quarantine_rows.lines

    def lines(connection: Connection, wanted: Wanted, *, skip: int = 0) -> list[Line]:
        if skip == 2:
            quarantine.discard(desk.office, rows[0].row_id, "meanwhile")
        return pages(connection, wanted, skip=skip, most=2)

    monkeypatch.setattr(quarantine_rows, "lines", lines)
    count, told = quarantine.export(desk.office, Wanted())
    assert (count, [json.loads(line)["seq"] for line in told.splitlines()]) == (5, [1, 2, 3, 4, 5])


def test_an_event_of_a_unit_that_was_revoked_is_not_taken(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    kept = poison(store, desk)
    quarantine.fix(desk.office, kept.row_id, corrected(kept))
    desk.do("update units set revoked_at = now()")
    [done] = quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert done.why == "its unit is not known here, or was revoked"


@pytest.mark.parametrize("row_id", ["nothing", an_id(404), ""])
def test_an_id_that_nothing_is_kept_under_is_said(desk: OfficeUnderTest, row_id: str) -> None:
    with pytest.raises(NotFound, match="nothing is kept under"):
        quarantine.one(desk.office, row_id)


# ---- two at once ---------------------------------------------------------------------------------------------------


def test_a_good_event_of_one_machine_does_not_settle_what_another_sent_at_the_same_place(
    store: MySqlEventStore, desk: OfficeUnderTest
) -> None:
    kept = poison(store, desk, event_id=an_id(50))
    store.take([a_batch([an_event(2)], unit_id=UNIT_ID)])
    assert one(desk, kept).resolved_at is None


def test_what_has_no_id_of_its_own_is_settled_by_its_place(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    kept = poison(store, desk, event_id="not an id")
    store.take([a_batch([an_event(2)], unit_id=UNIT_ID)])
    assert one(desk, kept).outcome == "taken"


def test_what_its_unit_has_numbered_anew_since_is_settled_by_a_replay(
    store: MySqlEventStore, desk: OfficeUnderTest
) -> None:
    kept = poison(store, desk)
    store.take([a_batch([an_event(2) | {"seq": 1}], unit_id=UNIT_ID, epoch="00000000000000bb")])
    now_understood(desk, kept)
    [done] = quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert (done.outcome, done.why) == ("duplicate", "")
    settled = one(desk, kept)
    assert (settled.outcome, settled.resolved_by) == ("duplicate", "tester")
    assert desk.count("events") == 1


def test_what_was_set_aside_meanwhile_is_not_taken_by_a_replay_that_read_it_before(
    store: MySqlEventStore, desk: OfficeUnderTest
) -> None:
    kept = poison(store, desk)
    now_understood(desk, kept)
    before = one(desk, kept)
    quarantine.discard(desk.office, kept.row_id, "a test")
    [done] = quarantine_replay.replay(desk.office, [before])
    assert (done.outcome, done.why) == ("discarded", "was settled before")
    assert desk.count("events") == 0


def test_what_somebody_is_taking_is_not_set_aside_at_the_same_moment(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = poison(store, desk)
    now_understood(desk, kept)
    take, said = MySqlEventStore.take, []

    def meanwhile(self: MySqlEventStore, batches: Any) -> Any:
        with pytest.raises(Conflict, match="tester has begun to take this"):
            quarantine.discard(desk.office, kept.row_id, "a test")
        said.append("refused")
        return take(self, batches)

    monkeypatch.setattr(MySqlEventStore, "take", meanwhile)
    [done] = quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert (done.outcome, said) == ("taken", ["refused"])
    assert "quarantine.discard" not in desk.actions()


def test_of_two_who_set_the_same_aside_one_is_told_so(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    kept = poison(store, desk)
    quarantine.discard(desk.office, kept.row_id, "a test")
    with pytest.raises(Conflict, match="settled before"):
        quarantine.discard(desk.office, kept.row_id, "again")
    assert desk.actions().count("quarantine.discard") == 1


# ---- room ----------------------------------------------------------------------------------------------------------


def poison_batch(first: int, last: int, **changed: Any) -> Any:
    return a_batch([an_event(seq, **({"score": 7} | changed)) for seq in range(first, last + 1)], unit_id=UNIT_ID)


def test_what_finds_no_room_is_refused_and_counted_and_leaves_no_gap_in_its_stream(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine_room, "MOST_OF_UNIT", 3)
    [taken] = store.take([poison_batch(2, 6)])
    assert taken.receipt is not None
    assert [one.code for one in taken.receipt.rejected] == ["invalid"] * 5
    assert [line.seq for line in quarantine.find(desk.office, Wanted())] == [2, 3, 4]
    assert desk.rows("select dropped from quarantine_dropped") == [(2,)]
    store.take([a_batch([an_event(7)], unit_id=UNIT_ID, number=2)])
    [taken] = store.take([a_batch([an_event(1)], unit_id=UNIT_ID, number=3)])
    assert taken.receipt is not None
    assert taken.receipt.high_water == 7
    assert desk.count("refused_places") == 0


def test_the_same_poison_again_needs_no_room_and_is_not_counted(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine_room, "MOST_OF_UNIT", 3)
    for _ in range(3):
        store.take([poison_batch(1, 3)])
    assert desk.count("quarantine") == 3
    assert desk.count("quarantine_dropped") == 0


def test_large_poison_is_bounded_by_its_bytes_and_by_what_all_units_hold(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine_room, "MOST_BYTES_OF_UNIT", 25_000)
    store.take([poison_batch(1, 4, more="x" * 10_000)])
    assert desk.count("quarantine") == 2
    desk.do("update quarantine set resolved_at = now(), outcome = 'discarded', resolved_by = 'ada'")
    monkeypatch.setattr(quarantine_room, "MOST_IN_ALL", 1)
    store.take([poison_batch(5, 7)])
    assert desk.count("quarantine") == 3


def test_messages_that_are_settled_leave_room_for_others_and_the_same_one_is_kept_once(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine_store, "MOST_UNUSABLE", 2)

    def garbage(number: int) -> Unusable:
        return Unusable("invalid", "not JSON", Arrival("rollcall/1/x/up", b"\xff%d" % number, AT))

    assert store.quarantine([garbage(1), garbage(1), garbage(2), garbage(3)]) == 2
    assert store.quarantine([garbage(1), garbage(4)]) == 0
    desk.do("update quarantine set resolved_at = now(), outcome = 'discarded', resolved_by = 'ada'")
    assert store.quarantine([garbage(1), garbage(4)]) == 1
    assert desk.count("quarantine") == 3


def test_a_unit_whose_poison_finds_no_room_is_named_in_the_fleet(
    store: MySqlEventStore, desk: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine_room, "MOST_OF_UNIT", 1)
    store.take([a_batch([an_event(seq, score=7) for seq in (1, 2, 3)], unit_id=UNIT_ID, at=NOW)])
    [line] = units.everyone(desk.office)
    assert line["quarantine_dropped"] == 2
    said = {one["code"]: one["text"] for one in line["troubles"]}
    assert said["quarantine_full"].startswith("2 refused messages found no room in quarantine")
    desk.do("update quarantine set resolved_at = now(), outcome = 'discarded', resolved_by = 'ada'")
    desk.clock.forward(timedelta(days=2))
    [line] = units.everyone(desk.office)
    assert "quarantine_full" not in {one["code"] for one in line["troubles"]}


# ---- the commands --------------------------------------------------------------------------------------------------


def test_what_was_sent_is_shown_only_when_asked_for_and_that_is_noted(
    store: MySqlEventStore, desk: OfficeUnderTest, run: Command
) -> None:
    kept = poison(store, desk, student_id=a_student(9))
    for words in (("list",), ("list", "--json"), ("show", kept.row_id), ("show", kept.row_id, "--json")):
        assert a_student(9) not in run(*words).stdout
    assert "quarantine.read" not in desk.actions()
    assert a_student(9) in run("show", kept.row_id, "--content").stdout
    assert json.loads(run("show", kept.row_id, "--content", "--json").stdout)["content"]["score"] == 7
    assert desk.actions().count("quarantine.read") == 2


def test_the_list_is_narrowed_and_says_what_became_of_each(
    store: MySqlEventStore, desk: OfficeUnderTest, run: Command
) -> None:
    assert "Nothing waits" in run("list").stdout
    first, second = poison(store, desk, seq=2), poison(store, desk, seq=3)
    run("discard", first.row_id, "--reason", "a test")
    assert [row["id"] for row in json.loads(run("list", "--json").stdout)] == [second.row_id]
    everything = json.loads(run("list", "--all", "--json").stdout)
    assert [(row["seq"], row["outcome"], row["resolved_by"]) for row in everything] == [
        (2, "discarded", "ada"),
        (3, None, None),
    ]
    assert json.loads(run("list", "--unit", "other", "--json").stdout) == []
    assert json.loads(run("list", "--code", "conflict", "--json").stdout) == []
    assert len(json.loads(run("list", "--unit", "unit", "--code", "invalid", "--json").stdout)) == 1


def test_a_long_list_is_shown_page_by_page_and_never_reads_what_was_sent(
    store: MySqlEventStore, desk: OfficeUnderTest, run: Command
) -> None:
    for first in range(1, 2 * PAGE, PAGE):
        store.take([poison_batch(first, first + PAGE - 1)])
    store.take([poison_batch(2 * PAGE + 1, 2 * PAGE + 3)])
    with statements_of(desk.office.database) as said:
        pages = [quarantine.page(desk.office, Wanted(), number) for number in (1, 2, 3, 4)]
    assert [[len(lines), number] for lines, number in pages] == [[PAGE, 203], [PAGE, 203], [3, 203], [0, 203]]
    assert [line.seq for lines, _ in pages for line in lines] == list(range(1, 2 * PAGE + 4))
    assert said
    assert all("quarantine.body" not in one and "fixed_body," not in one for one in said)
    assert f"{PAGE + 1} to {2 * PAGE} of 203; the next: --page 3" in run("list", "--page", "2").stderr
    assert "the next" not in run("list", "--page", "3").stderr
    assert "only 203" in run("list", "--page", "4").stdout
    assert len(json.loads(run("list", "--json").stdout)) == 203


def test_replay_says_what_is_still_refused_and_ends_with_a_code(
    store: MySqlEventStore, desk: OfficeUnderTest, run: Command, tmp_path: Path
) -> None:
    first, second = poison(store, desk, seq=2), poison(store, desk, seq=3)
    refused = run("replay", "--all", code=1)
    assert "0 of 2 are settled" in refused.stdout
    assert f"{first.row_id} is still refused: invalid" in refused.stderr
    file = tmp_path / "corrected.json"
    file.write_bytes(corrected(first))
    assert "quarantine replay" in run("fix", first.row_id, "--file", str(file)).stdout
    assert "waits, corrected" in run("list").stdout
    run("replay", first.row_id)
    [line] = json.loads(run("replay", second.row_id, "--json", code=1).stdout)
    assert (line["id"], line["outcome"]) == (second.row_id, None)
    run("replay", code=2)
    run("replay", first.row_id, "--all", code=2)
    run("fix", first.row_id, "--file", str(tmp_path / "none"), code=1)


def test_an_export_has_everything_and_is_noted(
    store: MySqlEventStore, desk: OfficeUnderTest, run: Command, tmp_path: Path
) -> None:
    kept = poison(store, desk)
    file = tmp_path / "quarantine.jsonl"
    assert json.loads(run("export", str(file), "--json").stdout)["rows"] == 1
    [line] = file.read_text().splitlines()
    assert json.loads(line)["content"] == json.loads(kept.body)
    assert file.stat().st_mode & 0o777 == 0o600
    assert desk.actions()[-1] == "quarantine.export"
    assert run("export", "-").stdout.strip() == line


def test_every_command_teaches_with_an_example() -> None:
    for command in quarantine_cli.app.registered_commands:
        shown = CliRunner().invoke(app, ["quarantine", str(command.name), "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0
        assert "--json" in shown.output
        assert "Example" in shown.output


def test_an_entry_is_received_when_it_was_first_received(store: MySqlEventStore, desk: OfficeUnderTest) -> None:
    kept = poison(store, desk, at=NOW - timedelta(days=3))
    quarantine.fix(desk.office, kept.row_id, corrected(kept))
    quarantine_replay.replay(desk.office, [one(desk, kept)])
    assert desk.rows("select received_at from events") == [((NOW - timedelta(days=3)).replace(tzinfo=None),)]
