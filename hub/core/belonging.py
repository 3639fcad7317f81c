"""Which section a student belonged to, and when."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Belonging:
    """A student was in a section from `since` until before `until`, or still is."""

    section_id: str
    since: datetime
    until: datetime | None

    def holds(self, section_id: str | None, at: datetime) -> bool:
        """Whether the student was in this section at that moment."""
        return self.section_id == section_id and self.since <= at and (self.until is None or at < self.until)
