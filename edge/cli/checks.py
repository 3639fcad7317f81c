"""`rollcall-edge check`: each thing a unit needs, looked at on its own, with the remedy."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import typer
from rich.markup import escape

from edge.adapters.broker_probe import probe_broker
from edge.adapters.clock_system import SystemClock
from edge.adapters.salvage import damage_reports
from edge.adapters.sqlite_file import FILE_NAME, UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal
from edge.bootstrap.broker import broker_address
from edge.bootstrap.cameras import open_camera
from edge.bootstrap.eyes import open_liveness, open_recognition
from edge.bootstrap.identity import identity_of
from edge.bootstrap.packs import open_packs, settings_in_use
from edge.cli.output import FAILED, console, print_json
from edge.cli.running import liveness_note
from edge.core.distance import farthest_m, in_words
from edge.core.errors import CameraEnded, EdgeError, GalleryRefused
from edge.core.gallery_pieces import open_head, open_manifest
from edge.settings import EdgeSettings, load_settings
from recognition.adapters.pack_files import read_manifest
from recognition.core.errors import RecognitionError

_NEAREST_M = {"door": 1.0, "sweep": 4.0}
"""How far a camera must reach at least: people pass a door's at 1 to 2 m, the last seats are 4 to 5 m away."""
_TRIES = 3

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing."""

    name: str
    state: State
    text: str
    fix: str = ""


def check(path: Path, *, as_json: bool) -> None:
    """Look at everything; print a line each; exit 1 when there is a problem."""
    findings = list(_look_at_everything(path))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _print(finding)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(FAILED)


def _look_at_everything(path: Path) -> Iterator[Finding]:
    try:
        settings = load_settings(path)
    except EdgeError as exc:
        yield Finding("settings", "problem", str(exc), exc.hint)
        return
    yield Finding("settings", "ok", str(path))
    for name, look in _LOOKS:
        try:
            found = look(settings)
            yield from found if isinstance(found, tuple) else (found,)
        except EdgeError as exc:
            yield Finding(name, "problem", str(exc), exc.hint)
        except RecognitionError as exc:
            yield Finding(name, "problem", Exception.__str__(exc), exc.hint)


def _print(finding: Finding) -> None:
    colour = {"ok": "green", "note": "yellow", "problem": "red"}[finding.state]
    console.print(f"[{colour}]{finding.state:>8}[/]  {finding.name:<9} {escape(finding.text)}", soft_wrap=True)
    if finding.fix:
        console.print(f"{'fix':>8}  {'':<9} {escape(finding.fix)}", soft_wrap=True)


def _keys(settings: EdgeSettings) -> Finding:
    identity_of(settings, "any")
    # The key lies on the same card as the data it protects.
    return Finding("keys", "note", "a plain key file: whoever takes this card can read the templates on it")


def _disk(settings: EdgeSettings) -> Finding:
    folder = settings.storage.data_dir
    existing = next(path for path in [folder, *folder.parents] if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding("disk", "problem", f"{existing} is no folder this user can write to", "check storage.data_dir")
    free = shutil.disk_usage(existing).free
    least_mb = settings.storage.low_disk_mb
    if free < least_mb * 1e6:
        return Finding("disk", "problem", f"{free / 1e6:.0f} MB free at {folder}", f"free at least {least_mb} MB")
    return Finding("disk", "ok", f"{free / 1e9:.1f} GB free at {folder}")


def _record(settings: EdgeSettings) -> tuple[Finding, ...]:
    reports = damage_reports(settings.storage.data_dir)
    damaged = tuple(
        Finding("damaged", "note", report.sentence, f"look into it, then delete {report.folder}") for report in reports
    )
    return (_record_now(settings), *damaged)


def _record_now(settings: EdgeSettings) -> Finding:
    if not (settings.storage.data_dir / FILE_NAME).exists():
        return Finding("record", "ok", "empty: this unit has not run yet")
    file = UnitFile(settings.storage.data_dir, read_only=True)
    try:
        file.check_for_damage()
        waiting = SqliteJournal(file).waiting()
    finally:
        file.close()
    text = f"{waiting.events} waiting for the hub, {waiting.dead_letters} refused by it"
    if waiting.dead_letters:
        return Finding("record", "note", text, "rollcall-edge dead-letters list")
    return Finding("record", "ok", text)


def _clock(_settings: EdgeSettings) -> Finding:
    quality = SystemClock().quality()
    if quality == "synced":
        return Finding("clock", "ok", "set by NTP")
    return Finding(
        "clock", "note", f"not set by NTP ({quality}): times are marked and corrected by the hub",
        "timedatectl set-ntp true, and let NTP through the firewall",
    )  # fmt: skip


def _model(settings: EdgeSettings) -> Finding:
    in_use = _with_pack_in_use(settings)
    engine = open_recognition(in_use)
    open_liveness(in_use, engine)
    folder = in_use.recognition.pack_dir
    origin = "" if folder == settings.recognition.pack_dir else f", from the hub, in {folder}"
    return Finding("model", "ok", f"pack {engine.embedder.pack_id}{origin}")


def _with_pack_in_use(settings: EdgeSettings) -> EdgeSettings:
    """Return the settings with the model pack that the unit runs."""
    if not (settings.storage.data_dir / FILE_NAME).exists():
        return settings
    file = UnitFile(settings.storage.data_dir, read_only=True)
    try:
        return settings_in_use(settings, open_packs(settings), SqliteGallery(file).in_use())
    finally:
        file.close()


def _liveness(settings: EdgeSettings) -> Finding:
    return Finding("liveness", "note", liveness_note(settings))


def _gallery(settings: EdgeSettings) -> Finding:
    if not (settings.storage.data_dir / FILE_NAME).exists():
        return Finding("gallery", "note", "none yet: it comes from the hub at the first connection")
    file = UnitFile(settings.storage.data_dir, read_only=True)
    try:
        store = SqliteGallery(file)
        signed = store.signed_head()
        if signed is None:
            return Finding("gallery", "note", "none yet", "on the hub: rollcall-hub gallery push")
        identity = identity_of(settings, read_manifest(_with_pack_in_use(settings).recognition.pack_dir).pack_id)
        head = open_head(identity, signed)
        manifest = open_manifest(identity, head, store.staged(head.manifest_hash) or b"")
    except GalleryRefused as exc:
        return Finding(
            "gallery", "problem", str(exc), "on the hub: rollcall-hub gallery push; are the keys this unit's?"
        )
    finally:
        file.close()
    return Finding("gallery", "ok", f"revision {head.revision}, {len(manifest.entries)} students")


def _camera(settings: EdgeSettings) -> tuple[Finding, ...]:
    camera = open_camera(settings, SystemClock())
    try:
        frames = [camera.read() for _ in range(_TRIES)]
    except CameraEnded:
        return (Finding("camera", "ok", f"a short recording: {settings.camera.source}"),)
    finally:
        camera.close()
    width, height = frames[-1].size_px
    if frames[-1].image.std() < 1.0:
        text = f"{width} x {height}, but the picture is blank"
        return (Finding("camera", "problem", text, "take off the lens cap"),)
    return Finding("camera", "ok", f"{width} x {height} pixels"), _distance(settings, width)


def _distance(settings: EdgeSettings, width_px: int) -> Finding:
    """Say how far this camera reaches, from the picture it really gives."""
    lens_deg, least_px = settings.camera.lens_deg, settings.min_face_px
    text = in_words(width_px, lens_deg, least_px)
    farthest = settings.recognition.students_stand_m or _NEAREST_M[settings.presence.mode]
    if farthest_m(least_px, width_px, lens_deg) >= farthest:
        return Finding("distance", "ok", text)
    return Finding(
        "distance", "note", f"{text}; that is less than the {farthest:g} m that are needed",
        "more pixels (camera.width_px), a narrower lens, or bring camera and people closer together; "
        "is camera.lens_deg this camera's?",
    )  # fmt: skip


def _broker(settings: EdgeSettings) -> Finding:
    probe_broker(broker_address(settings))
    return Finding("broker", "ok", f"{settings.broker.host}:{settings.broker.port} lets this unit in")


_LOOKS: tuple[tuple[str, Callable[[EdgeSettings], Finding | tuple[Finding, ...]]], ...] = (
    ("keys", _keys),
    ("disk", _disk),
    ("record", _record),
    ("clock", _clock),
    ("model", _model),
    ("liveness", _liveness),
    ("gallery", _gallery),
    ("camera", _camera),
    ("broker", _broker),
)
