"""The school's rules on record: from which day on which of them are in force."""

import json
from datetime import time, timedelta

from sqlalchemy import Connection, Row, select

from hub.adapters.schema import register_rules
from hub.core.attendance_facts import Rules, Session


def known(connection: Connection) -> list[Rules]:
    """Return all rules that were ever made, by version; which hold on a day is said by `rules_on`."""
    return [_rules(row) for row in connection.execute(select(register_rules).order_by(register_rules.c.version))]


def _rules(row: Row[tuple[object, ...]]) -> Rules:
    return Rules(
        early=timedelta(minutes=row.early_min),
        late_after=timedelta(minutes=row.late_after_min),
        covered_share=row.covered_share,
        left_early=timedelta(minutes=row.left_early_min),
        held_share=row.held_share,
        sessions=tuple(
            Session(name, time.fromisoformat(since), time.fromisoformat(until))
            for name, since, until in json.loads(row.sessions)
        ),
        version=row.version,
        from_day=row.from_day,
    )
