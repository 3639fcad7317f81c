"""What the daily run of retention noted of itself: it goes on where it stopped, and says in the end what it deleted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters.schema import hub_facts

RUN = "retention.run"


def fact(connection: Connection, name: str, *, lock: bool = False) -> str | None:
    """Return what the hub noted under a name."""
    statement = select(hub_facts.c.value).where(hub_facts.c.name == name)
    found: str | None = connection.execute(statement.with_for_update() if lock else statement).scalar()
    return found


def note_fact(connection: Connection, name: str, value: str, at: datetime) -> None:
    """Note something under a name, in place of what was there."""
    statement = insert(hub_facts).values(name=name, value=value, changed_at=at)
    new = statement.inserted
    connection.execute(statement.on_duplicate_key_update(value=new.value, changed_at=new.changed_at))


@dataclass(frozen=True, slots=True)
class RunNoted:
    """The newest run: of which day, how much it deleted of each kind, and whether it came to its end."""

    day: date
    done: bool
    counts: Mapping[str, int]


def run_noted(connection: Connection, *, lock: bool = False) -> RunNoted | None:
    """Return the newest run on record; None: there was none."""
    value = fact(connection, RUN, lock=lock)
    if value is None:
        return None
    told = json.loads(value)
    return RunNoted(date.fromisoformat(told["day"]), bool(told["done"]), dict(told["counts"]))


def note_run(connection: Connection, run: RunNoted, at: datetime) -> None:
    """Note a run in place of the one before."""
    told = {"day": run.day.isoformat(), "done": run.done, "counts": dict(run.counts)}
    note_fact(connection, RUN, json.dumps(told, sort_keys=True), at)


def add_to_run(connection: Connection, counts: Mapping[str, int], at: datetime) -> None:
    """Add to what the present run deleted, in the transaction that deletes it."""
    run = run_noted(connection, lock=True)
    if run is not None and any(counts.values()):
        together = {kind: run.counts.get(kind, 0) + counts.get(kind, 0) for kind in {*run.counts, *counts}}
        note_run(connection, RunNoted(run.day, run.done, together), at)
