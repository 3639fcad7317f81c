"""The timetable: terms, holidays, lessons that come again every week or two, and every single lesson."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Time,
    UniqueConstraint,
    text,
)

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema_base import EXACT, METADATA, OPTIONS, word

terms = Table(
    "terms",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("name", String(100, collation=EXACT), nullable=False, unique=True),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    # How many weeks come in turn (1: all are alike, 2: A and B), and which of them the term begins with (0: A).
    Column("weeks", Integer, nullable=False, server_default=text("1")),
    Column("first_week", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("last_day >= first_day", name="lasts"),
    **OPTIONS,
)

holidays = Table(
    "holidays",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("label", String(100), nullable=False),
    CheckConstraint("last_day >= first_day", name="lasts"),
    Index("ix_holidays_days", "first_day", "last_day"),
    **OPTIONS,
)

# A lesson that comes again: its single lessons are made from it (`hub.core.timetable`) and lie in `lessons`. Times are
# the school's clock; one that ends before it starts ends on the next day.
lesson_series = Table(
    "lesson_series",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("term_id", UuidColumn, ForeignKey("terms.id"), nullable=False),
    Column("room_id", UuidColumn, ForeignKey("rooms.id"), nullable=False),
    Column("section_id", UuidColumn, ForeignKey("sections.id"), nullable=False),
    Column("group_id", UuidColumn, ForeignKey("section_groups.id")),
    Column("label", String(100), nullable=False, server_default=text("''")),
    Column("teacher", String(100), nullable=False, server_default=text("''")),
    # 1: Monday, as in ISO 8601.
    Column("weekday", Integer, nullable=False),
    # In which of the term's weeks, as a letter; empty: in all of them.
    Column("week", word(1), nullable=False, server_default=text("''")),
    Column("starts", Time, nullable=False),
    Column("ends", Time, nullable=False),
    # Inclusive; empty: as long as the term.
    Column("from_day", Date),
    Column("until_day", Date),
    CheckConstraint("weekday between 1 and 7", name="weekday"),
    Index("ix_lesson_series_term", "term_id", "section_id", "weekday"),
    **OPTIONS,
)

lessons = Table(
    "lessons",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("room_id", UuidColumn, ForeignKey("rooms.id"), nullable=False),
    Column("section_id", UuidColumn, ForeignKey("sections.id"), nullable=False),
    Column("label", String(100), nullable=False, default=""),
    Column("starts_at", UtcColumn, nullable=False),
    Column("ends_at", UtcColumn, nullable=False),
    # Only a part of the section.
    Column("group_id", UuidColumn, ForeignKey("section_groups.id")),
    Column("teacher", String(100), nullable=False, server_default=text("''")),
    # The lesson of a series on a day; what was planned for it stays readable there.
    Column("series_id", UuidColumn, ForeignKey("lesson_series.id")),
    Column("series_day", Date),
    Column("cancelled_at", UtcColumn),
    # Something of it was changed by hand: the series no longer says what it is.
    Column("changed_at", UtcColumn),
    Column("note", String(200), nullable=False, server_default=text("''")),
    CheckConstraint("ends_at > starts_at", name="lasts"),
    UniqueConstraint("room_id", "section_id", "starts_at"),
    UniqueConstraint("series_id", "series_day"),
    Index("ix_lessons_room_time", "room_id", "starts_at", "ends_at"),
    Index("ix_lessons_section_time", "section_id", "starts_at"),
    Index("ix_lessons_time", "starts_at", "ends_at"),
    Index("ix_lessons_teacher_time", "teacher", "starts_at"),
    **OPTIONS,
)
