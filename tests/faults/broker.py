"""Faults of the broker: killed, full, small, strict; and of several hubs behind it."""

import os
import shutil
import signal
import time

from deploy.own_process import wait_until
from deploy.private_servers import MosquittoSettings, password_file_line
from deploy.stage import SITE
from tests.faults.bench import Bench, settled
from tests.faults.bench_unit import BenchUnit
from tests.faults.catalogue import Catalogue, Outcome
from tests.faults.school import School
from tests.faults.stranger import Stranger

FAULTS = Catalogue()
_NOT_EVENTS = ("hello", "status", "want", "applied", "audit")


@FAULTS.fault(3, "kill -9 of a broker that keeps nothing")
def broker_killed(bench: Bench) -> Outcome:
    runs = bench.fewer(12, 4)
    with bench.school() as school:
        school.run_units()
        for _ in range(runs):
            school.unit.wait_for(2)
            school.broker.kill()
            bench.pause(bench.chance.uniform(0, 2))
            school.broker.start()
            wait_until(lambda: school.unit.waiting() < 3, 20)
        return settled(school, runs)


@FAULTS.fault(21, "a batch is larger than the broker's limit: refused before it is sent, no connection is lost")
def small_broker(bench: Bench) -> Outcome:
    run_s = bench.fewer(30, 12)
    with bench.school() as school:
        school.run_units()
        unit = school.unit
        unit.program.kill()
        # More than one batch of the usual size waits.
        school.broker.kill()
        unit.begin()
        unit.wait_for(40, 60)
        school.broker.settings = MosquittoSettings(max_packet_size=3000)
        school.broker.start()
        bench.pause(run_s)
        connects = school.broker.connects(unit.unit_id)
        wrong = [] if connects <= 4 else [f"{connects} connections in {run_s} s"]
        if not unit.program.running:
            wrong.append("the unit ended")
        said = [problem["code"] for problem in school.statuses()[unit.label]["problems"]]
        school.broker.kill()
        school.broker.settings = MosquittoSettings()
        return settled(school, more=f"{connects} connections in {run_s} s, problems {said}", wrong=wrong)


@FAULTS.fault(22, "the broker's rules deny events: nothing is taken for sent, the reason is said")
def acl_denies(bench: Bench) -> Outcome:
    with bench.school() as school:
        unit = school.unit
        # With a gallery: while each message ends the connection, none can be fetched.
        school.run_units()
        unit.program.stop()
        rules = school.folder / "acl"
        allowed = "topic readwrite rollcall/#\n"
        rules.write_text(
            f"topic read rollcall/#\ntopic write rollcall/1/{SITE}/down/#\n"
            + "".join(f"topic write rollcall/1/{SITE}/up/+/{name}\n" for name in _NOT_EVENTS),
            encoding="ascii",
        )
        school.broker.kill()
        school.broker.settings = MosquittoSettings(extra_lines=(f"acl_file {rules}",))
        school.broker.start()
        before = school.at_hub()
        unit.begin()
        unit.wait_for(5)
        bench.pause(bench.fewer(20, 8))
        wrong = []
        if school.at_hub() != before or unit.waiting() == 0:
            wrong.append("events left although the broker's rules deny it")

        def problems() -> list[str]:
            return [problem["code"] for problem in school.statuses()[unit.label]["problems"]]

        # Mosquitto cuts the connection mostly without a word: the second cut shows over which message.
        wait_until(lambda: "broker_refuses" in problems(), 30)
        said = problems()
        if "broker_refuses" not in said:
            wrong.append(f"the status does not say that the broker refuses ({said})")
        rules.write_text(allowed, encoding="ascii")
        school.broker_signal(signal.SIGHUP)
        if not wait_until(lambda: unit.waiting() < 5, 120):
            wrong.append(f"{unit.waiting()} events wait after the rules were put right")
        return settled(school, more=f"problems {said}", wrong=wrong)


@FAULTS.fault(23, "the broker's queues hold 10 messages and drop the rest with a friendly PUBACK")
def small_queues(bench: Bench) -> Outcome:
    settings = MosquittoSettings(extra_lines=("max_queued_messages 10", "max_inflight_messages 2"))
    with bench.school(count=bench.fewer(4, 2), mosquitto=settings) as school:
        school.run_units()
        for _ in range(bench.fewer(5, 2)):
            school.hub_signal(signal.SIGSTOP)
            bench.pause(3)
            school.hub_signal(signal.SIGCONT)
            bench.pause(3)
        # The last of the broker's own `max_queued_messages` lines holds.
        return settled(school)


@FAULTS.fault(24, "one of two hub workers dies with messages in flight")
def hub_worker_dies(bench: Bench) -> Outcome:
    runs = bench.fewer(8, 3)
    wrong = []
    with bench.school(count=2) as school:
        _serve_with_two(school)
        school.run_units()
        for _ in range(runs):
            worker = bench.chance.choice(school.hub.children())
            # Frozen first, so that messages lie in it when it dies.
            os.kill(worker, signal.SIGSTOP)
            bench.pause(1.5)
            os.kill(worker, signal.SIGKILL)
            if not wait_until(lambda: len(school.hub.children()) == 2, 30):
                wrong.append("the worker was not started again within 30 s")
                break
            bench.pause(2)
        if not school.hub.running:
            wrong.append("the hub ended with its worker")
        return settled(school, runs, wrong=wrong)


def _serve_with_two(school: School) -> None:
    school.hub.stop()
    school.hub.arguments += ["--workers", "2"]
    school.hub.start()
    if not wait_until(lambda: len(school.hub.children()) == 2, 20):
        raise AssertionError(f"two workers do not run: {school.hub.words()[-500:]}")


@FAULTS.fault(25, "a dead hub process leaves nothing behind that takes messages away from the living one")
def no_session_left(bench: Bench) -> Outcome:
    with bench.school(count=2) as school:
        second = school.make_hub("hub-2")
        second.variables = dict(school.hub.variables)
        for hub in (school.hub, second):
            # As on two computers that share the work.
            hub.stop()
            hub.arguments.append("--share")
            hub.start()
        school.run_units()
        bench.pause(2)
        second.kill()
        began_s, longest = time.monotonic(), 0
        while time.monotonic() - began_s < bench.fewer(40, 15):
            bench.pause(0.5)
            longest = max(longest, *(unit.waiting() for unit in school.units))
        waiting = sum(unit.waiting() for unit in school.units)
        # Half of the batches would come to nobody and be sent again and again.
        wrong = [] if waiting < 40 else [f"{waiting} events wait: a part of them goes to a hub that is gone"]
        return settled(school, more=f"at most {longest} events waited on a unit", wrong=wrong)


@FAULTS.fault(30, "two units from one copied card")
def copied_card(bench: Bench) -> Outcome:
    run_s = bench.fewer(60, 25)
    with bench.school() as school:
        unit = school.unit
        school.run_units()
        unit.program.stop()
        twin = copy_of(school, unit, "twin")
        unit.begin()
        twin.begin()
        before = school.broker.connects(unit.unit_id)
        bench.pause(run_s)
        connects = school.broker.connects(unit.unit_id) - before
        wrong = [] if connects < run_s / 2 else [f"{connects} connections in {run_s} s: they throw each other out"]
        words = unit.program.words() + twin.program.words()
        if "twin" not in words and "card copied" not in words:
            wrong.append("neither of the two says that another one uses its name")
        # One after the other, as a person would sort it out.
        unit.program.stop()
        twin.program.stop()
        unit.replaced = twin.replaced = True
        return settled(school, more=f"{connects} connections in {run_s} s", wrong=wrong)


def copy_of(school: School, unit: BenchUnit, label: str) -> BenchUnit:
    """Return a unit that is a copy of another's card, with a life of its own from now on."""
    folder = school.folder / label
    shutil.copytree(unit.folder, folder)
    twin = BenchUnit(label, unit.unit_id, folder, school.broker.port, 77)
    for path in (twin.truth, *folder.glob("*.log"), *folder.glob("*.history")):
        path.unlink(missing_ok=True)
    school.units.append(twin)
    return twin


@FAULTS.fault(50, "a hostile unit: another's topics, another's name, forged and replayed receipts")
def hostile_unit(bench: Bench) -> Outcome:
    with bench.school(count=2) as school:
        good, bad = school.units
        passwords, rules = school.folder / "passwords", school.folder / "acl"
        secrets = {"hub": "hub-secret", good.unit_id: "good-secret", bad.unit_id: "bad-secret"}
        passwords.write_text("".join(password_file_line(*pair) + "\n" for pair in secrets.items()), encoding="ascii")
        rules.write_text(
            "user hub\ntopic readwrite rollcall/#\n\n"
            "pattern write rollcall/1/+/up/%u/+\npattern read rollcall/1/+/down/%u/+\n",
            encoding="ascii",
        )
        school.broker.kill()
        school.broker.settings = MosquittoSettings(
            anonymous=False, extra_lines=(f"password_file {passwords}", f"acl_file {rules}")
        )
        school.broker.start()
        for part, name, prefix in (
            (school.hub, "hub", "HUB"), (good.program, good.unit_id, "EDGE"), (bad.program, bad.unit_id, "EDGE"),
        ):  # fmt: skip
            secret = part.folder / "broker.password"
            secret.write_text(secrets[name] + "\n", encoding="ascii")
            secret.chmod(0o600)
            part.variables |= {
                f"ROLLCALL_{prefix}_BROKER__USERNAME": name,
                f"ROLLCALL_{prefix}_BROKER__PASSWORD_FILE": str(secret),
            }
        school.hub.stop()
        school.hub.start()
        good.begin()
        good.wait_for(5)
        before = school.at_hub()
        with Stranger(school.broker.port, SITE, bad.unit_id, username=bad.unit_id, password="bad-secret") as stranger:
            stranger.send_as(good.unit_id, "events", stranger.batch(3))
            stranger.send_as("+", "events", stranger.batch(3))
            stranger.send_as("a/b", "events", stranger.batch(3))
            stranger.send_down(good.unit_id, "receipt", stranger.receipt_for_everything())
            # This broker hangs up after each message that it denies, and whoever sent it comes back after a second.
            wait_until(lambda: stranger.denied >= 4, 20)
            denied = stranger.denied
        wrong = [] if denied == 4 else [f"the broker denied {denied} of 4 messages"]
        named = school.query(f"SELECT COUNT(*) FROM events WHERE epoch = '{stranger.epoch}'")[0][0]  # noqa: S608
        if int(str(named)):
            wrong.append(f"{named} events of the stranger are on record")
        good.wait_for(3)
        if school.at_hub() <= before:
            wrong.append("the good unit is not served any more")
        school.units.remove(bad)
        return settled(school, more=f"{denied} messages denied by the broker", wrong=wrong)
