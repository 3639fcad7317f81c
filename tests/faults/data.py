"""Faults of what is said: lost, repeated, forged, poisoned, from an old copy, from another version."""

import hashlib
import queue
import shutil
import signal
import sqlite3
from pathlib import Path
from uuid import uuid4

from deploy.own_process import wait_until
from deploy.stage import SITE
from tests.faults import records
from tests.faults.bench import Bench, settled
from tests.faults.catalogue import Catalogue, Outcome, judged
from tests.faults.network import broker_line
from tests.faults.proxy import FINE, Weather
from tests.faults.school import with_file
from tests.faults.stranger import Stranger

FAULTS = Catalogue()


@FAULTS.fault(8, "the database is restored from an older copy: it lacks what it had acknowledged")
def database_restored(bench: Bench) -> Outcome:
    wrong = []
    with bench.school() as school:
        school.run_units()
        school.unit.wait_for(10)
        bench.say("a copy of the database is made")
        school.database.stop()
        data, copy = school.database.folder / "data", school.database.folder / "copy"
        shutil.copytree(data, copy)
        school.database.start()
        school.unit.wait_for(25, 90)
        wait_until(lambda: school.unit.waiting() < 3, 60)
        acknowledged = school.at_hub()
        school.database.stop()
        shutil.rmtree(data)
        copy.rename(data)
        school.database.start()
        lost = acknowledged - school.at_hub()
        bench.say(f"{lost} acknowledged events are gone from the database")
        if lost <= 0:
            wrong.append("nothing was lost by going back to the copy")
        # Noticed at the next welcome; that the unit's connection outlives a restored database is for the daily audit.
        school.hub.stop()
        school.hub.start()
        school.unit.program.stop()
        school.unit.begin()
        if not wait_until(lambda: school.at_hub() >= acknowledged, 60):
            wrong.append(f"{acknowledged - school.at_hub()} acknowledged events did not come back")
        problems = [problem["code"] for problem in school.statuses()[school.unit.label]["problems"]]
        return settled(
            school, more=f"{lost} events lost by the database and sent again; problems {problems}", wrong=wrong
        )


@FAULTS.fault(26, "every batch three times and in any order")
def batches_repeated(bench: Bench) -> Outcome:
    run_s = bench.fewer(60, 15)
    with bench.school(count=2) as school, Stranger(school.broker.port, SITE, school.unit.unit_id) as stranger:
        stranger.listen(f"rollcall/1/{SITE}/up/+/events", f"rollcall/1/{SITE}/up/+/backlog")
        school.run_units()
        held: list[tuple[str, bytes]] = []
        repeated = 0
        # What is repeated is heard again: each message is repeated twice and no more.
        known: dict[bytes, int] = {}
        for _ in range(run_s):
            bench.pause(1)
            while True:
                try:
                    message = stranger.heard.get_nowait()
                except queue.Empty:
                    break
                known[message[1]] = known.get(message[1], 0) + 1
                if known[message[1]] == 1:
                    held += [message, message]
            bench.chance.shuffle(held)
            now, held = held[: len(held) // 2 + 1], held[len(held) // 2 + 1 :]
            for topic, payload in now:
                stranger.repeat(topic, payload)
                repeated += 1
        return settled(school, repeated, f"{repeated} batches repeated")


@FAULTS.fault(27, "receipts lost, late, repeated, and of another stream")
def receipts(bench: Bench) -> Outcome:
    rounds = bench.fewer(6, 2)
    wrong = []
    with bench.school(lines=True) as school, Stranger(school.broker.port, SITE, school.unit.unit_id) as stranger:
        unit = school.unit
        stranger.listen(f"rollcall/1/{SITE}/down/+/receipt")
        school.run_units()
        heard: list[tuple[str, bytes]] = []
        for _ in range(rounds):
            bench.say("nothing comes down to the unit, then all of it at once")
            broker_line(school).weather = Weather(stalled=frozenset({"down"}))
            bench.pause(4)
            broker_line(school).weather = FINE
            while not stranger.heard.empty():
                heard.append(stranger.heard.get())
            for topic, payload in heard[-20:] * 2:
                stranger.repeat(topic, payload)
        # A receipt of a stream that the unit does not have says nothing.
        school.hub_signal(signal.SIGSTOP)
        unit.wait_for(5)
        for _ in range(5):
            stranger.send_down(unit.unit_id, "receipt", stranger.receipt_for_everything())
        bench.pause(2)
        if unit.waiting() == 0:
            wrong.append("a receipt of a foreign stream was believed")
        school.hub_signal(signal.SIGCONT)
        return settled(school, rounds, f"{len(heard)} receipts repeated", wrong=wrong)


@FAULTS.fault(28, "one poisoned event among a hundred: a dead letter on both sides, the others arrive")
def poison(bench: Bench) -> Outcome:
    wrong = []
    with bench.school() as school:
        unit = school.unit
        school.run_units()
        school.hub_signal(signal.SIGSTOP)
        unit.wait_for(40, 60)
        unit.program.stop()
        school.hub_signal(signal.SIGCONT)

        def poison_one(file: sqlite3.Connection) -> None:
            row = file.execute(
                "SELECT event_id, body FROM events JOIN outbox USING (epoch, seq) WHERE kind = 'seen'"
                " ORDER BY place LIMIT 1 OFFSET 5"
            ).fetchone()
            body = row[1].replace('"samples":', '"samples":-')
            # With its hash: a unit that wrote nonsense down, and no damaged file.
            file.execute(
                "UPDATE events SET body = ?, sha256 = ? WHERE event_id = ?",
                [body, hashlib.sha256(body.encode()).digest(), row[0]],
            )

        with_file(unit.data_dir, poison_one)
        unit.begin()
        wait_until(lambda: unit.waiting() < 3, 60)
        dead = len(unit.record().dead_letters)
        kept = school.query("SELECT COUNT(*) FROM quarantine WHERE epoch IS NOT NULL")[0][0]
        if dead != 1 or int(str(kept)) != 1:
            wrong.append(f"{dead} dead letters on the unit and {kept} at the hub, one was poisoned")

        def said() -> bool:
            return any(one["code"] == "dead_letters" for one in school.statuses()[unit.label]["problems"])

        # The unit tells its status every second here.
        if not wait_until(said, 5):
            wrong.append("the dead letter is not said in the status")
        return settled(school, more="1 dead letter on both sides", wrong=wrong)


@FAULTS.fault(29, "one event id with two contents")
def contradiction(bench: Bench) -> Outcome:
    wrong = []
    with bench.school() as school:
        school.unit.program.stop()
        with Stranger(school.broker.port, SITE, school.unit.unit_id) as stranger:
            stranger.listen(f"rollcall/1/{SITE}/down/+/receipt")
            event = stranger.event()
            first = stranger.batch_of([event])
            stranger.send("events", first)
            answer = stranger.answer_to(first)
            if answer is None or not answer.get("accepted"):
                wrong.append(f"the first was not accepted: {answer}")
            second = stranger.batch_of([event | {"dwell_s": 99.0}])
            stranger.send("events", second)
            answer = stranger.answer_to(second)
            codes = [one["code"] for one in (answer or {}).get("rejected", [])]
            if codes != ["conflict"]:
                wrong.append(f"the second was answered with {answer}")
        kept = school.query("SELECT body FROM events")
        if len(kept) != 1 or "99" in str(kept[0][0]):
            wrong.append("the record was changed")
        if not school.query("SELECT 1 FROM quarantine WHERE code = 'conflict'"):
            wrong.append("the contradiction is not kept for a person")
        if "contradict" not in school.hub.words():
            wrong.append("the hub raises no alarm")
        return judged(wrong, "rejected as a conflict, kept aside, alarm in the log")


@FAULTS.fault(31, "the unit's disk is restored from an old copy")
def unit_restored(bench: Bench) -> Outcome:
    runs = bench.fewer(4, 2)
    wrong = []
    with bench.school() as school:
        unit = school.unit
        school.run_units()
        unit.replaced = True
        for number in range(runs):
            unit.wait_for(8)
            unit.program.stop()
            copy = unit.folder / f"copy-{number}"
            shutil.copytree(unit.data_dir, copy)
            unit.begin()
            unit.wait_for(15, 60)
            # In every second run not everything had been delivered; that part is lost with the disk it was on.
            wait_until(lambda: unit.waiting() < 2, 30)
            unit.program.stop()
            wait_until(lambda: unit.waiting() == 0, 1)
            lost = {event.event_id for event in unit.record().events if event.delivery == "waiting"}
            shutil.rmtree(unit.data_dir)
            copy.rename(unit.data_dir)
            _forget(unit.truth, lost)
            unit.begin()
            if not unit.wait_for(10, 60):
                wrong.append("after the old copy is back nothing is written down")
            if not wait_until(lambda: unit.waiting() < 5, 60):
                wrong.append(f"{unit.waiting()} events wait after the old copy is back")
        return settled(school, runs, wrong=wrong)


def _forget(path: Path, lost: set[str]) -> None:
    kept = [line for line in records.read_lines(path) if line.split()[0] not in lost]
    path.write_text("".join(f"{line}\n" for line in kept), encoding="ascii")


@FAULTS.fault(46, "a newer unit: unknown kinds are refused by name, unknown fields are borne")
def newer_unit(bench: Bench) -> Outcome:
    wrong = []
    with bench.school() as school, Stranger(school.broker.port, SITE, school.unit.unit_id) as stranger:
        stranger.listen(f"rollcall/1/{SITE}/down/+/receipt")
        events = [stranger.event(flavour="new"), stranger.event(kind="yawned", loud=True), stranger.event()]
        batch = stranger.batch_of(events) | {"minor": 7, "colour": "blue"}
        stranger.send("events", batch)
        answer = stranger.answer_to(batch) or {}
        accepted = [seq for span in answer.get("accepted", []) for seq in range(span["first"], span["last"] + 1)]
        rejected = [(one["seq"], one["code"]) for one in answer.get("rejected", [])]
        if accepted != [1, 3] or rejected != [(2, "unsupported_kind")]:
            wrong.append(f"answered with accepted {accepted}, rejected {rejected}")
        # And the other way: a newer hub says more than this unit knows.
        unit = school.unit
        unit.begin()
        unit.wait_for(3)
        message = (
            b'{"minor":9,"epoch":"' + stranger.epoch.encode() + b'","batch_id":"' + str(uuid4()).encode()
            + b'","result":"taken","mood":"fine"}'
        )  # fmt: skip
        stranger.send_down(unit.unit_id, "receipt", message)
        stranger.send_down(unit.unit_id, "praise", b'{"minor":9}')
        unit.wait_for(5)
        if not unit.program.running:
            wrong.append("a message of a newer hub ended the unit")
        unit.replaced = True
        return settled(school, more="unsupported_kind for the unknown event, the others accepted", wrong=wrong)
