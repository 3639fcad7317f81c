"""Lets hypothesis search a small world for the shortest run in which something happens that must never happen.

Every run of the tests makes the same short search: it never fails for somebody who changed nothing. Where it has never
been, the long one of `make simulate` goes.
"""

from collections.abc import Callable

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.gallery_machine import GalleryMachine
from tests.simulation.machine import WorldMachine
from tests.simulation.school_machine import SchoolMachine

MACHINES: dict[str, type[WorldMachine]] = {"attendance": SchoolMachine, "galleries": GalleryMachine}
_STEPS = 25
_LONG_STEPS = 50


def search_briefly(machine: type[WorldMachine], examples: int) -> None:
    """Make the same short search as always. Raises what was found."""
    run_state_machine_as_test(machine, settings=_settings(examples, _STEPS, derandomize=True))


def search_long(
    machine: type[WorldMachine], examples: int, number: int, tell: Callable[[], None], steps: int = _LONG_STEPS
) -> None:
    """Search so many runs by this number's chance; `tell` is called before each. Raises what was found."""

    class Told(machine):  # type: ignore[misc,valid-type]
        """The machine, which says that another run begins."""

        def __init__(self) -> None:
            super().__init__()
            tell()

    Told.__name__ = Told.__qualname__ = machine.__name__
    run_state_machine_as_test(seed(number)(Told), settings=_settings(examples, steps, derandomize=False))


def _settings(examples: int, steps: int, *, derandomize: bool) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=derandomize,
        # A search that is given by a number is that one only.
        database=None,
        suppress_health_check=list(HealthCheck),
    )
