"""The composition root: settings become cameras, stores, loops. The only place that knows all of them."""

from edge.bootstrap.cameras import open_camera
from edge.bootstrap.disk import Disk, csv_folder, open_disk, stored_names
from edge.bootstrap.eyes import open_eyes, open_liveness, open_recognition
from edge.bootstrap.identity import broker_address, identity_of
from edge.bootstrap.orders import Orders, Parts, Watchers
from edge.bootstrap.packs import open_eyes_in_use, open_packs, settings_in_use, with_pack
from edge.bootstrap.process import resident_bytes, software
from edge.bootstrap.telling import record_status
from edge.bootstrap.unit import Unit, open_unit

__all__ = [
    "Disk",
    "Orders",
    "Parts",
    "Unit",
    "Watchers",
    "broker_address",
    "csv_folder",
    "identity_of",
    "open_camera",
    "open_disk",
    "open_eyes",
    "open_eyes_in_use",
    "open_liveness",
    "open_packs",
    "open_recognition",
    "open_unit",
    "record_status",
    "resident_bytes",
    "settings_in_use",
    "software",
    "stored_names",
    "with_pack",
]
