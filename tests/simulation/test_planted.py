"""The simulator finds what it is there to find: each of these parts has one defect, and each is caught."""

import pytest

from tests.simulation import planted
from tests.simulation.run import Plan, simulate
from tests.simulation.world import Parts, Setting

UNIT_FAULTS = ("crash", "network", "power")


def violations_with(parts: Parts, *kinds: str, seed: int = 1, pace: float = 40.0) -> str:
    plan = Plan(
        seed,
        units=2,
        days=0.8 if "restore" in kinds else 0.5,
        kinds=kinds,
        pace=pace,
        students=8,
        setting=Setting(parts=parts, patience_s=900.0, restarts_for_audit=kinds != ("rollback",)),
    )
    return "\n".join(simulate(plan).violations)


def test_a_hub_that_acknowledges_before_it_commits_is_found_out() -> None:
    assert "H2" in violations_with(Parts(store=planted.AcknowledgesBeforeCommit))


@pytest.mark.slow
def test_sound_parts_pass_what_the_broken_ones_fail() -> None:
    kinds = ("crash", "network", "power", "hub", "database", "poison", "weather")
    assert violations_with(Parts(), *kinds) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parts", "kinds", "told"),
    [
        pytest.param(Parts(process=planted.BelievesPuback), (), "I1", id="unit deletes on PUBACK"),
        pytest.param(Parts(process=planted.BuriesSilently), ("poison",), "I1", id="unit buries what is refused"),
        pytest.param(
            Parts(process=planted.ForgetsWhatWasInFlight), UNIT_FAULTS, "L:", id="unit forgets what was in flight"
        ),
        pytest.param(Parts(process=planted.NeverSendsAgain), ("weather",), "L:", id="unit never sends again"),
        pytest.param(Parts(unit=planted.LosesCommitsOnPowerCut), ("power", "network"), "I3", id="disk loses commits"),
        pytest.param(Parts(store=planted.IgnoresEpochs), ("restore",), "H2", id="hub ignores epochs"),
        pytest.param(Parts(store=planted.HighWaterOverGaps), ("weather",), "H1", id="high-water mark over gaps"),
        pytest.param(Parts(store=planted.NeverAudits), ("rollback",), "I1", id="losses of the database go unnoticed"),
        pytest.param(Parts(clock=planted.DatesByWallClock), ("clock", "power"), "T:", id="dates by the wall clock"),
    ],
)
def test_a_defect_is_found_within_a_few_seeds(parts: Parts, kinds: tuple[str, ...], told: str) -> None:
    assert any(told in violations_with(parts, *kinds, seed=seed) for seed in range(1, 9))
