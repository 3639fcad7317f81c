"""Random kills of everything, hundreds of them, and then the judge."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deploy.clip import SCRIPTS, make_clip
from deploy.demo import enrol_people, fetch_gallery, prepare_school
from deploy.own_process import wait_until
from deploy.stage import UNIT_RUNS, Stage, StagedUnit, camera_variables
from tests.faults import records
from tests.faults.bench import Bench
from tests.faults.catalogue import Catalogue, Outcome, judged
from tests.faults.checker import judge
from tests.faults.parts import BenchMariaDb, BenchMosquitto, Part
from tests.faults.school import School

FAULTS = Catalogue()
UNITS = 4
_TICK_S = 0.02
_LONGEST_AWAY_S = 2.5


class Victim(Protocol):
    """Something that can be killed and started without waiting."""

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        ...

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        ...

    def kill(self) -> None:
        """End it as a crash does."""
        ...

    def launch(self) -> None:
        """Start it; do not wait."""
        ...


@dataclass(slots=True)
class Campaign:
    """Kills of several victims by chance: who, when, and for how long they are away."""

    victims: Sequence[tuple[str, Victim, int]]
    """Name, victim, and how often it is its turn compared with the others."""
    chance: random.Random
    every_s: float
    killed: dict[str, int] = field(default_factory=dict)
    _back_at_s: dict[str, float] = field(default_factory=dict)

    def run(self, kills: int, until_s: float | None, tell: Callable[[int], None]) -> int:
        """Kill so often, at most until a moment of the monotonic clock; return how often it was."""
        done, next_s = 0, time.monotonic() + self.every_s
        while done < kills and (until_s is None or time.monotonic() < until_s):
            now_s = time.monotonic()
            self._bring_back(now_s)
            if now_s >= next_s and self._kill_one(now_s):
                done += 1
                next_s = now_s + self.chance.uniform(0.1, 1.9) * self.every_s
                tell(done)
            time.sleep(_TICK_S)
        for name, victim, _ in self.victims:
            if name in self._back_at_s:
                victim.launch()
        return done

    def _kill_one(self, now_s: float) -> bool:
        # One that is still starting may be hit too, but not always: something has to get done in between.
        there = [
            (name, victim, weight)
            for name, victim, weight in self.victims
            if name not in self._back_at_s and victim.running and (victim.ready or self.chance.random() < 0.02)
        ]
        if not there:
            return False
        name, victim, _ = self.chance.choices(there, [weight for _, _, weight in there])[0]
        victim.kill()
        self.killed[name] = self.killed.get(name, 0) + 1
        away_s = 0.0 if self.chance.random() < 0.4 else self.chance.uniform(0, _LONGEST_AWAY_S)
        self._back_at_s[name] = now_s + away_s
        return True

    def _bring_back(self, now_s: float) -> None:
        for name, victim, _ in self.victims:
            due_s = self._back_at_s.get(name)
            if due_s is not None and now_s >= due_s:
                del self._back_at_s[name]
                victim.launch()
            elif due_s is None and not victim.running:
                # It ended by itself, as some do whose server is away: systemd starts it again.
                victim.kill()
                self._back_at_s[name] = now_s + 1.0

    def in_words(self) -> str:
        """Return how often each kind was killed."""
        kinds: dict[str, int] = {}
        for name, count in self.killed.items():
            kind = name.split("-")[0]
            kinds[kind] = kinds.get(kind, 0) + count
        return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))


def kill_school(
    school: School,
    kills: int,
    chance: random.Random,
    say: Callable[[str], None],
    *,
    every_s: float,
    minutes: float | None,
) -> tuple[int, Campaign]:
    """Kill units, hub, broker and database of a running school by chance; return how often, and how it was."""
    victims: list[tuple[str, Victim, int]] = [(f"unit-{n}", unit.program, 10) for n, unit in enumerate(school.units)]
    victims += [("hub", school.hub, 10), ("broker", school.broker, 4), ("database", school.database, 5)]
    campaign = Campaign(victims, chance, every_s)

    def tell(done: int) -> None:
        if done % 25 == 0 or done == kills:
            say(f"{done} of {kills} kills; {sum(unit.committed() for unit in school.units)} events committed")

    until_s = None if minutes is None else time.monotonic() + minutes * 60
    return campaign.run(kills, until_s, tell), campaign


@FAULTS.fault(0, "random kill -9 of units, hub, broker and database (scripted recogniser)")
def random_kills(bench: Bench) -> Outcome:
    kills = bench.kills - bench.kills // 10
    with bench.school(count=UNITS) as school:
        school.run_units()
        done, campaign = kill_school(school, kills, bench.chance, bench.say, every_s=0.9, minutes=bench.minutes)
        problems, verdict = school.settle()
        figures = (
            f"{done} kills ({campaign.in_words()}); {verdict.committed} events committed, {verdict.at_hub} at the hub"
        )
        return judged([*problems, *verdict.problems], figures, done)


@FAULTS.fault(0, "random kill -9 of unit, hub, broker and database (real recognition)")
def random_kills_with_real_recognition(bench: Bench) -> Outcome:
    kills = max(6, bench.kills // 10)
    with bench.folder() as folder:
        stage = Stage(folder, bench.pack)
        broker, database = BenchMosquitto(folder / "broker"), BenchMariaDb(folder / "database")
        stage.broker, stage.database = broker, database
        hub_folder = folder / "hub"
        arguments = ["--", "--config", str(hub_folder / "hub.toml"), "serve"]
        hub = Part("hub", hub_folder, "tests.faults.scripted_hub", arguments, "serving site=")
        stage.hub = hub
        with stage:
            unit = prepare_school(stage)
            enrol_people(stage)
            hub.start()
            # Without the empty room: after each restart somebody has to come at once.
            empty = make_clip(folder / "empty", scripts=SCRIPTS[:1])[0]
            make_clip(folder / "clip", scripts=SCRIPTS[1:])
            fetch_gallery(stage, unit, empty)
            program = _real_unit(unit, folder / "clip")
            program.start()
            victims: list[tuple[str, Victim, int]] = [
                ("unit", program, 10), ("hub", hub, 5), ("broker", broker, 4), ("database", database, 3),
            ]  # fmt: skip
            campaign = Campaign(victims, bench.chance, 2.5)

            def tell(done: int) -> None:
                if done % 10 == 0:
                    bench.say(f"{done} of {kills} kills with real recognition")

            done = campaign.run(kills, None, tell)
            program.kill()
            return _judge_real(stage, unit, program, empty.frames[0].parent, (done, campaign))


def _real_unit(unit: StagedUnit, clip: Path) -> Part:
    program = Part("unit", unit.folder, "edge", ["run", "--config", str(unit.settings), "--json"], UNIT_RUNS)
    settings = {"kind": "replay", "source": str(clip), "at_end": "again", "presence__absence_s": "5"}
    program.variables = camera_variables(settings | {"presence__coverage_every_s": "5"})
    return program


def _judge_real(stage: Stage, unit: StagedUnit, program: Part, empty_room: Path, how: tuple[int, Campaign]) -> Outcome:
    for server in (stage.broker, stage.database):
        server.start()
    stage.hub.stop()
    stage.hub.start()
    still = {"kind": "replay", "source": str(empty_room), "at_end": "stop", "replay_pace": "fast"}
    unit.command("run", "--json", camera={**still, "delivery__drain_s": "90"})
    wait_until(lambda: records.waiting(unit.folder / "data") == 0, 10)
    truth = unit.folder / "truth"
    # Its log tells each event after the commit.
    words = [line for line in program.all_words().splitlines() if " recorded " in line]
    truth.write_text("".join(f"{line.rpartition('event_id=')[2]}\n" for line in words), encoding="ascii")
    database = stage.database.server
    hub = records.read_hub(database, database.database(stage.database.database))
    unit_id = next(iter(hub.gallery_hashes))
    verdict = judge([records.read_unit(unit_id, unit.folder / "data", truth)], hub)
    done, campaign = how
    present = stage.query("SELECT COUNT(DISTINCT student_id) FROM events WHERE kind = 'seen'")[0][0]
    figures = f"{done} kills ({campaign.in_words()}); {verdict.committed} events committed, {verdict.at_hub} at the hub"
    wrong = [] if int(str(present)) == 2 else [f"{present} students were recognised, two were there"]
    return judged([*wrong, *verdict.problems], figures, done)
