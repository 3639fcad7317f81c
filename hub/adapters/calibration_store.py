"""Calibrations in MySQL: what was measured, when and by whom, and whether it is time to measure again."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

import numpy as np
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, distinct, func, insert, select

from hub.adapters import gallery_facts, look_alike_store
from hub.adapters.audit_log import new_id
from hub.adapters.key_ring import Keys
from hub.adapters.schema import calibrations, students, templates
from hub.core.calibration import Calibration, Certainty, Change
from hub.core.errors import StoreRefused
from recognition.core.calibration import ScoreStatistics
from recognition.core.gallery import Template

_STATISTICS = TypeAdapter(ScoreStatistics)
_CERTAINTY = TypeAdapter(Certainty)


def newest(connection: Connection, pack_id: str) -> Calibration | None:
    """Return the calibration that holds for a pack. Raises StoreRefused for one that cannot be read."""
    row = connection.execute(
        select(calibrations)
        .where(calibrations.c.pack_id == pack_id)
        .order_by(calibrations.c.at.desc(), calibrations.c.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    try:
        statistics = None if row.statistics is None else _STATISTICS.validate_json(row.statistics)
        certainty = _CERTAINTY.validate_json(row.detail)
    except ValidationError as exc:
        raise StoreRefused(
            f"calibration {row.id} in the database is damaged", hint="run: rollcall-hub calibrate"
        ) from exc
    return Calibration(
        calibration_id=row.id,
        pack_id=row.pack_id,
        at=row.at,
        fpir=row.fpir,
        method=row.method,
        students=row.students,
        comparisons=row.comparisons,
        statistics=statistics,
        certainty=certainty,
        software=row.software,
        actor=row.actor,
    )


def keep(connection: Connection, calibration: Calibration) -> None:
    """Append a calibration; from now on it holds."""
    statistics = None if calibration.statistics is None else _json(asdict(calibration.statistics))
    connection.execute(
        insert(calibrations).values(
            id=calibration.calibration_id,
            pack_id=calibration.pack_id,
            at=calibration.at,
            fpir=calibration.fpir,
            method=calibration.method,
            students=calibration.students,
            comparisons=calibration.comparisons,
            statistics=statistics,
            detail=_json(asdict(calibration.certainty)),
            software=calibration.software[:40],
            actor=calibration.actor[:100],
        )
    )


def new_calibration_id(at: datetime) -> str:
    """Return a new identifier."""
    return new_id(at)


def consented_templates(connection: Connection, hub_key: Keys, pack_id: str, at: datetime) -> list[Template]:
    """Return the templates of everybody whose consent is in force, by id; damaged ones are left out.

    Nobody else's face is compared with anybody's, not even for statistics.
    """
    ids = list(
        connection.execute(select(students.c.id).where(gallery_facts.consented(at)).order_by(students.c.id)).scalars()
    )
    vectors, _ = gallery_facts.vectors_of(connection, ids, pack_id, hub_key)
    found = []
    for student_id, members in sorted(vectors.items()):
        rows = np.frombuffer(b"".join(members), dtype="<f4").reshape(len(members), -1)
        try:
            found.append(Template(student_id, pack_id, rows.astype(np.float32)))
        except ValueError:
            # No unit can use it either; the gallery says so, and `selftest` finds it.
            continue
    return found


def enrolled(connection: Connection, pack_id: str) -> set[str]:
    """Return who has a template of a pack."""
    return set(
        connection.execute(select(templates.c.student_id).where(templates.c.pack_id == pack_id).distinct()).scalars()
    )


def change_since(connection: Connection, pack_id: str, calibration: Calibration | None, at: datetime) -> Change:
    """Return how many students with a template there are, and how many came, went or got a picture since."""
    enrolled = (
        select(templates.c.student_id)
        .join(students, students.c.id == templates.c.student_id)
        .where(templates.c.pack_id == pack_id, gallery_facts.consented(at))
    )
    present = enrolled.distinct().subquery()
    now = connection.execute(select(func.count()).select_from(present)).scalar_one()
    if calibration is None:
        return Change(students=now, changed=now)
    count = select(func.count(distinct(templates.c.student_id))).where(
        templates.c.pack_id == pack_id, templates.c.created_at > calibration.at
    )
    touched = connection.execute(count).scalar_one()
    return Change(students=now, changed=touched + max(0, calibration.students - now))


def lock(connection: Connection, at: datetime) -> frozenset[look_alike_store.Pair]:
    """Let nobody else calibrate, enrol or withdraw until this transaction ends; return the pairs people confirmed."""
    return look_alike_store.lock(connection, at)


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
