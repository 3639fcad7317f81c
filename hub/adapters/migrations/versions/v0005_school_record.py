"""Version 0005: the school's record: timetables, marks, closings, rules, photos, a chained audit log. Frozen."""

import hashlib
import json
from datetime import datetime
from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.mysql import BINARY, DATETIME, MEDIUMBLOB

from hub.adapters.migrations import steps

revision = "0005"
down_revision = "0004"

_UUID = BINARY(16)
_UTC = DATETIME(fsp=6)
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
_TABLES = MetaData(naming_convention=_NAMES)
_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
_EXACT = "utf8mb4_bin"


def _word(length: int) -> String:
    return String(length, collation="ascii_bin")


def _text(length: int, name: str) -> Column[str]:
    return Column(name, String(length), nullable=False, server_default=text("''"))


# Only so that foreign keys find them: they are there already.
for _name in ("sections", "rooms", "students", "units", "lessons"):
    Table(_name, _TABLES, Column("id", _UUID, primary_key=True), **_OPTIONS)

Table(
    "section_groups",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("section_id", _UUID, ForeignKey("sections.id"), nullable=False),
    Column("name", String(100, collation=_EXACT), nullable=False),
    UniqueConstraint("section_id", "name"),
    **_OPTIONS,
)

Table(
    "student_groups",
    _TABLES,
    Column("student_id", _UUID, ForeignKey("students.id"), primary_key=True),
    Column("group_id", _UUID, ForeignKey("section_groups.id"), primary_key=True),
    Column("since", _UTC, primary_key=True),
    Column("until", _UTC),
    Index("ix_student_groups_group", "group_id", "student_id"),
    **_OPTIONS,
)

Table(
    "terms",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("name", String(100, collation=_EXACT), nullable=False, unique=True),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("weeks", Integer, nullable=False, server_default=text("1")),
    Column("first_week", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("last_day >= first_day", name="lasts"),
    **_OPTIONS,
)

Table(
    "holidays",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("label", String(100), nullable=False),
    CheckConstraint("last_day >= first_day", name="lasts"),
    Index("ix_holidays_days", "first_day", "last_day"),
    **_OPTIONS,
)

Table(
    "lesson_series",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("term_id", _UUID, ForeignKey("terms.id"), nullable=False),
    Column("room_id", _UUID, ForeignKey("rooms.id"), nullable=False),
    Column("section_id", _UUID, ForeignKey("sections.id"), nullable=False),
    Column("group_id", _UUID, ForeignKey("section_groups.id")),
    _text(100, "label"),
    _text(100, "teacher"),
    Column("weekday", Integer, nullable=False),
    Column("week", _word(1), nullable=False, server_default=text("''")),
    Column("starts", Time, nullable=False),
    Column("ends", Time, nullable=False),
    Column("from_day", Date),
    Column("until_day", Date),
    CheckConstraint("weekday between 1 and 7", name="weekday"),
    Index("ix_lesson_series_term", "term_id", "section_id", "weekday"),
    **_OPTIONS,
)

Table(
    "unit_rooms",
    _TABLES,
    Column("unit_id", _UUID, ForeignKey("units.id"), primary_key=True),
    Column("since", _UTC, primary_key=True),
    Column("room_id", _UUID, ForeignKey("rooms.id"), nullable=False),
    Index("ix_unit_rooms_room", "room_id", "unit_id"),
    **_OPTIONS,
)

Table(
    "photos",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("student_id", _UUID, ForeignKey("students.id"), nullable=False),
    Column("sealed", MEDIUMBLOB, nullable=False),
    Column("source", String(40), nullable=False),
    Column("picture_sha256", BINARY(32), nullable=False),
    Column("created_at", _UTC, nullable=False),
    Column("key_id", _word(16), nullable=False, server_default=text("''")),
    UniqueConstraint("student_id", "picture_sha256"),
    Index("ix_photos_key", "key_id"),
    **_OPTIONS,
)

Table(
    "student_margins",
    _TABLES,
    Column("student_id", _UUID, ForeignKey("students.id"), primary_key=True),
    Column("rejections", Integer, nullable=False),
    Column("changed_at", _UTC, nullable=False),
    **_OPTIONS,
)

Table(
    "lesson_states",
    _TABLES,
    Column("lesson_id", _UUID, ForeignKey("lessons.id"), primary_key=True),
    Column("seen", Integer, nullable=False),
    Column("unseen", Integer, nullable=False),
    Column("held", Boolean, nullable=False),
    **_OPTIONS,
)

Table(
    "marks",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("student_id", _UUID, ForeignKey("students.id"), nullable=False),
    Column("occasion", _word(45), nullable=False),
    Column("lesson_id", _UUID, ForeignKey("lessons.id"), index=True),
    Column("day", Date, nullable=False),
    Column("status", _word(12), nullable=False),
    Column("at", _UTC),
    Column("method", String(20), nullable=False, server_default=text("'Manual'")),
    _text(40, "reason"),
    _text(500, "note"),
    Column("origin", _word(10), nullable=False, server_default=text("'hub'")),
    Column("batch_id", _UUID, index=True),
    Column("made_at", _UTC, nullable=False),
    Column("made_by", String(100), nullable=False),
    Column("undone_at", _UTC),
    Column("undone_by", String(100)),
    CheckConstraint("status in ('present', 'late', 'excused', 'absent', 'machine')", name="status"),
    CheckConstraint("method in ('Face Recognition', 'Manual')", name="method"),
    CheckConstraint("origin in ('hub', 'review', 'legacy')", name="origin"),
    Index("ix_marks_student_day", "student_id", "day"),
    Index("ix_marks_day", "day"),
    **_OPTIONS,
)

Table(
    "closings",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("lesson_id", _UUID, ForeignKey("lessons.id"), nullable=False),
    Column("closed_at", _UTC, nullable=False),
    Column("closed_by", String(100), nullable=False),
    Column("reopened_at", _UTC),
    Column("reopened_by", String(100)),
    Index("ix_closings_lesson", "lesson_id", "closed_at"),
    Index("ix_closings_at", "closed_at"),
    **_OPTIONS,
)

Table(
    "register_rules",
    _TABLES,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("from_day", Date, nullable=False),
    Column("early_min", Integer, nullable=False),
    Column("late_after_min", Integer, nullable=False),
    Column("left_early_min", Integer, nullable=False),
    Column("covered_share", Double, nullable=False),
    Column("held_share", Double, nullable=False),
    Column("sessions", Text, nullable=False),
    Column("made_at", _UTC, nullable=False),
    Column("made_by", String(100), nullable=False),
    Index("ix_register_rules_day", "from_day", "version"),
    **_OPTIONS,
)

Table(
    "absence_rules",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("room_id", _UUID, ForeignKey("rooms.id"), nullable=False),
    Column("from_day", Date, nullable=False),
    Column("until_day", Date),
    Column("recall_low", Double, nullable=False),
    Column("present", Integer, nullable=False),
    Column("switched_on_at", _UTC, nullable=False),
    Column("switched_on_by", String(100), nullable=False),
    Index("ix_absence_rules_room", "room_id", "from_day"),
    **_OPTIONS,
)

Table(
    "review_decisions",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("review_key", _word(64), nullable=False),
    Column("outcome", _word(10), nullable=False),
    Column("student_id", _UUID),
    Column("mark_id", _UUID),
    Column("decided_at", _UTC, nullable=False),
    Column("decided_by", String(100), nullable=False),
    Column("undone_at", _UTC),
    Column("undone_by", String(100)),
    CheckConstraint("outcome in ('accepted', 'rejected')", name="outcome"),
    Index("ix_review_decisions_key", "review_key", "decided_at"),
    **_OPTIONS,
)

Table(
    "audit_head",
    _TABLES,
    Column("name", _word(10), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", BINARY(32), nullable=False),
    **_OPTIONS,
)

_COLUMNS: dict[str, list[Column[Any]]] = {
    "students": [Column("joined_on", Date), Column("left_on", Date), Column("erased_at", _UTC)],
    "consents": [
        Column("scope", _word(100), nullable=False, server_default=text("'recognition'")),
        _text(100, "recorded_by"),
        Column("withdrawn_by", String(200)),
    ],
    "templates": [Column("key_id", _word(16), nullable=False, server_default=text("''"))],
    "lessons": [
        Column("group_id", _UUID),
        _text(100, "teacher"),
        Column("series_id", _UUID),
        Column("series_day", Date),
        Column("cancelled_at", _UTC),
        Column("changed_at", _UTC),
        _text(200, "note"),
    ],
    "attendance": [
        Column("machine_status", String(20)),
        Column("machine_rule", _word(20)),
        Column("rules_version", Integer, nullable=False, server_default=text("0")),
    ],
    "dirty_students": [Column("cause", _word(20), nullable=False, server_default=text("''"))],
    "audit": [
        Column("object", _word(60), nullable=False, server_default=text("''")),
        Column("seq", BigInteger),
        Column("hash", BINARY(32)),
    ],
}

_INDEXED = (
    Table("templates", MetaData(), Column("key_id", _word(16)), Index("ix_templates_key", "key_id")),
    Table(
        "lessons",
        MetaData(),
        Column("teacher", String(100)),
        Column("starts_at", _UTC),
        Column("series_id", _UUID),
        Column("series_day", Date),
        Index("ix_lessons_teacher_time", "teacher", "starts_at"),
        Index("uq_lessons_series_id_series_day", "series_id", "series_day", unique=True),
    ),
    Table(
        "audit",
        MetaData(),
        Column("object", _word(60)),
        Column("action", _word(60)),
        Column("at", _UTC),
        Column("seq", BigInteger),
        Index("ix_audit_object", "object", "at"),
        Index("ix_audit_action", "action", "at"),
        Index("uq_audit_seq", "seq", unique=True),
    ),
)
_KEYS = {
    "fk_lessons_group_id": "alter table lessons add constraint fk_lessons_group_id"
    " foreign key (group_id) references section_groups (id)",
    "fk_lessons_series_id": "alter table lessons add constraint fk_lessons_series_id"
    " foreign key (series_id) references lesson_series (id)",
}
_ORIGINS = "origin in ('operator', 'calibration', 'review')"
_AT_ONCE = 500
_FIRST_HASH = bytes(32)


def upgrade() -> None:
    """Create what is missing, note where units are, chain the audit log as it stands."""
    connection = op.get_bind()
    steps.create_tables(_TABLES)
    for table, columns in _COLUMNS.items():
        steps.add_columns(table, columns)
    for indexed in _INDEXED:
        steps.create_indexes(indexed)
    steps.add_foreign_keys("lessons", _KEYS)
    _allow_look_alikes_of_reviews(connection)
    _note_where_units_are(connection)
    _chain_audit(connection)


def _allow_look_alikes_of_reviews(connection: Connection) -> None:
    clause = connection.execute(
        text(
            "select check_clause from information_schema.check_constraints"
            " where constraint_schema = database() and constraint_name = 'ck_look_alikes_origin'"
        )
    ).scalar()
    if clause is not None and "review" in str(clause):
        return
    if clause is not None:
        connection.execute(text("alter table look_alikes drop constraint ck_look_alikes_origin"))
    connection.execute(text(f"alter table look_alikes add constraint ck_look_alikes_origin check ({_ORIGINS})"))


def _note_where_units_are(connection: Connection) -> None:
    """Of a unit that was moved before, nobody noted when: as before, all it saw is of the room it is in."""
    connection.execute(
        text(
            "insert into unit_rooms (unit_id, since, room_id) select id, '1970-01-01', room_id from units"
            " where id not in (select unit_id from unit_rooms)"
        )
    )


def _chain_audit(connection: Connection) -> None:
    """Number and chain the entries in the order of their ids, which is that of their moments; some at a time."""
    connection.execute(
        text("insert into audit_head (name, seq, hash) values ('head', 0, :hash) on duplicate key update name = name"),
        {"hash": _FIRST_HASH},
    )
    unchained = text(
        "select id, at, actor, action, subject, object, detail from audit where seq is null order by id limit :most"
    )
    while True:
        head = connection.execute(text("select seq, hash from audit_head where name = 'head' for update")).one()
        seq, hash_ = int(head.seq), bytes(head.hash)
        rows = connection.execute(unchained, {"most": _AT_ONCE}).all()
        if not rows:
            return
        chained = []
        for row in rows:
            seq, hash_ = seq + 1, _hash(hash_, seq + 1, row)
            chained.append({"id": row.id, "seq": seq, "hash": hash_})
        connection.execute(text("update audit set seq = :seq, hash = :hash where id = :id"), chained)
        connection.execute(
            text("update audit_head set seq = :seq, hash = :hash where name = 'head'"), {"seq": seq, "hash": hash_}
        )


def _hash(before: bytes, seq: int, row: Any) -> bytes:
    """As `hub.core.audit_chain` says it for good; here so that what is frozen does not change with it."""
    at: datetime = row.at
    said = [seq, bytes(row.id).hex(), at.isoformat(timespec="microseconds")]
    said += [row.actor, row.action, row.subject, row.object, row.detail]
    return hashlib.sha256(before + json.dumps(said, ensure_ascii=False).encode()).digest()


def downgrade() -> None:
    """Refused: going back would delete a school's records; restore a backup instead."""
    raise NotImplementedError("there is no way back: restore a backup")
