"""The hub's tables. The migrations in `hub/adapters/migrations` bring a database to this state."""

from hub.adapters.schema_base import METADATA
from hub.adapters.schema_events import (
    boot_clocks,
    events,
    quarantine,
    quarantine_dropped,
    refused_places,
    undated_boots,
    undated_told,
)
from hub.adapters.schema_hub import CALIBRATION_METHODS, audit, calibrations, hub_facts
from hub.adapters.schema_register import METHODS, STATUSES, attendance, dirty_students, lessons
from hub.adapters.schema_school import (
    LOOK_ALIKE_ORIGINS,
    consents,
    look_alikes,
    rooms,
    sections,
    student_sections,
    students,
    templates,
)
from hub.adapters.schema_units import epochs, erasures, galleries, gallery_members, unit_dating, unit_status, units

__all__ = [
    "CALIBRATION_METHODS",
    "LOOK_ALIKE_ORIGINS",
    "METADATA",
    "METHODS",
    "STATUSES",
    "attendance",
    "audit",
    "boot_clocks",
    "calibrations",
    "consents",
    "dirty_students",
    "epochs",
    "erasures",
    "events",
    "galleries",
    "gallery_members",
    "hub_facts",
    "lessons",
    "look_alikes",
    "quarantine",
    "quarantine_dropped",
    "refused_places",
    "rooms",
    "sections",
    "student_sections",
    "students",
    "templates",
    "undated_boots",
    "undated_told",
    "unit_dating",
    "unit_status",
    "units",
]
