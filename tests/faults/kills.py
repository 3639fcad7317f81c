"""Random kills of everything, hundreds of them, and then the judge."""

import random
import time
from collections import Counter
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
from tests.faults.catalogue import Catalogue, Outcome, in_words, judged
from tests.faults.checker import Verdict, judge
from tests.faults.parts import BenchMariaDb, BenchMosquitto, Part
from tests.faults.school import School

FAULTS = Catalogue()
UNITS = 4
IN_ONE_SCHOOL = 60
"""Kills in a school before its judgement."""
_EVERY_S = 0.7
_EVERY_REAL_S = 2.5
_BOTH_COME_S = 60.0
_TICK_S = 0.02
_HIT_EARLY = 0.1
_BACK_WITHIN_S = 120.0
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
    """Kills of several victims by chance: who, in which order, and for how long they are away."""

    victims: Sequence[tuple[str, Victim, int]]
    """Name, victim, and how often it is its turn compared with the others."""
    chance: random.Random
    every_s: float
    killed: dict[str, int] = field(default_factory=dict)
    _back_at_s: dict[str, float] = field(default_factory=dict)

    def run(self, kills: int, tell: Callable[[int], None]) -> None:
        """Kill so often. Raises AssertionError when one whose turn it is does not come back."""
        for done in range(1, kills + 1):
            name, victim, _ = self.chance.choices(self.victims, [weight for _, _, weight in self.victims])[0]
            # Most get something done before; some are hit while they are still starting.
            early = self.chance.random() < _HIT_EARLY
            due_s = time.monotonic() + self.chance.uniform(0.1, 1.9) * self.every_s
            while not (time.monotonic() >= due_s and self._can_be_hit(name, victim, early=early)):
                if time.monotonic() > due_s + _BACK_WITHIN_S:
                    raise AssertionError(f"{name} did not come back within {_BACK_WITHIN_S:.0f} s")
                self._bring_back(time.monotonic())
                time.sleep(_TICK_S)
            self._hit(name, victim)
            tell(done)
        for name, victim, _ in self.victims:
            if name in self._back_at_s:
                victim.launch()

    def _can_be_hit(self, name: str, victim: Victim, *, early: bool) -> bool:
        return name not in self._back_at_s and victim.running and (early or victim.ready)

    def _hit(self, name: str, victim: Victim) -> None:
        victim.kill()
        self.killed[name] = self.killed.get(name, 0) + 1
        away_s = 0.0 if self.chance.random() < 0.4 else self.chance.uniform(0, _LONGEST_AWAY_S)
        self._back_at_s[name] = time.monotonic() + away_s

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

    def counts(self) -> dict[str, int]:
        """Return how often each kind was killed."""
        kinds: Counter[str] = Counter()
        for name, count in self.killed.items():
            kinds[f"kills of {name.split('-')[0]}"] += count
        return dict(sorted(kinds.items()))


def _counts(campaign: Campaign, verdict: Verdict) -> dict[str, int]:
    return {**campaign.counts(), "events committed": verdict.committed, "events at the hub": verdict.at_hub}


def kill_school(
    school: School, kills: int, chance: random.Random, say: Callable[[str], None], *, every_s: float
) -> Campaign:
    """Kill units, hub, broker and database of a running school by chance so often; return how it was."""
    victims: list[tuple[str, Victim, int]] = [(f"unit-{n}", unit.program, 10) for n, unit in enumerate(school.units)]
    victims += [("hub", school.hub, 10), ("broker", school.broker, 4), ("database", school.database, 5)]
    campaign = Campaign(victims, chance, every_s)

    def tell(done: int) -> None:
        if done % 25 == 0 or done == kills:
            say(f"{done} of {kills} kills; {sum(unit.committed() for unit in school.units)} events committed")

    campaign.run(kills, tell)
    return campaign


def _scripted(bench: Bench) -> int:
    return bench.kills - _real(bench)


def _real(bench: Bench) -> int:
    return min(bench.kills, max(6, bench.kills // 10))


def _schools(kills: int) -> int:
    return max(1, -(-kills // IN_ONE_SCHOOL))


def _share(kills: int, part: int) -> int:
    """Return how many of the kills are the part's: all parts together make exactly so many."""
    schools = _schools(kills)
    return kills * (part + 1) // schools - kills * part // schools


@FAULTS.fault(
    0,
    "random kill -9 of units, hub, broker and database (scripted recogniser)",
    parts=lambda bench: _schools(_scripted(bench)),
)
def random_kills(bench: Bench) -> Outcome:
    kills = _share(_scripted(bench), bench.part)
    with bench.school(count=UNITS) as school:
        school.run_units()
        campaign = kill_school(school, kills, bench.chance, bench.say, every_s=_EVERY_S)
        problems, verdict = school.settle()
        counts = _counts(campaign, verdict)
        return judged([*problems, *verdict.problems], in_words(counts), kills, counts)


@FAULTS.fault(
    0,
    "random kill -9 of unit, hub, broker and database (real recognition)",
    parts=lambda bench: _schools(_real(bench)),
)
def random_kills_with_real_recognition(bench: Bench) -> Outcome:
    kills = _share(_real(bench), bench.part)
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
            campaign = Campaign(victims, bench.chance, _EVERY_REAL_S)

            def tell(done: int) -> None:
                if done % 10 == 0:
                    bench.say(f"{done} of {kills} kills with real recognition")

            campaign.run(kills, tell)
            return _judge_real(stage, unit, program, empty.frames[0].parent, campaign)


def _real_unit(unit: StagedUnit, clip: Path) -> Part:
    program = Part("unit", unit.folder, "edge", ["run", "--config", str(unit.settings), "--json"], UNIT_RUNS)
    settings = {"kind": "replay", "source": str(clip), "at_end": "again", "presence__absence_s": "5"}
    program.variables = camera_variables(settings | {"presence__coverage_every_s": "5"})
    return program


def _judge_real(stage: Stage, unit: StagedUnit, program: Part, empty_room: Path, campaign: Campaign) -> Outcome:
    for server in (stage.broker, stage.database):
        server.start()
    stage.hub.stop()
    stage.hub.start()
    program.start()
    # Between the last kills nobody may have had the time to come.
    wait_until(lambda: _recognised(stage) == 2, _BOTH_COME_S)
    program.kill()
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
    present = _recognised(stage)
    wrong = [] if present == 2 else [f"{present} students were recognised, two were there"]
    counts = _counts(campaign, verdict)
    return judged([*wrong, *verdict.problems], in_words(counts), sum(campaign.killed.values()), counts)


def _recognised(stage: Stage) -> int:
    return int(str(stage.query("SELECT COUNT(DISTINCT student_id) FROM events WHERE kind = 'seen'")[0][0]))
