"""The calibration loop asks now and then, says what came out, and is patient with a database that is away."""

import logging
from collections.abc import Callable

import pytest

from hub.core.calibration import Calibration, Certainty
from hub.core.errors import StoreRefused, StoreUnavailable
from hub.loops.calibrate import CalibrationLoop
from tests.hub_core.builders import PACK, START, an_id

MADE = Calibration(an_id(1), PACK, START, 0.01, "pack", 12, 0, None, Certainty(more_students=88), "1", "serve")


def looped(check: Callable[[], Calibration | None]) -> list[float]:
    """Take one step; return what it waited, in seconds."""
    waited: list[float] = []
    CalibrationLoop(check=check, pause=waited.append).step()
    return waited


def test_a_new_calibration_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        looped(lambda: MADE)
        looped(lambda: None)
    assert [record.getMessage() for record in caplog.records] == [
        f"calibrated pack={PACK} method=pack students=12 comparisons=0"
    ]


def test_it_waits_minutes_between_two_looks_and_seconds_for_a_database_that_is_away() -> None:
    def away() -> None:
        raise StoreUnavailable("away")

    [usual], [short] = looped(lambda: None), looped(away)
    assert short < 60 < usual


def test_a_database_that_does_not_let_us_in_ends_it() -> None:
    def refused() -> None:
        raise StoreRefused("no")

    with pytest.raises(StoreRefused):
        looped(refused)
