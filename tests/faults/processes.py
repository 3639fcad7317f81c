"""Faults of processes: killed at named places, frozen, hanging, swollen."""

import signal
import time
from collections.abc import Callable, Sequence

from deploy.own_process import wait_until
from deploy.programs import CommandFailed
from tests.faults.bench import Bench, settled
from tests.faults.catalogue import Catalogue, Outcome, judged
from tests.faults.crash_points import DDL_POINT, EDGE_POINTS, HUB_POINTS
from tests.faults.proxy import Snare
from tests.faults.school import School

FAULTS = Catalogue()
_KILLED = -signal.SIGKILL


def crash_unit(school: School, point: str, at_pass: int) -> str | None:
    """Let the first unit kill itself at a place and start again; return what went wrong, or None."""
    unit = school.unit
    unit.program.stop()
    unit.begin("--crash", f"{point}:{at_pass}")
    code = unit.program.wait_for_end(30)
    if code != _KILLED:
        return f"the unit did not come to {point} (exit {code})"
    unit.program.kill()
    unit.begin()
    return None if unit.wait_for(2, 30) else f"after {point} the unit writes nothing down"


def crash_unit_at(school: School, point: str) -> str | None:
    """As `crash_unit`, at the first pass."""
    return crash_unit(school, point, 1)


def crash_hub(school: School, point: str, at_pass: int) -> str | None:
    """Let the hub kill itself at a place and start again; return what went wrong, or None."""
    school.hub.stop()
    school.hub.extra = ["--crash", f"{point}:{at_pass}"]
    school.hub.launch()
    code = school.hub.wait_for_end(40)
    school.hub.kill()
    school.hub.extra = []
    school.hub.start()
    return None if code == _KILLED else f"the hub did not come to {point} (exit {code})"


def _at_named_places(
    bench: Bench,
    points: Sequence[str],
    passes: Sequence[int],
    crash: Callable[[School, str, int], str | None],
) -> Outcome:
    with bench.school() as school:
        school.run_units()
        wrong, runs = [], 0
        for point in points:
            for at_pass in passes[: bench.fewer(len(passes), 1)]:
                bench.say(f"{point}, pass {at_pass}")
                runs += 1
                if problem := crash(school, point, at_pass):
                    wrong.append(problem)
        return settled(school, runs, wrong=wrong)


@FAULTS.fault(1, "kill -9 of the unit at named places")
def unit_at_named_places(bench: Bench) -> Outcome:
    return _at_named_places(bench, EDGE_POINTS, (2, 5), crash_unit)


@FAULTS.fault(2, "kill -9 of the hub at named places")
def hub_at_named_places(bench: Bench) -> Outcome:
    return _at_named_places(bench, HUB_POINTS, (1, 4), crash_hub)


@FAULTS.fault(4, "kill -9 of the database in the middle of a transaction")
def database_in_a_transaction(bench: Bench) -> Outcome:
    runs = bench.fewer(4, 2)
    wrong = []
    with bench.school(lines=True) as school:
        school.run_units()
        line = school.database_line
        assert line is not None
        for number in range(runs):
            bench.say(f"database, kill {number + 1}")
            # The answer to the insert never comes: the transaction is open when the server dies.
            line.snare, line.snared = Snare(b"INSERT INTO events", b"", 1), 0
            if not wait_until(lambda: line.snared == 1, 20):
                wrong.append("no transaction came to be killed in")
            school.database.kill()
            bench.pause(bench.chance.uniform(0, 2))
            school.database.start()
            school.unit.wait_for(3)
        return settled(school, runs, wrong=wrong)


@FAULTS.fault(20, "broker frozen: watching goes on, a stop takes less than 10 s")
def frozen_broker(bench: Bench) -> Outcome:
    frozen_s = bench.fewer(60, 12)
    wrong = []
    with bench.school() as school:
        school.run_units()
        unit = school.unit
        bench.say(f"broker frozen for {frozen_s} s")
        school.broker_signal(signal.SIGSTOP)
        before = unit.committed()
        bench.pause(frozen_s)
        during = unit.committed() - before
        if during < frozen_s / 2:
            wrong.append(f"only {during} events in {frozen_s} s without an answering broker")
        began_s = time.monotonic()
        unit.program.signal(signal.SIGTERM)
        code = unit.program.wait_for_end(20)
        took_s = time.monotonic() - began_s
        unit.program.stop()
        if code is None or took_s > 10:
            wrong.append(f"the unit took {took_s:.0f} s to stop")
        school.broker_signal(signal.SIGCONT)
        unit.begin()
        return settled(school, more=f"{during} events while frozen, stopped in {took_s:.1f} s", wrong=wrong)


@FAULTS.fault(42, "a callback raises: the connection's thread lives on")
def raising_callback(bench: Bench) -> Outcome:
    with bench.school() as school:
        school.unit.begin("--bad-callback")
        wrong = []
        if not wait_until(lambda: school.at_hub() > 3, 60):
            wrong.append("nothing came to the hub within 60 s after a callback raised")
        return settled(school, wrong=wrong)


@FAULTS.fault(43, "a thread hangs: the unit ends itself within half a minute and starts again, nothing is lost")
def hanging_thread(bench: Bench) -> Outcome:
    with bench.school() as school:
        unit = school.unit
        unit.begin("--hang-after", "60")
        # Until nothing is written down any more it does not hang yet.
        wait_until(lambda: not unit.wait_for(1, 8), 60)
        began_s = time.monotonic() - 8
        code = unit.program.wait_for_end(60)
        took_s = time.monotonic() - began_s
        wrong = []
        if code is None or took_s > 45:
            wrong.append(f"the unit did not end by itself when its vision thread hung (exit {code}, {took_s:.0f} s)")
        unit.program.kill()
        unit.begin()
        if not unit.wait_for(2):
            wrong.append("after the restart nothing is written down")
        more = f"ended with {code} after about {took_s:.0f} s; systemd's own watchdog is not part of this"
        return settled(school, more=more, wrong=wrong)


@FAULTS.fault(44, "memory: bounded while running, a kill for lack of it restarts clean")
def memory(bench: Bench) -> Outcome:
    run_s = bench.fewer(180, 20)
    with bench.school() as school:
        school.run_units()
        bench.pause(8)
        before = {name: _resident_mb(pid) for name, pid in _pids(school).items()}
        bench.say(f"watching memory for {run_s} s")
        bench.pause(run_s)
        after = {name: _resident_mb(pid) for name, pid in _pids(school).items()}
        wrong = [
            f"the {name} grew from {before[name]:.0f} to {after[name]:.0f} MB in {run_s} s"
            for name in before
            if after[name] > before[name] * 1.25 + 8
        ]
        school.unit.program.kill()
        school.unit.begin()
        figures = ", ".join(f"{name} {before[name]:.0f} -> {after[name]:.0f} MB" for name in before)
        return settled(school, more=f"{figures} in {run_s} s; a day's soak is not run here", wrong=wrong)


def _pids(school: School) -> dict[str, int]:
    return {"unit": school.unit.program.pid, "hub": school.hub.pid}


def _resident_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123 (a file of the kernel)
        return int(file.read().split()[1]) * 4096 / 1e6


@FAULTS.fault(47, "database migration killed after each statement that changes tables")
def killed_migration(bench: Bench) -> Outcome:
    with bench.school(count=0) as school:
        school.hub.stop()
        server = school.database.server
        server.execute(f"DROP DATABASE `{school.database.database}`")
        server.create_database(school.database.database)
        program = school.make_hub("migration")
        program.arguments = ["--", "--config", str(school.folder / "hub" / "hub.toml"), "db", "migrate"]
        crashes, statement = 0, 1
        while crashes < 200:
            # Always one later: a statement that asks first whether its table is there is sent each time.
            program.extra = ["--crash", f"{DDL_POINT}:{statement}"]
            statement += bench.chance.randint(3, 9) if bench.quick else 1
            program.launch()
            code = program.wait_for_end(60)
            program.kill()
            if code != _KILLED:
                break
            crashes += 1
        wrong = [] if code == 0 else [f"the migration ended with {code}: {program.words()[-300:]}"]
        try:
            school.office("db", "check")
        except CommandFailed as exc:
            wrong.append(f"the tables are not whole: {exc}")
        return judged(wrong, f"{crashes} crashes, then it went to its end", crashes)


@FAULTS.fault(49, "SIGTERM while a backlog is being delivered", quiet=True)
def stop_while_draining(bench: Bench) -> Outcome:
    from tests.faults.backlog import fill

    with bench.school() as school:
        unit = school.unit
        school.run_units()
        unit.program.stop()
        fill(unit, bench.fewer(60_000, 15_000))
        before = school.at_hub()
        unit.begin()
        wait_until(lambda: school.at_hub() > before + 200, 30)
        began_s = time.monotonic()
        unit.program.signal(signal.SIGTERM)
        code = unit.program.wait_for_end(20)
        took_s = time.monotonic() - began_s
        unit.program.stop()
        wrong = [] if code == 0 and took_s < 10 else [f"ended with {code} after {took_s:.1f} s"]
        left = unit.waiting()
        if not wait_until(lambda: "stopped" in str(school.statuses()[unit.label]["condition"]), 10):
            wrong.append(f"the hub says of it: {school.statuses()[unit.label]['condition']}")
        return settled(school, more=f"stopped in {took_s:.1f} s with {left} still to deliver", wrong=wrong)
