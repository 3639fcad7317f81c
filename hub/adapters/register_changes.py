"""Tells the audit log which statuses changed, and why."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from hub.adapters import audit_log
from hub.adapters.register_rows import Difference

ACTOR = "rollcall"
ACTION = "register.change"


def record(
    connection: Connection,
    differences: Iterable[Difference],
    causes: Mapping[str, str],
    closed: Collection[str],
    at: datetime,
) -> int:
    """Record every status that became another one; return how many. A first status is no change.

    `causes`: why each student was derived again. `closed`: the lessons whose register a teacher had called right.
    """
    changed = 0
    for one in differences:
        if one.before is None or one.after is None or one.before["status"] == one.after["status"]:
            continue
        changed += 1
        audit_log.record(
            connection,
            at=at,
            actor=ACTOR,
            action=ACTION,
            subject=f"student:{one.student_id}",
            object_=one.occasion,
            detail={
                "before": one.before["status"],
                "after": one.after["status"],
                "rule": one.after["rule"],
                "cause": causes.get(one.student_id, ""),
                "closed": one.after["lesson_id"] in closed,
            },
        )
    return changed
