"""How fast a unit writes events down so that they survive a power cut: through the journal, as the recorder does."""

import json
import time
from pathlib import Path

from deploy.bench.contest import Contest
from deploy.bench.fleet_unit import FleetUnit
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.core.ports import Journal
from hub.adapters.clock import SystemClock
from protocol.events import Event, parse_event

_TOGETHER = 10


def measure_edge_commits(contest: Contest) -> None:
    """Measure commits of one event each, and of ten."""
    count = contest.effort.edge_commits
    contest.say(f"unit's journal, {count} commits")
    for together in (1, _TOGETHER):
        rate = _commit_rate(contest.scratch / f"journal-{together}", count // together, together)
        contest.report.add(f"unit's journal, {together} event{'s' if together > 1 else ''} a commit", rate, "events/s")


def _commit_rate(folder: Path, commits: int, together: int) -> float:
    folder.mkdir(parents=True)
    file = UnitFile(folder)
    try:
        journal: Journal = SqliteJournal(file)
        unit = FleetUnit(0, SystemClock().now())
        batches = [_events(unit, together) for _ in range(commits)]
        begun_s = time.monotonic()
        for batch in batches:
            journal.append(batch)
        return commits * together / (time.monotonic() - begun_s)
    finally:
        file.close()


def _events(unit: FleetUnit, count: int) -> list[Event]:
    _, payload = unit.batch(count)
    return [parse_event(raw) for raw in json.loads(payload)["events"]]
