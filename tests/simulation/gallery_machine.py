"""A search through what can go wrong with galleries, erasures, resets and packs, in a small world."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.simulation.broker import Weather
from tests.simulation.galleries import SimGalleries
from tests.simulation.machine import WorldMachine, units
from tests.simulation.world import Setting

MOMENTS = tuple(f"{side} {what}" for side in ("before", "after") for what in ("stage", "swap", "send"))
WEATHERS = (
    Weather(),
    Weather(delay_s=2.0),
    Weather(lost=0.3),
    Weather(damaged=0.4),
    Weather(lost=0.1, doubled=0.2, disordered=0.3, damaged=0.1, late_s=60.0),
)


class GalleryMachine(WorldMachine):
    """What happens to the galleries of two units."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        """Switch everything on."""
        self.switch_on(seed, Setting(galleries=True, strict=True, sample=5))

    @property
    def galleries(self) -> SimGalleries:
        """What the hub has."""
        assert self.world.galleries is not None
        return self.world.galleries

    @rule(number=units, members=st.sets(st.integers(1, 8), max_size=6))
    def students_are_enrolled_and_erased(self, number: int, members: set[int]) -> None:
        """A gallery gets a new revision."""
        self.galleries.change(self.unit(number).unit_id, members)

    @rule(number=units)
    def gallery_is_reset(self, number: int) -> None:
        """Its revisions are counted anew."""
        self.galleries.reset(self.unit(number).unit_id)

    @rule()
    def school_changes_the_pack(self) -> None:
        """All galleries are made for other models."""
        self.galleries.other_pack()

    @rule()
    def database_is_restored(self) -> None:
        """What was enrolled and erased last is forgotten."""
        self.galleries.restore()

    @rule(number=units, moment=st.sampled_from(MOMENTS))
    def program_will_die(self, number: int, moment: str) -> None:
        """At the next write to its gallery, before or after it."""
        self.unit(number).arm_at(moment)

    @rule(weather=st.sampled_from(WEATHERS))
    def weather_changes(self, weather: Weather) -> None:
        """Pieces are lost, doubled, altered."""
        self.world.broker.weather = weather

    @rule(persistent=st.booleans())
    def broker_restarts(self, persistent: bool) -> None:
        """With or without the heads that it retained."""
        self.world.broker.persistent = persistent
        self.world.broker.die()
        self.world.broker.come_back()
