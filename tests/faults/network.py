"""Faults of the network between unit and broker, and between hub and database."""

import json
import signal
import time
from datetime import datetime, timedelta
from itertools import pairwise

from deploy.own_process import wait_until
from tests.faults.backlog import fill
from tests.faults.bench import Bench, settled
from tests.faults.catalogue import Catalogue, Outcome
from tests.faults.proxy import Proxy, Snare, Weather
from tests.faults.school import School

FAULTS = Catalogue()
_KEEPALIVE_S = 5


def broker_line(school: School) -> Proxy:
    """Return the units' way to the broker."""
    assert school.broker_line is not None
    return school.broker_line


def database_line(school: School) -> Proxy:
    """Return the hub's way to the database."""
    assert school.database_line is not None
    return school.database_line


def another_connection(line: Proxy, timeout_s: float) -> bool:
    """Wait until somebody connects anew."""
    accepted = line.accepted
    return wait_until(lambda: line.accepted > accepted, timeout_s)


def _another_cut(line: Proxy, timeout_s: float) -> bool:
    cuts = line.cuts
    return wait_until(lambda: line.cuts > cuts, timeout_s)


@FAULTS.fault(5, "the answer to COMMIT is lost")
def commit_answer_lost(bench: Bench) -> Outcome:
    times = bench.fewer(10, 3)
    with bench.school(lines=True) as school:
        school.run_units()
        line = database_line(school)
        line.snare = Snare(b"INSERT INTO events", b"COMMIT", times)
        wrong = []
        if not wait_until(lambda: line.snared >= times, 90):
            wrong.append(f"only {line.snared} answers were lost")
        return settled(school, max(1, line.snared), f"{line.snared} answers lost after the commit", wrong=wrong)


@FAULTS.fault(6, "lock waits and broken transactions (1205, 2013); 1213 of a cluster is not made here")
def lock_conflicts(bench: Bench) -> Outcome:
    with bench.school(database_options=["--innodb-lock-wait-timeout=1"]) as school:
        school.run_units()
        administrator = school.database.administrator
        wrong, killed = [], 0
        database = school.database.database
        bench.say("the row of the unit's stream is held by somebody else")
        held_s = bench.fewer(12, 5)
        statement = f"UPDATE `{database}`.epochs SET last_heard_at = last_heard_at"  # noqa: S608 (our own name)
        school.database.hold(statement, held_s)
        school.unit.wait_for(3)
        bench.say("connections of the hub are killed again and again")
        until_s = time.monotonic() + bench.fewer(20, 6)
        while time.monotonic() < until_s:
            for row in administrator.execute(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'rollcall' AND COMMAND <> 'Killed'"
            ):
                # One that has gone meanwhile is no error.
                administrator.execute(f"KILL SOFT CONNECTION {row[0]}")
                killed += 1
            bench.pause(0.3)
        if not school.hub.running:
            wrong.append(f"the hub ended: {school.hub.words()[-300:]}")
        return settled(school, killed, f"lock held {held_s} s, {killed} connections killed", wrong=wrong)


@FAULTS.fault(15, "a week without a network, then a backlog beside live events", quiet=True)
def week_offline(bench: Bench) -> Outcome:
    count = bench.fewer(50_000, 4_000)
    with bench.school() as school:
        unit = school.unit
        school.run_units()
        unit.program.stop()
        bench.say(f"{count} events of a week are written down")
        fill(unit, count)
        began = time.monotonic()
        unit.begin()
        unit.wait_for(10, 60)
        drained = wait_until(lambda: unit.waiting() < 200, bench.fewer(300, 90))
        took_s = time.monotonic() - began
        wrong = [] if drained else [f"{unit.waiting()} events wait after {took_s:.0f} s"]
        late_s = _live_latency_s(school, took_s)
        if late_s is None:
            wrong.append("no live event came to the hub while the backlog was sent")
        elif late_s > 10:
            wrong.append(f"a live event took {late_s:.1f} s while the backlog was sent")
        more = f"backlog of {count} sent in {took_s:.0f} s, slowest live event {late_s or 0:.1f} s"
        return settled(school, more=more, wrong=wrong)


def _live_latency_s(school: School, last_s: float) -> float | None:
    """Return how long the slowest event of the last seconds took to the hub."""
    rows = school.query(
        "SELECT MAX(TIMESTAMPDIFF(MICROSECOND, at_claimed, received_at)) FROM events WHERE kind = 'seen'"  # noqa: S608
        f" AND at_claimed > UTC_TIMESTAMP(6) - INTERVAL {int(last_s) + 1} SECOND"
        ' AND body NOT LIKE \'%"pack_id":"bench"%\''
    )
    value = rows[0][0]
    return None if value is None else int(str(value)) / 1e6


@FAULTS.fault(16, "half-open connection: nothing is passed on and nobody is told")
def half_open(bench: Bench) -> Outcome:
    runs = bench.fewer(3, 1)
    wrong, slowest_s = [], 0.0
    with bench.school(lines=True) as school:
        school.run_units()
        line = broker_line(school)
        for _ in range(runs):
            line.weather = Weather(swallow=True)
            began_s = time.monotonic()
            # It gives up the old connection and makes a new one.
            if not another_connection(line, 60):
                wrong.append("the unit did not notice within 60 s")
            noticed_s = time.monotonic() - began_s
            slowest_s = max(slowest_s, noticed_s)
            line.weather = Weather()
            # The silence began at most a keepalive after the last word.
            if noticed_s > 2.5 * _KEEPALIVE_S + 4:
                wrong.append(f"noticed after {noticed_s:.1f} s with a keepalive of {_KEEPALIVE_S} s")
            if not school.unit.wait_for(3) or not wait_until(lambda: school.unit.waiting() < 5, 60):
                wrong.append("afterwards nothing was delivered")
        return settled(school, runs, f"noticed and connected anew after {slowest_s:.1f} s at most", wrong=wrong)


@FAULTS.fault(17, "flapping link: 5 s up, 5 s down")
def flapping(bench: Bench) -> Outcome:
    rounds = bench.fewer(8, 3)
    with bench.school(lines=True) as school:
        school.run_units()
        line = broker_line(school)
        before, connects = school.at_hub(), line.accepted
        for _ in range(rounds):
            line.change(refuse=True)
            line.cut_all()
            bench.pause(5)
            line.change(refuse=False)
            bench.pause(5)
        arrived, tries = school.at_hub() - before, line.accepted - connects
        wrong = [] if arrived > 0 else ["nothing arrived while the link was flapping"]
        if tries > 10 * rounds:
            wrong.append(f"{tries} connections in {10 * rounds} s")
        return settled(school, rounds, f"{arrived} events arrived meanwhile, {tries} connections", wrong=wrong)


@FAULTS.fault(18, "500 ms round trip, 20 % loss, 64 kbit/s (loss shown as the silence of TCP's retransmission)")
def bad_line(bench: Bench) -> Outcome:
    run_s = bench.fewer(90, 25)
    with bench.school(lines=True) as school:
        unit = school.unit
        unit.set(broker__keepalive_s=30)
        school.run_units()
        line = broker_line(school)
        line.weather = Weather(delay_s=0.25, jitter_s=0.05, loss_share=0.2, bytes_per_s=8000)
        connects, sent, before = line.accepted, line.passed["up"], unit.committed()
        bench.pause(run_s)
        made = unit.committed() - before
        wrong = []
        if line.accepted - connects > 3:
            wrong.append(f"{line.accepted - connects} connections in {run_s} s")
        spent = line.passed["up"] - sent
        # An event is about half a kilobyte; a storm would send each many times.
        if spent > made * 4000 + 60_000:
            wrong.append(f"{spent} bytes for {made} events")
        if not wait_until(lambda: unit.waiting() < 60, 60):
            wrong.append(f"{unit.waiting()} events wait on a line that could carry them")
        return settled(school, more=f"{made} events in {run_s} s took {spent // 1024} KiB", wrong=wrong)


@FAULTS.fault(19, "connection cut in the middle of a message, by reset and by a truncated stream")
def cut_in_a_message(bench: Bench) -> Outcome:
    runs = bench.fewer(12, 4)
    with bench.school(lines=True) as school:
        school.run_units()
        line = broker_line(school)
        for number in range(runs):
            school.unit.wait_for(2)
            line.weather = Weather(cut_after_bytes=bench.chance.randint(500, 4000), cut_politely=number % 2 == 1)
            _another_cut(line, 15)
            line.weather = Weather()
        wait_until(lambda: school.unit.waiting() < 5, 60)
        return settled(school, runs, f"{line.cuts} cuts")


@FAULTS.fault(41, "camera unplugged and back: said, reopened, the hole is on record")
def camera_unplugged(bench: Bench) -> Outcome:
    away_s = bench.fewer(30, 14)
    with bench.school() as school:
        unit = school.unit
        school.run_units()
        unit.camera_fault.touch()
        wrong = []
        began_s = time.monotonic()
        said = wait_until(
            lambda: any(p["code"] == "camera_lost" for p in school.statuses()[unit.label]["problems"]), 12
        )
        said_s = time.monotonic() - began_s
        if not said:
            wrong.append("the hub does not know of the lost camera within 12 s")
        bench.pause(max(0.0, away_s - said_s))
        unit.camera_fault.unlink()
        if not unit.wait_for(3, 30):
            wrong.append("after the camera is back nothing is written down")
        if not wait_until(lambda: _hole_s(school) >= away_s - 4, 20):
            wrong.append(
                f"the longest time without coverage is {_hole_s(school):.0f} s, the camera was away {away_s} s"
            )
        more = f"known at the hub after {said_s:.1f} s; a frozen picture and a changed device number are not made here"
        return settled(school, more=more, wrong=wrong)


def _hole_s(school: School) -> float:
    """Return the longest time between two coverage events that nobody watched."""
    rows = school.query("SELECT body FROM events WHERE kind = 'coverage' ORDER BY at_claimed")
    spans = sorted(_span(str(row[0])) for row in rows)
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(spans)]
    return max(gaps, default=timedelta()).total_seconds()


def _span(body: str) -> tuple[datetime, datetime]:
    event = json.loads(body)
    return datetime.fromisoformat(event["since"]), datetime.fromisoformat(event["at"])


@FAULTS.fault(7, "database frozen, then read-only (for a cluster without quorum): busy, no receipts, recovers")
def no_quorum(bench: Bench) -> Outcome:
    frozen_s, read_only_s = bench.fewer(60, 12), bench.fewer(20, 6)
    with bench.school(hub_settings={"database__read_timeout_s": 5, "database__write_timeout_s": 5}) as school:
        school.run_units()
        unit = school.unit
        wrong = []
        bench.say(f"database frozen for {frozen_s} s")
        school.database_signal(signal.SIGSTOP)
        bench.pause(1)
        before, waited = unit.committed(), unit.waiting()
        bench.pause(frozen_s)
        grown = unit.waiting() - waited
        if grown <= 0:
            wrong.append("events were acknowledged while the database was frozen")
        if unit.committed() - before < frozen_s / 2:
            wrong.append("the unit wrote nothing down while the database was frozen")
        school.database_signal(signal.SIGCONT)
        if not wait_until(lambda: unit.waiting() < 10, 60):
            wrong.append(f"{unit.waiting()} events wait a minute after the database is back")
        bench.say(f"database read-only for {read_only_s} s")
        school.database.administrator.execute("SET GLOBAL read_only = 1")
        bench.pause(read_only_s)
        school.database.administrator.execute("SET GLOBAL read_only = 0")
        if not school.hub.running:
            wrong.append(f"the hub ended while the database was read-only: {school.hub.words()[-200:]}")
            school.hub.start()
        return settled(school, 2, f"{grown} events waited meanwhile", wrong=wrong)
