"""Calibrating: measures the school's own scores, keeps what came out with its provenance, and shows the points."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy import Connection

from hub.adapters import audit_log, calibration_store, gallery_facts, gallery_revisions, look_alike_store, roster_store
from hub.core.calibration import Calibration, choose, describe, is_due, points_for
from hub.core.calibration_scores import look_alikes, measure
from hub.office.context import Office
from recognition.adapters.pack_files import Pack, read_pack
from recognition.core.gallery import Template

Pairs = dict[look_alike_store.Pair, float]


@dataclass(frozen=True, slots=True)
class Scope:
    """A gallery and its operating points by number of fused samples."""

    name: str
    students: int
    points: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Two students whose templates are too close to tell apart."""

    serial_number: str
    other_serial_number: str
    score: float | None
    origin: str


@dataclass(frozen=True, slots=True)
class Report:
    """Where operating points come from, what they are, and who is hard to tell apart."""

    pack_id: str
    calibration: Calibration | None
    """None: nobody has calibrated yet, and the pack's statistics hold."""
    due: bool
    sentences: list[str]
    scopes: list[Scope]
    look_alikes: list[LookAlikes]

    def as_json(self) -> dict[str, Any]:
        """Return everything for scripts."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A calibration that was made; `changed` says whether units get other points or look-alikes for it."""

    calibration: Calibration
    changed: bool
    pairs: Pairs


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    at: datetime
    before: Calibration | None
    templates: list[Template]
    apart: frozenset[look_alike_store.Pair]


def open_pack(office: Office) -> Pack:
    """Return the school's model pack. Raises PackError."""
    return read_pack(office.settings.recognition.pack_dir)


def calibrate(office: Office, pack: Pack, *, dry_run: bool = False, only_if_due: bool = False) -> Outcome | None:
    """Measure, and keep the result unless `dry_run`; None when `only_if_due` and it is not, or somebody was faster.

    Nothing is written before everything is computed, and then in one transaction.
    """
    read = office.database.run(
        lambda connection: _read(connection, office, pack, only_if_due=only_if_due), isolation="REPEATABLE READ"
    )
    if read is None:
        return None
    made, pairs = _measure(office, pack, read)
    if dry_run:
        return Outcome(made, _other_points(made, read.before), pairs)
    return office.database.run(lambda connection: _keep(connection, office, read.before, made, pairs))


def report(office: Office, pack: Pack, proposal: Outcome | None = None) -> Report:
    """Return the calibration that holds, or a `proposal` that was not kept, with the points that follow from it."""
    return office.database.run(
        lambda connection: _report(connection, office, pack, proposal), isolation="REPEATABLE READ"
    )


def _read(connection: Connection, office: Office, pack: Pack, *, only_if_due: bool) -> _Read | None:
    at = office.clock.now()
    before = calibration_store.newest(connection, pack.pack_id)
    if only_if_due and not _due(connection, office, pack, before, at):
        return None
    return _Read(
        at,
        before,
        calibration_store.consented_templates(connection, office.keys.ring(), pack.pack_id, at),
        look_alike_store.confirmed(connection),
    )


def _due(connection: Connection, office: Office, pack: Pack, before: Calibration | None, at: datetime) -> bool:
    change = calibration_store.change_since(connection, pack.pack_id, before, at)
    return is_due(before, office.settings.recognition.fpir, change, at)


def _measure(office: Office, pack: Pack, read: _Read) -> tuple[Calibration, Pairs]:
    fpir = office.settings.recognition.fpir
    scores = measure(read.templates, read.apart, pack.statistics, fpir)
    method, certainty = choose(scores, pack.statistics, fpir)
    statistics = scores.statistics if method in ("own", "both") else pack.statistics
    pairs = {} if statistics is None else look_alikes(read.templates, statistics, fpir)
    made = Calibration(
        calibration_id=calibration_store.new_calibration_id(read.at),
        pack_id=pack.pack_id,
        at=read.at,
        fpir=fpir,
        method=method,
        students=scores.students,
        comparisons=scores.comparisons,
        statistics=statistics,
        certainty=certainty,
        software=_software(),
        actor=office.actor,
    )
    return made, {pair: score for pair, score in pairs.items() if pair not in read.apart}


def _keep(
    connection: Connection, office: Office, before: Calibration | None, made: Calibration, pairs: Pairs
) -> Outcome | None:
    at = office.clock.now()
    calibration_store.lock(connection, at)
    now = calibration_store.newest(connection, made.pack_id)
    if (now and now.calibration_id) != (before and before.calibration_id):
        # Another process was faster, with the same templates.
        return None
    # Whoever withdrew while we computed is not named any more.
    here = calibration_store.enrolled(connection, made.pack_id)
    pairs = {pair: score for pair, score in pairs.items() if here.issuperset(pair)}
    calibration_store.keep(connection, made)
    other_pairs = look_alike_store.replace_found(connection, pairs, at, office.actor)
    changed = _other_points(made, before) or other_pairs
    if changed:
        gallery_revisions.touch_galleries(connection, at)
    detail: dict[str, audit_log.Json] = {
        "pack_id": made.pack_id,
        "method": made.method,
        "fpir": made.fpir,
        "students": made.students,
        "comparisons": made.comparisons,
        "look_alikes": len(pairs),
    }
    subject = f"calibration:{made.calibration_id}"
    audit_log.record(connection, at=at, actor=office.actor, action="calibrate", subject=subject, detail=detail)
    return Outcome(made, changed, pairs)


def _other_points(made: Calibration, before: Calibration | None) -> bool:
    """Say whether units need other points. Without any calibration they have the pack's."""
    return made.method in ("own", "both") if before is None else not made.same_result(before)


def _report(connection: Connection, office: Office, pack: Pack, proposal: Outcome | None) -> Report:
    at = office.clock.now()
    kept = calibration_store.newest(connection, pack.pack_id)
    holds = kept if proposal is None else proposal.calibration
    fpir = office.settings.recognition.fpir
    scopes = [
        Scope(name or "everybody", students, points_for(holds, pack.statistics, students, fpir).to_dict())
        for name, students in gallery_facts.scope_sizes(connection, pack.pack_id, at)
    ]
    known = {line.pair: (line.score, line.origin) for line in look_alike_store.lines(connection)}
    if proposal is not None:
        known = {pair: told for pair, told in known.items() if told[1] == look_alike_store.OPERATOR}
        known |= {pair: (score, look_alike_store.CALIBRATION) for pair, score in proposal.pairs.items()}
    return Report(
        pack_id=pack.pack_id,
        calibration=holds,
        due=_due(connection, office, pack, kept, at),
        sentences=describe(holds, pack.statistics),
        scopes=scopes,
        look_alikes=_named(connection, known),
    )


def _named(connection: Connection, known: Mapping[look_alike_store.Pair, tuple[float | None, str]]) -> list[LookAlikes]:
    people = roster_store.students_by_id(connection, sorted({one for pair in known for one in pair}))
    named = [
        LookAlikes(people[one].fields.serial_number, people[other].fields.serial_number, score, origin)
        for (one, other), (score, origin) in known.items()
        if one in people and other in people
    ]
    return sorted(named, key=lambda line: (-(line.score or 0.0), line.serial_number, line.other_serial_number))


def _software() -> str:
    try:
        return version("rollcall")
    except PackageNotFoundError:
        return "unknown"
