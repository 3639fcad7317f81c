"""From which day on a rule may hold: not years away, and none whose register stays as it is."""

from datetime import date, timedelta

from sqlalchemy import Connection

from hub.adapters import rules_writing
from hub.core.errors import BadInput, Conflict

_FARTHEST = timedelta(days=3 * 366)
"""From today: no school means more."""


def check_effective(connection: Connection, day: date, today: date) -> None:
    """Raise BadInput for a day years away, Conflict for one whose events retention has deleted."""
    if abs(day - today) > _FARTHEST:
        raise BadInput(f"{day} is more than {_FARTHEST.days} days away: is the year right?")
    frozen = rules_writing.frozen_until(connection)
    if day < frozen:
        raise Conflict(
            f"the register of {day} stays as it is: what units sent of that day was deleted",
            hint=f"name {frozen} or a later day",
        )
