"""What a full disk has not taken yet: held in memory, and gone with the process."""

from collections import deque
from collections.abc import Sequence

from edge.core.errors import StorageFull
from tests.simulation.disk_journal import DiskJournal
from tests.simulation.facts import Fact

_HELD_AT_MOST = 10_000


class Recorder:
    """What a full disk has not taken yet, as the unit's recorder holds it."""

    def __init__(self, journal: DiskJournal) -> None:
        self._journal = journal
        self._held: deque[Fact] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._held)

    def write(self, facts: Sequence[Fact]) -> None:
        """Commit these and what was held before, or hold them."""
        if self._held:
            self._held.extend(facts)
            facts = list(self._held)
        if not facts:
            return
        try:
            self._journal.write(facts)
        except StorageFull:
            self._held = deque(facts)
            while len(self._held) > _HELD_AT_MOST:
                self._held.popleft()
                self.dropped += 1
        else:
            self._held.clear()
