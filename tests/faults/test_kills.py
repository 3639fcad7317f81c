"""Who is killed, and that everybody comes back."""

import random

import pytest

from tests.faults import kills
from tests.faults.kills import Campaign


class Time:
    """A clock that only moves when somebody waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Server:
    """Needs some time to start; one that is broken never serves again."""

    def __init__(self, time: Time, starts_in_s: float) -> None:
        self.time, self.starts_in_s = time, starts_in_s
        self.running, self.ready_at_s = True, 0.0
        self.hit_while_starting = 0

    @property
    def ready(self) -> bool:
        return self.running and self.time.now_s >= self.ready_at_s

    def kill(self) -> None:
        self.hit_while_starting += self.running and not self.ready
        self.running = False

    def launch(self) -> None:
        self.running, self.ready_at_s = True, self.time.now_s + self.starts_in_s


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The time that the kills go by."""
    made = Time()
    monkeypatch.setattr(kills, "time", made)
    return made


def campaign(time: Time, seed: int, slow_s: float = 3.0) -> tuple[Campaign, list[Server]]:
    servers = [Server(time, slow_s), Server(time, slow_s), Server(time, 0.0)]
    victims = [("unit-0", servers[0], 10), ("hub", servers[1], 10), ("broker", servers[2], 4)]
    return Campaign(victims, random.Random(seed), 0.5), servers  # noqa: S311 (repeatable)


def test_whoever_starts_slowly_is_killed_as_often_as_is_its_share(time: Time) -> None:
    made, servers = campaign(time, 1)
    made.run(480, lambda _done: None)
    assert sum(made.killed.values()) == 480
    for name, share in (("unit-0", 200), ("hub", 200), ("broker", 80)):
        assert abs(made.killed[name] - share) < 40
    assert all(server.running for server in servers)
    assert 0 < sum(server.hit_while_starting for server in servers) < 100
    assert made.counts() == {
        f"kills of {kind}": made.killed[name]
        for kind, name in (("broker", "broker"), ("hub", "hub"), ("unit", "unit-0"))
    }


def test_the_same_seed_kills_the_same_in_the_same_order_however_fast_the_machine_is(time: Time) -> None:
    def order(seed: int, slow_s: float) -> list[dict[str, int]]:
        made, _ = campaign(time, seed, slow_s)
        after: list[dict[str, int]] = []
        made.run(60, lambda _done: after.append(dict(made.killed)))
        return after

    assert order(3, 0.5) == order(3, 8.0)
    assert order(3, 0.5) != order(4, 0.5)


def test_one_that_ends_by_itself_is_started_again(time: Time) -> None:
    made, servers = campaign(time, 2)
    made.run(5, lambda _done: None)
    servers[0].running = False
    made.run(40, lambda _done: None)
    assert servers[0].running


def test_one_that_does_not_come_back_is_told(time: Time) -> None:
    made, servers = campaign(time, 2)
    servers[1].starts_in_s = float("inf")
    with pytest.raises(AssertionError, match="hub did not come back"):
        made.run(100, lambda _done: None)
