"""The rules of the register that the settings file gives: in force as long as none are on record."""

from datetime import timedelta

from hub.core.attendance_facts import Rules, Session
from hub.settings import AttendanceSettings


def of_settings(settings: AttendanceSettings) -> Rules:
    """Return them as version 0. Without sessions the whole day from `day_from` to `day_until` is one."""
    sessions = tuple(
        Session(one.name, one.since, one.until) for one in sorted(settings.sessions, key=lambda one: one.since)
    )
    return Rules(
        early=timedelta(minutes=settings.early_min),
        late_after=timedelta(minutes=settings.late_after_min),
        covered_share=settings.covered_share,
        left_early=timedelta(minutes=settings.left_early_min),
        held_share=settings.held_share,
        sessions=sessions or (Session("", settings.day_from, settings.day_until),),
    )
