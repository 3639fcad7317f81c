"""The rules of the settings file, as long as the school has put none on record."""

from datetime import date, time, timedelta

from hub.core.attendance_facts import Rules, Session
from hub.office.rules_of_settings import of_settings
from hub.settings import AttendanceSettings


def test_what_the_settings_leave_out_is_as_the_rules_have_it() -> None:
    ten = timedelta(minutes=10)
    assert of_settings(AttendanceSettings()) == Rules(ten, ten, 0.9)
    assert of_settings(AttendanceSettings()).from_day == date.min


def test_every_setting_reaches_the_rules_and_sessions_stand_in_their_order() -> None:
    settings = AttendanceSettings.model_validate(
        {
            "early_min": 1,
            "late_after_min": 2,
            "left_early_min": 3,
            "covered_share": 0.4,
            "held_share": 0.6,
            "sessions": [
                {"name": "PM", "since": "13:00", "until": "16:00"},
                {"name": "AM", "since": "08:00", "until": "12:30"},
            ],
        }
    )
    assert of_settings(settings) == Rules(
        early=timedelta(minutes=1),
        late_after=timedelta(minutes=2),
        covered_share=0.4,
        left_early=timedelta(minutes=3),
        held_share=0.6,
        sessions=(Session("AM", time(8), time(12, 30)), Session("PM", time(13), time(16))),
    )
    whole = AttendanceSettings.model_validate({"day_from": "06:00", "day_until": "20:00"})
    assert of_settings(whole).sessions == (Session("", time(6), time(20)),)
