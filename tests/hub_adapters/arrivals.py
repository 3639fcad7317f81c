"""Lives of units (`tests.hub_core.lives`) as batches, in any order."""

from dataclasses import replace
from random import Random
from typing import Any

from hub.core.dating import moment
from hub.core.dating_stream import Reading
from hub.core.ingest import Batch
from tests.hub_core.builders import a_batch, a_coverage, a_student, an_anchor, an_event, an_id
from tests.hub_core.lives import DAY, a_life

SECOND_EPOCH = "00000000000000bb"


def as_event(one: Reading) -> dict[str, Any]:
    """What a unit writes down for a reading."""
    at = moment(one.claimed_us)
    changed: dict[str, Any] = {"at": at, "boot_id": one.boot_id, "boottime_ns": one.boottime_ns, "clock": one.clock}
    number = one.seq + (10_000 if one.epoch == SECOND_EPOCH else 0)
    if one.anchor_us is not None:
        made = an_anchor(one.seq, moment(one.anchor_us), error_ms=one.anchor_error_us // 1000, **changed)
    elif one.seq % 3 == 0:
        made = a_coverage(one.seq, at, at, **changed)
    else:
        made = an_event(one.seq, student_id=a_student(one.seq % 4 + 1), **changed)
    return made | {"event_id": an_id(500_000 + number)}


def arrivals(seed: int) -> tuple[list[Reading], list[Batch]]:
    """A unit's life in one or two streams, and the batches in which it reaches the hub, in any order."""
    random = Random(seed)  # noqa: S311 (a seeded test)
    life, _ = a_life(seed, random.randrange(2, 6))
    split = random.choice([len(life), random.randrange(len(life))])
    life = [*life[:split], *(replace(one, epoch=SECOND_EPOCH, seq=one.seq - split) for one in life[split:])]
    received = max(one.received_us for one in life)
    batches: list[Batch] = []
    readings: list[Reading] = []
    while life:
        size = random.randrange(1, 7)
        some = [one for one in life[:size] if one.epoch == life[0].epoch]
        life = life[len(some) :]
        some = [replace(one, received_us=received + random.randrange(DAY)) for one in some[:1]] + some[1:]
        some = [replace(one, received_us=some[0].received_us) for one in some]
        readings += some
        at = moment(some[0].received_us)
        batches.append(a_batch([as_event(one) for one in some], epoch=some[0].epoch, number=len(batches) + 1, at=at))
    random.shuffle(batches)
    return readings, batches
