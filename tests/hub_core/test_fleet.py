"""How a unit is, told truthfully."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from hub.core.fleet import UnitHeard, condition
from protocol.status import Status
from tests.hub_core.builders import EPOCH, START


def heard(state: str | None = "watching", ago_min: float = 1, **changed: Any) -> UnitHeard:
    status_fields = {"state": state, "session": 1, "epoch": EPOCH} | changed.pop("status", {})
    moment = START - timedelta(minutes=ago_min)
    values: dict[str, Any] = {
        "status": None if state is None else Status.model_validate(status_fields),
        "status_at": None if state is None else moment,
        "spoke_at": moment,
        "revoked": False,
        "gallery_current": True,
        "gallery_problem": None,
    }
    return UnitHeard(**(values | changed))


@pytest.mark.parametrize(
    ("unit", "state", "text"),
    [
        (heard(), "ok", "watching"),
        (heard(gallery_current=False), "ok", "watching; a new gallery is on its way"),
        (heard(ago_min=6), "silent", "silent, last heard 6 min ago"),
        (heard("lost", ago_min=2), "silent", "connection lost, last heard 2 min ago"),
        (heard("stopped", ago_min=200), "silent", "stopped by a person or a restart 3 h ago"),
        (heard(None, spoke_at=None), "new", "never heard of yet"),
        (heard(None), "problem", "has not said how it is"),
        (heard("degraded"), "problem", "works with a problem it did not name"),
        (heard(revoked=True), "revoked", "revoked"),
        (heard(gallery_problem="disk_full"), "problem", "did not take the gallery (disk_full)"),
        (heard(status={"waiting_events": 1}), "ok", "watching; 1 event waiting to be sent"),
        (
            heard(ago_min=4000, status={"waiting_events": 7}),
            "silent",
            "silent, last heard 2 days ago; 7 events waiting to be sent",
        ),
        (heard(status={"problems": [{"code": "camera", "text": "no picture"}]}), "problem", "no picture"),
    ],
)
def test_a_units_condition_is_told_in_plain_words(unit: UnitHeard, state: str, text: str) -> None:
    said = condition(unit, START)
    assert (said.state, said.text) == (state, text)


def test_the_brokers_word_that_a_unit_is_lost_is_no_sign_of_life() -> None:
    spoke: datetime = START - timedelta(hours=5)
    said = condition(heard("lost", ago_min=0, spoke_at=spoke), START)
    assert said.last_heard_at == spoke
