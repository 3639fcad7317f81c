"""Tells the register when the estimate of a boot has changed: what depends on it is to be derived anew.

In a backlog the estimate changes with every batch, and each time it concerns every student of the boot on each day of
a term. So nobody is marked where events arrive. Whoever derives the register compares the estimates with those by which
it was last told, when nothing else waits: however many changes there were meanwhile, it is told once.
"""

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, and_, delete, func, or_, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters.attendance_store import attended_within, mark_pairs
from hub.adapters.database import Database
from hub.adapters.event_dates import BOOT_US, Place, candidates_of
from hub.adapters.schema import attendance, events, undated_boots, undated_told
from hub.core.dating import moment
from hub.core.dating_bounds import Estimate

_AT_ONCE = 5000
"""Marks of one transaction: what arrives waits for no more than these."""
_DAY_US = 86_400_000_000
_SECOND_US = 1_000_000

Pairs = set[tuple[str, date]]


def tell_one(database: Database, zone: ZoneInfo) -> int:
    """Mark what depends on a boot whose estimate has changed since the register was told; return how much, or 0.

    Marking twice is harmless: when this dies in between, it begins anew. Raises as `Database.run`.
    """
    row = database.run(_changed)
    if row is None:
        return 0
    place, guess = Place(row.unit_id, row.boot_id), Estimate(row.earliest_us, row.latest_us, row.begin_us)
    widest = row.widest_earliest_us, row.widest_latest_us
    pairs = database.run(lambda connection: depending(connection, place, widest, guess, zone))
    ordered = sorted(pairs)
    for at in range(0, len(ordered), _AT_ONCE):
        database.run(partial(mark_pairs, pairs=ordered[at : at + _AT_ONCE]))
    database.run(lambda connection: _note(connection, place, guess))
    return max(1, len(pairs))


def depending(
    connection: Connection, place: Place, widest: tuple[int, int], guess: Estimate | None, zone: ZoneInfo
) -> Pairs:
    """Return whose register of which days events of an undated boot may decide, or may have decided.

    `widest` are the moments between which it began by any estimate so far; None: it has no estimate any more.
    """
    of_boot = (events.c.unit_id == place.unit_id, events.c.boot_id == place.boot_id, events.c.student_id.is_not(None))
    span = (func.min(BOOT_US).label("first"), func.max(BOOT_US).label("last"))
    rows = connection.execute(select(events.c.student_id, *span).where(*of_boot).group_by(events.c.student_id)).all()
    reach = {row.student_id: (row.first, row.last) for row in rows}
    for student_id, boot_us in _candidates(connection, place):
        first, last = reach.get(student_id, (boot_us, boot_us))
        reach[student_id] = min(first, boot_us), max(last, boot_us)
    bounds = {one: (moment(widest[0] + first), moment(widest[1] + last)) for one, (first, last) in reach.items()}
    pairs = attended_within(connection, bounds, zone) | _decided(connection, [*bounds])
    if guess is not None and guess.latest_us - guess.earliest_us < _DAY_US:
        # Known so well it may decide a day without lessons. By days in UTC: their ends name every local day of them.
        day = (BOOT_US + guess.earliest_us).op("div")(_DAY_US)
        by_day = select(events.c.student_id, *span).where(*of_boot).group_by(events.c.student_id, day)
        for row in connection.execute(by_day):
            ends = (moment(guess.earliest_us + row.first), moment(guess.earliest_us + row.last))
            pairs.update((row.student_id, one.astimezone(zone).date()) for one in ends)
    return pairs


def _candidates(connection: Connection, place: Place) -> Iterator[tuple[str, int]]:
    """Yield whom the boot's undecided sightings may show, each with the boot's clock then, in microseconds."""
    of_boot = (events.c.unit_id == place.unit_id, events.c.boot_id == place.boot_id, events.c.kind == "review")
    for row in connection.execute(select(events.c.body, BOOT_US.label("boot_us")).where(*of_boot)):
        for student_id in candidates_of(row.body):
            yield student_id, row.boot_us


def _decided(connection: Connection, student_ids: list[str]) -> Pairs:
    """Return the days that an estimate has decided, also those without lessons."""
    theirs = (attendance.c.student_id.in_(sorted(student_ids)), attendance.c.rule == "seen_estimated")
    found = connection.execute(select(attendance.c.student_id, attendance.c.day).where(*theirs))
    return {(row.student_id, row.day) for row in found}


def _changed(connection: Connection) -> Row[Any] | None:
    now, told = undated_boots.c, undated_told.c
    # A moved boot is put elsewhere with every event whose clock runs otherwise than the boot's: by microseconds.
    put = or_(now.begin_us.is_(None) != told.begin_us.is_(None), func.abs(now.begin_us - told.begin_us) >= _SECOND_US)
    changed = or_(told.unit_id.is_(None), now.earliest_us != told.earliest_us, now.latest_us != told.latest_us, put)
    both = and_(now.unit_id == told.unit_id, now.boot_id == told.boot_id)
    return connection.execute(
        select(undated_boots)
        .outerjoin(undated_told, both)
        .where(now.earliest_us.is_not(None), changed)
        # Any: one that changes all the time must not keep the others waiting.
        .order_by(func.rand())
        .limit(1)
    ).one_or_none()


def _note(connection: Connection, place: Place, guess: Estimate) -> None:
    told = {"earliest_us": guess.earliest_us, "latest_us": guess.latest_us, "begin_us": guess.begin_us}
    statement = insert(undated_told).values(unit_id=place.unit_id, boot_id=place.boot_id, **told)
    connection.execute(statement.on_duplicate_key_update({name: statement.inserted[name] for name in told}))


def forget_told(connection: Connection, place: Place) -> None:
    """Forget a boot of which something is known."""
    mine = (undated_told.c.unit_id == place.unit_id, undated_told.c.boot_id == place.boot_id)
    connection.execute(delete(undated_told).where(*mine))
