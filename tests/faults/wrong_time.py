"""Faults of clocks: wrong, jumping, never set, in another zone. The boot clock stays true, as on a real machine.

The wall clock is shifted inside the test program: under libfaketime 0.9.10 Python's `time.sleep` fails with EINVAL, so
that a unit does nothing but stumble.
"""

import time
from datetime import UTC, datetime, timedelta

from deploy.own_process import wait_until
from tests.faults.bench import Bench, settled
from tests.faults.catalogue import CannotRun, Catalogue, Outcome, skipped
from tests.faults.school import School

FAULTS = Catalogue()


def _boot_began() -> datetime:
    """Return the moment at which the boot clock stood at zero."""
    return datetime.now(UTC) - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))  # noqa: TID251


def _errors_s(school: School, where: str = "1") -> list[float]:
    """Return how far each event's corrected time is from when it really was, in seconds."""
    began = _boot_began()
    rows = school.query(f"SELECT at_corrected, boottime_ns FROM events WHERE {where}")  # noqa: S608 (our own words)
    return [
        (_utc(at) - began - timedelta(microseconds=int(str(boottime_ns)) / 1000)).total_seconds()
        for at, boottime_ns in rows
    ]


def _utc(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("the database gave no time")
    return value.replace(tzinfo=UTC)


def _worst_s(errors: list[float]) -> float:
    return max((abs(error) for error in errors), default=0.0)


@FAULTS.fault(32, "boots in 1970, records, then learns the time")
def boots_in_1970(bench: Bench) -> Outcome:
    offline_s = bench.fewer(60, 10)
    with bench.school() as school:
        unit = school.unit
        # A gallery first, with the right time; then a boot without a network and without a clock.
        school.run_units()
        unit.program.stop()
        stored = school.at_hub()
        school.broker.kill()
        unit.begin("--clock", "unsynced", "--clock-starts", "86400")
        unit.wait_for(10)
        bench.pause(offline_s)
        made = unit.committed()
        school.broker.start()
        wait_until(lambda: school.at_hub() > stored + 10 and unit.waiting() < 5, 90)
        bench.pause(3)
        errors = _errors_s(school)
        worst_s = _worst_s(errors)
        wrong = [] if worst_s <= 1.0 else [f"the corrected time of an event is {worst_s:.1f} s wrong"]
        order = school.query("SELECT COUNT(*) FROM events a JOIN events b ON a.unit_id = b.unit_id AND"
                             " a.epoch = b.epoch AND a.boot_id = b.boot_id WHERE a.boottime_ns < b.boottime_ns"
                             " AND a.at_corrected > b.at_corrected + INTERVAL 1 SECOND")[0][0]  # fmt: skip
        if int(str(order)):
            wrong.append(f"{order} pairs of events changed their order")
        return settled(school, more=f"{made} events dated, worst error {worst_s * 1000:.0f} ms", wrong=wrong)


@FAULTS.fault(33, "clock ten years ahead, then right again: nothing expires, nothing is deleted")
def clock_ahead(bench: Bench) -> Outcome:
    with bench.school() as school:
        unit = school.unit
        school.run_units()
        unit.program.stop()
        school.broker.kill()
        unit.begin("--clock-starts", str(time.time() + 3650 * 86400))  # noqa: TID251 (the true time, and ten years)
        unit.wait_for(20, 60)
        bench.pause(bench.fewer(20, 5))
        unit.program.kill()
        waited = unit.waiting()
        school.broker.start()
        unit.begin()
        unit.wait_for(3)
        wrong = [] if wait_until(lambda: unit.waiting() < 5, 60) else [f"{unit.waiting()} of {waited} events wait"]
        return settled(school, more=f"{waited} events from ten years ahead delivered", wrong=wrong)


@FAULTS.fault(34, "another time zone on the unit (leap seconds and lessons over a clock change: see tests/hub_core)")
def other_zone(bench: Bench) -> Outcome:
    with bench.school() as school:
        unit = school.unit
        wrong = []
        for zone in ("Pacific/Auckland", "America/St_Johns", "Europe/Berlin")[: bench.fewer(3, 2)]:
            unit.program.stop()
            unit.program.variables["TZ"] = zone
            unit.set(storage__time_zone=zone)
            unit.begin()
            unit.wait_for(6)
            wait_until(lambda: unit.waiting() < 3, 20)
        worst_s = _worst_s(_errors_s(school))
        if worst_s > 1.0:
            wrong.append(f"an event is {worst_s:.0f} s off")
        return settled(school, more=f"worst error {worst_s * 1000:.0f} ms", wrong=wrong)


@FAULTS.fault(35, "a boot that never learned the time, a power cut, the next boot knows it")
def never_synced_boot(bench: Bench) -> Outcome:
    if not bench.alone:
        raise CannotRun("needs another boot id, and with it to mount: run as root where `unshare --mount` is allowed")
    with bench.school() as school:
        unit = school.unit
        school.run_units()
        unit.wait_for(5)
        wait_until(lambda: unit.waiting() < 3, 20)
        unit.program.stop()
        school.broker.kill()
        boot = unit.folder / "boot_id"
        boot.write_text("0b6f5a52-1111-4000-8000-000000000001\n", encoding="ascii")
        mount = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
        unit.program.wrapper = ["unshare", "--mount", "sh", "-c", mount, str(boot)]
        unit.begin("--clock", "unsynced", "--clock-starts", "86400")
        unit.wait_for(10, 60)
        unit.program.kill()
        unit.program.wrapper = []
        school.broker.start()
        unit.begin()
        unit.wait_for(8, 60)
        wait_until(lambda: unit.waiting() < 5, 60)
        bench.pause(4)
        began = _boot_began()
        rows = school.query(
            "SELECT b.earliest_us, b.latest_us, e.boottime_ns, e.time_basis FROM events e LEFT JOIN undated_boots b"
            " ON b.unit_id = e.unit_id AND b.boot_id = e.boot_id AND b.epoch = e.epoch"
            " WHERE e.boot_id = x'0b6f5a52111140008000000000000001'"
        )
        wrong = [] if rows else ["the events of the boot without a clock are not at the hub"]
        bases = sorted({str(row[3]) for row in rows})
        if bases != ["estimated"]:
            wrong.append(f"they are not marked as estimated ({bases})")
        # The boot's clock stayed true, so what is said of the boot is said of each of its events.
        began_us = began.timestamp() * 1e6
        for earliest_us, latest_us, *_ in rows:
            if earliest_us is None or not int(str(earliest_us)) <= began_us <= int(str(latest_us)):
                wrong.append(f"a boot of {began:%H:%M:%S} is said to have begun between {earliest_us} and {latest_us}")
                break
        return settled(school, more=f"{len(rows)} events, {', '.join(bases)}", wrong=wrong)


@FAULTS.fault(36, "certificate expired, revoked, not yet valid")
def certificates(_bench: Bench) -> Outcome:
    return skipped("there is no TLS yet: it comes with the provisioning of units, and this fault with it")
