"""Which section and which groups a student belonged to, and when; in which room a unit was."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime

SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Whoever is added with a section counts as having always been in it: lists are often entered after term began."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """A student was in a section from `since` until before `until`, or still is."""

    section_id: str
    since: datetime
    until: datetime | None

    def holds(self, section_id: str | None, at: datetime) -> bool:
        """Whether the student was in this section at that moment."""
        return self.section_id == section_id and self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class GroupBelonging:
    """A student was in a group of their section from `since` until before `until`, or still is."""

    group_id: str
    since: datetime
    until: datetime | None

    def holds(self, group_id: str | None, at: datetime) -> bool:
        """Whether the student was in this group at that moment."""
        return self.group_id == group_id and self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class UnitPlaces:
    """Where a unit was: (since, room) in order of time. Before the first it was where the first says."""

    places: tuple[tuple[datetime, str], ...]

    def room_at(self, moment: datetime) -> str:
        """Return the room in which the unit was at an aware moment."""
        return self.places[self._index(moment)][1]

    def one_room(self, since: datetime, until: datetime) -> str | None:
        """Return the room if the unit was in the same one from `since` to before `until`, else None."""
        first, last = self._index(since), self._index(max(since, until))
        if last > first and self.places[last][0] == until:
            last -= 1
        return self.places[first][1] if first == last else None

    def next_move(self, moment: datetime) -> datetime | None:
        """Return when the unit was moved next after a moment; None when it was not."""
        return next((since for since, _ in self.places if since > moment), None)

    def moved(self, at: datetime, room_id: str) -> "UnitPlaces":
        """Return the same unit moved at `at`, until it was moved again; a move to where it is already is none."""
        kept = [place for place in self.places if place[0] != at or place == self.places[0]]
        if kept[0][0] >= at:
            kept[0] = (kept[0][0], room_id)
        else:
            kept.append((at, room_id))
        kept.sort()
        return UnitPlaces(
            tuple(place for index, place in enumerate(kept) if index == 0 or kept[index - 1][1] != place[1])
        )

    def _index(self, moment: datetime) -> int:
        return max(0, bisect_right(self.places, moment, key=lambda place: place[0]) - 1)
