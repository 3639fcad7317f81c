"""Faults of many at once, and of a machine that is too hot."""

import asyncio
import json
import resource
import secrets
import struct
import time
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import insert, select

from deploy.own_process import LOOPBACK, wait_until
from deploy.stage import SITE
from hub.adapters.gallery_revisions import seal_data_key
from hub.adapters.schema import galleries, rooms, units
from tests.faults.bench import Bench, settled
from tests.faults.catalogue import CannotRun, Catalogue, Outcome, judged
from tests.faults.school import School, now_utc

FAULTS = Catalogue()
_LIMIT_S = 300.0
_AT_ONCE = 500


@FAULTS.fault(45, "a whole fleet reconnects within a second", quiet=True)
def fleet(bench: Bench) -> Outcome:
    count = bench.fewer(10_000, 500)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * count + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        count = (hard - 200) // 2
    # The broker inherits it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, hard) if hard >= 0 else needed), hard))
    try:
        with bench.school() as school:
            bench.say(f"{count} units are put on record")
            ids = _many_units(school, count)
            school.run_units()
            began_s = time.monotonic()
            welcomed, slowest_s = asyncio.run(_all_greet(school.broker.port, ids))
            took_s = time.monotonic() - began_s
            wrong = [] if welcomed == count else [f"{welcomed} of {count} were welcomed in {took_s:.0f} s"]
            if not school.hub.running:
                wrong.append("the hub ended")
            if not school.unit.wait_for(3) or not wait_until(lambda: school.unit.waiting() < 10, 60):
                wrong.append("the unit that was there before is not served any more")
            more = f"{count} connected and were welcomed in {took_s:.0f} s, the slowest after {slowest_s:.0f} s"
            problems, verdict = school.settle(galleries=False)
            return judged([*wrong, *problems, *verdict.problems], more)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _many_units(school: School, count: int) -> list[str]:
    ids = [str(uuid4()) for _ in range(count)]
    office = school.office_in_process
    sealed = seal_data_key(office.keys.hub_key(), ids[0], secrets.token_bytes(32))
    with office.database.transaction() as connection:
        room_id = connection.execute(select(rooms.c.id)).scalar()
        for start in range(0, count, _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            connection.execute(
                insert(units),
                [
                    {"id": one, "label": one, "room_id": room_id, "data_key_sealed": sealed, "added_at": now_utc()}
                    for one in some
                ],
            )
            # Prepared already: what is looked at here is the greeting and not ten thousand galleries.
            connection.execute(
                insert(galleries), [{"unit_id": one, "revision": 1, "prepared_revision": 1} for one in some]
            )
    return ids


async def _all_greet(port: int, ids: list[str]) -> tuple[int, float]:
    """Connect all at once and say hello until each is welcomed; return how many were, and the slowest."""
    began_s = time.monotonic()
    async with asyncio.timeout(_LIMIT_S + 30):
        waits = await asyncio.gather(*(_SmallUnit(one, port).greet() for one in ids))
    done = [wait_s - began_s for wait_s in waits if wait_s is not None]
    return len(done), max(done, default=0.0)


@dataclass(slots=True)
class _SmallUnit:
    """The least that is a unit on the wire: it connects with MQTT 5, says hello and hears the welcome."""

    unit_id: str
    port: int

    async def greet(self) -> float | None:
        """Return when the welcome came, None when it did not."""
        until_s = time.monotonic() + _LIMIT_S
        while time.monotonic() < until_s:
            try:
                reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
            except OSError:
                await asyncio.sleep(1)
                continue
            try:
                return await self._converse(reader, writer)
            except (OSError, EOFError, TimeoutError):
                await asyncio.sleep(2)
            finally:
                writer.close()
        return None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        flags = b"\x02"  # clean start
        writer.write(_packet(0x10, _text("MQTT") + b"\x05" + flags + b"\x00\x3c" + b"\x00" + _text(self.unit_id)))
        await _expect(reader, 0x20)
        topic = f"rollcall/1/{SITE}/down/{self.unit_id}/welcome"
        writer.write(_packet(0x82, b"\x00\x01\x00" + _text(topic) + b"\x00"))
        await _expect(reader, 0x90)
        hello = {
            "minor": 0, "epoch": self.unit_id.replace("-", "")[:16], "boot_id": str(UUID(int=5)), "last_seq": 0,
            "delivered_seq": 0, "gallery_revision": 0, "pack_id": "bench", "software": "bench", "clock": "synced",
            "at": now_utc().isoformat(), "hello_id": str(uuid4()),
        }  # fmt: skip
        address = _text(f"rollcall/1/{SITE}/up/{self.unit_id}/hello")
        for _ in range(20):
            writer.write(_packet(0x30, address + b"\x00" + json.dumps(hello).encode()))
            try:
                async with asyncio.timeout(15):
                    await _expect(reader, 0x30)
            except TimeoutError:
                # As a unit does: nobody answered, so once more.
                continue
            return time.monotonic()
        raise TimeoutError("never welcomed")


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def _packet(kind: int, body: bytes) -> bytes:
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([kind]) + bytes(digits) + body


async def _expect(reader: asyncio.StreamReader, kind: int) -> bytes:
    """Return the body of the next packet of this kind; others are passed over."""
    while True:
        head = (await reader.readexactly(1))[0]
        length, shift = 0, 0
        while True:
            digit = (await reader.readexactly(1))[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                break
        body = await reader.readexactly(length)
        if head & 0xF0 == kind & 0xF0:
            return body


@FAULTS.fault(48, "the processor is held back for heat and low voltage: said, slower pictures, watching goes on")
def throttled(bench: Bench) -> Outcome:
    if not bench.alone:
        raise CannotRun("needs other files in /sys, and with it to mount: run as root")
    wrong = []
    with bench.school() as school:
        unit = school.unit
        fake = unit.folder / "sys" / "devices" / "platform" / "soc" / "soc:firmware"
        fake.mkdir(parents=True)
        (fake / "get_throttled").write_text("50005\n", encoding="ascii")
        zone = unit.folder / "sys" / "class" / "thermal" / "thermal_zone0"
        zone.mkdir(parents=True)
        (zone / "type").write_text("cpu-thermal\n", encoding="ascii")
        (zone / "temp").write_text("86000\n", encoding="ascii")
        mount = 'mount --bind "$0" /sys && exec "$@"'
        unit.program.wrapper = ["unshare", "--mount", "sh", "-c", mount, str(unit.folder / "sys")]
        unit.begin()
        unit.wait_for(5)
        bench.pause(bench.fewer(30, 14))
        body = json.loads(str(school.query("SELECT body FROM unit_status")[0][0]))
        said = body.get("throttled") or [problem["code"] for problem in body.get("problems", [])]
        if not body.get("throttled") and not any("hot" in code or "slow" in code for code in said):
            wrong.append(f"the status says nothing of it ({said})")
        before = unit.committed()
        if not unit.wait_for(3, 30):
            wrong.append(f"attendance stopped after {before} events")
        return settled(school, more=f"said: {said}, {body.get('temperature_c')} degrees", wrong=wrong)
