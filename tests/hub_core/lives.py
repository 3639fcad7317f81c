"""Lives of units with all sorts of clocks, and when everything really was."""

from dataclasses import replace
from datetime import timedelta
from random import Random

from hub.core.dating import micros
from hub.core.dating_stream import Reading
from tests.hub_core.builders import EPOCH, START, an_id

SECOND = 1_000_000
DAY = 86_400 * SECOND
T0 = micros(START)
ADDED = micros(START - timedelta(days=100))
LATE = T0 + 300 * DAY


def a_life(seed: int, boots: int) -> tuple[list[Reading], dict[int, int]]:
    """The events of a unit through some boots with all sorts of clocks, and when each really was."""
    random = Random(seed)  # noqa: S311 (a seeded test)
    now, seq = T0, 0
    readings: list[Reading] = []
    truth: dict[int, int] = {}
    for number in range(boots):
        now += random.randrange(60, 3 * 86_400) * SECOND
        begin, boot_us = now, 0
        wall = random.choice([0, begin - 3600 * SECOND, begin + 3650 * DAY, begin])
        clock, synced_us = "unsynced", random.choice([None, 0, 40 * SECOND, 3600 * SECOND])
        for _ in range(random.randrange(1, 12)):
            boot_us += random.randrange(1, 1200) * SECOND
            if synced_us is not None and boot_us >= synced_us:
                clock, wall = random.choice(["synced", "synced", "holdover"]), begin
            if clock != "unsynced" and random.random() < 0.2:
                wall = begin + random.choice([-3000, 5, 3650 * 86_400]) * SECOND
                clock = "holdover" if clock == "holdover" else "synced"
            seq += 1
            anchored = clock == "synced" and wall == begin and random.random() < 0.5
            truth[seq] = begin + boot_us
            readings.append(
                Reading(
                    epoch=EPOCH,
                    seq=seq,
                    boot_id=an_id(number),
                    boottime_ns=boot_us * 1000,
                    claimed_us=wall + boot_us,
                    clock=clock,
                    received_us=0,
                    anchor_us=begin + boot_us + random.randrange(-200_000, 200_000) if anchored else None,
                    anchor_error_us=200_000,
                )
            )
        now = begin + boot_us
    received = now + random.randrange(1, 86_400) * SECOND
    return [replace(one, received_us=received) for one in readings], truth
