"""The rest of the unit as the conversation with the hub asks for it: problems, gallery, losses, and live figures."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edge.core.telling import Condition
from edge.loops.gallery import GalleryKeeper
from edge.loops.health import Health
from edge.loops.recorder import Recorder


@dataclass(frozen=True, slots=True)
class UnitSurroundings:
    """`edge.core.telling.Surroundings` of a real unit. The delivery thread calls."""

    health: Health
    keeper: GalleryKeeper
    recorder: Recorder
    live: Callable[[], Condition]
    """Returns what only the composition root can look up: rates, disk, temperature, running time."""

    def condition(self) -> Condition:
        """Return how the unit is now."""
        known = self.keeper.known
        return replace(
            self.live(),
            problems=self.health.problems(),
            gallery_revision=known.revision,
            students=known.gallery.size,
            events_lost=self.recorder.lost,
        )

    def gallery_revision(self) -> int:
        """Return which gallery is in use."""
        return self.keeper.known.revision

    def events_lost(self) -> int:
        """Return how many events a full disk cost since the start."""
        return self.recorder.lost

    def changes(self) -> int:
        """Return how often a problem began or ended."""
        return self.health.changes
