"""What a search does to any small world: hypothesis chooses, and shortens what it finds.

A failing run prints its steps; they replay it exactly. `tests.simulation.school_machine` and `gallery_machine` add what
is theirs, `search` lets them run.
"""

import logging
from contextlib import ExitStack
from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.simulation.unit import SimUnit
from tests.simulation.world import Setting, World

units = st.integers(0, 1)
workers = st.integers(0, 1)


class WorldMachine(RuleBasedStateMachine):
    """Two units, two hub workers, one broker, one database. The checker ends a run at the first violation."""

    world: World

    def switch_on(self, seed: int, setting: Setting) -> None:
        """Begin."""
        self.stack = ExitStack()
        logging.disable(logging.CRITICAL)
        self.world = World(seed, 2, setting)
        self.stack.enter_context(self.world.speaking())
        self.world.start()

    def unit(self, number: int) -> SimUnit:
        """One of the machines, copies included."""
        return self.world.every_unit[number % len(self.world.every_unit)]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.world.scheduler.run(self.world.scheduler.now_s + seconds)

    @rule(seconds=st.sampled_from([0.05, 0.5, 2.0, 10.0, 60.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing special happens."""
        self.run(seconds)

    @rule(number=units)
    def program_is_killed(self, number: int) -> None:
        """And started again."""
        self.unit(number).kill()
        self.unit(number).start()

    @rule(number=units, wall=st.sampled_from(["1970", "saved", "right"]))
    def power_is_cut(self, number: int, wall: Literal["1970", "saved", "right"]) -> None:
        """And comes back."""
        self.unit(number).power_off()
        self.unit(number).wall_at_boot = wall
        self.unit(number).boot()

    @rule(number=units, silently=st.booleans())
    def network_goes(self, number: int, silently: bool) -> None:
        """Noticed or not."""
        self.unit(number).lose_network(silently=silently)

    @rule(number=units)
    def network_comes(self, number: int) -> None:
        """The network is there again."""
        self.unit(number).find_network()

    @rule(number=units)
    def card_is_kept(self, number: int) -> None:
        """Somebody makes a copy of a card."""
        self.unit(number).copy_card()

    @rule(number=units)
    def old_card_is_put_back(self, number: int) -> None:
        """The copy is put in the place of the card, with everything that was on it."""
        if self.unit(number).put_card_back():
            self.unit(number).boot()

    @rule(number=workers)
    def worker_is_killed(self, number: int) -> None:
        """And started again."""
        self.world.workers[number].kill()
        self.world.workers[number].start()

    def teardown(self) -> None:
        """Heal everything: it must come to rest, and everything be where it belongs."""
        if not hasattr(self, "world"):
            return
        try:
            self.world.settle()
            self.judge()
        finally:
            self.stack.close()
            logging.disable(logging.NOTSET)

    def judge(self) -> None:
        """Judge what the world's own checker does not."""
