"""A simulated unit of a fleet: batches as a unit sends them, made fast enough for ten thousands of events a second."""

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

BATCH_EVENTS = 100
CLASS_SIZE = 30
_STEP = timedelta(seconds=2)


@dataclass(slots=True)
class FleetUnit:
    """One unit: its stream and what it has under way. The same number gives the same unit, on the same stream."""

    number: int
    first_at: datetime
    seq: int = 0
    epoch: str = ""
    boot_id: str = ""
    students: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.epoch = f"{self.number + 1:016x}"
        self.boot_id = str(UUID(int=(0xB007 << 64) + self.number))
        self.students = [str(UUID(int=(0x57D << 64) + self.number * CLASS_SIZE + one)) for one in range(CLASS_SIZE)]

    @property
    def unit_id(self) -> str:
        """The unit's id."""
        return unit_id_of(self.number)

    def batch(self, size: int = BATCH_EVENTS) -> tuple[str, bytes]:
        """Return the id and the payload of the next batch: presence that opens and closes, every tenth coverage."""
        batch_id = _random_uuid(int(self.first_at.timestamp() * 1000))
        events = ",".join(self._event(self.first_at + (self.seq + 1) * _STEP) for _ in range(size))
        return batch_id, self._message(batch_id, events)

    def live(self, at: datetime) -> tuple[str, bytes]:
        """Return a batch of one event that happens at `at`."""
        batch_id = _random_uuid(int(at.timestamp() * 1000))
        return batch_id, self._message(batch_id, self._event(at))

    def _message(self, batch_id: str, events: str) -> bytes:
        head = json.dumps({"minor": 0, "epoch": self.epoch, "batch_id": batch_id}, separators=(",", ":"))
        return f'{head[:-1]},"events":[{events}]}}'.encode()

    def _event(self, at: datetime) -> str:
        """Return the next event as the canonical text that a unit keeps."""
        self.seq += 1
        since_boot_ns = int((at - self.first_at).total_seconds() * 1e9) + 10**9
        stamp = f'"at":"{_text(at)}","boot_id":"{self.boot_id}","boottime_ns":{since_boot_ns},"clock":"synced",'
        event_id = _random_uuid(int(at.timestamp() * 1000))
        student_id = self.students[self.seq % CLASS_SIZE]
        if self.seq % 10 == 0:
            return (
                f'{{{stamp}"event_id":"{event_id}","gallery_revision":3,"kind":"coverage","mode":"door",'
                f'"pack_id":"bench-1","seq":{self.seq},"since":"{_text(at - 10 * _STEP)}","students":30,"tracks":4,'
                f'"unknown_faces":0,"unusable_faces":1,"watched_s":20.0}}'
            )
        if self.seq % 2:
            return (
                f'{{{stamp}"event_id":"{event_id}","gallery_revision":3,"kind":"seen","lesson_id":"{self.boot_id}",'
                f'"margin":0.2114,"pack_id":"bench-1","samples":5,"score":0.6127,"seq":{self.seq},'
                f'"student_id":"{student_id}"}}'
            )
        return (
            f'{{"at":"{_text(at)}","boot_id":"{self.boot_id}","boottime_ns":{since_boot_ns},"cause":"absence",'
            f'"clock":"synced","dwell_s":31.5,"event_id":"{event_id}","interval_id":"{_random_uuid(0)}","kind":"left",'
            f'"seq":{self.seq},"student_id":"{student_id}"}}'
        )


def unit_id_of(number: int) -> str:
    """Return the id of a unit of the fleet."""
    return str(UUID(int=(0xF1EE7 << 76) + number))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()[:-6] + "Z"


def _random_uuid(unix_ms: int) -> str:
    # As `protocol.identifiers.uuid7`, from text to text: a generator must cost less than what it measures.
    time, rest = f"{unix_ms:012x}", os.urandom(9).hex()
    return f"{time[:8]}-{time[8:]}-7{rest[:3]}-8{rest[3:6]}-{rest[6:18]}"
