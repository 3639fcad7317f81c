"""`rollcall-edge run`."""

import gc
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from edge.bootstrap.orders import Orders
from edge.bootstrap.process import resident_bytes
from edge.bootstrap.unit import Unit, open_unit
from edge.cli.output import FAILED, console, print_json
from edge.settings import EdgeSettings
from protocol.events import Event

if TYPE_CHECKING:
    from edge.adapters.overlay_video import OverlayVideo

log = logging.getLogger("edge")

NO_LIVENESS = "no liveness check: a photo can mark attendance"
WITH_LIVENESS = "liveness check on: it asks a person instead of marking, and many photographs still pass"


def liveness_note(settings: EdgeSettings) -> str:
    """Return what everybody should know about photographs held in front of this unit."""
    return NO_LIVENESS if settings.recognition.liveness == "off" else WITH_LIVENESS


_RECORDINGS_RATE = 25.0
"""Pictures a second of an overlay video made from a recording: at fewer, tracks would seem to jump."""


@dataclass(frozen=True, slots=True)
class Film:
    """The overlay video that somebody asked for."""

    path: Path
    with_ids: bool


def run(settings: EdgeSettings, *, json_summary: bool, verbose: bool, film: Film | None = None) -> None:
    """Run the unit in the foreground; systemd or a person ends it with a signal."""
    _log_to_stderr(verbose)
    orders = Orders()
    _obey_signals(orders)
    with _filming(settings, film) as video:
        clean = _run_once(settings, orders, video, json_summary=json_summary)
        while clean and orders.take_reopening():
            log.info("opens itself anew with another model pack")
            # The old models go before the new ones come.
            gc.collect()
            clean = _run_once(settings, orders, video, json_summary=json_summary)
    if not clean:
        raise typer.Exit(FAILED)


def _run_once(settings: EdgeSettings, orders: Orders, video: "OverlayVideo | None", *, json_summary: bool) -> bool:
    with open_unit(settings, orders, _log_events, video) as unit:
        known = unit.delivery.keeper.known
        log.info(
            "unit runs unit_id=%s camera=%s students=%d gallery_revision=%d note=%r",
            settings.unit_id,
            settings.camera.kind,
            known.gallery.size,
            known.revision,
            liveness_note(settings),
        )
        if settings.presence.mode == "sweep":
            log.info("sweep watches everybody in the room basis=%r", settings.presence.sweep_basis)
        started_s = unit.clock.monotonic_s()
        clean = unit.run()
        if not orders.reopen.is_set():
            _summarise(unit, unit.clock.monotonic_s() - started_s, as_json=json_summary)
    return clean


@contextmanager
def _filming(settings: EdgeSettings, film: Film | None) -> "Iterator[OverlayVideo | None]":
    """Make the overlay video, and finish it however the run ends: unfinished, many players refuse it."""
    if film is None:
        yield None
        return
    from edge.adapters.overlay_video import OverlayVideo

    rate = _RECORDINGS_RATE if settings.camera.kind == "replay" else settings.camera.frames_per_s
    video = OverlayVideo(film.path, frames_per_s=rate, with_ids=film.with_ids)
    log.warning("the overlay video shows faces: delete it afterwards")
    try:
        yield video
    finally:
        video.close()


def _obey_signals(orders: Orders) -> None:
    def stop(number: int, _frame: FrameType | None) -> None:
        log.info("stopping signal=%s", signal.Signals(number).name)
        orders.hurry.set()
        orders.stop.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _log_to_stderr(verbose: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


def _log_events(events: list[Event]) -> None:
    # Ids only: a log is read by people who must not see who came when.
    for event in events:
        log.info("recorded seq=%d kind=%s event_id=%s", event.seq, event.kind, event.event_id)


def _summarise(unit: Unit, seconds: float, *, as_json: bool) -> None:
    totals = unit.totals
    waiting = unit.delivery.journal.waiting()
    summary = {
        "frames": totals.frames,
        "frames_dropped": unit.mailbox.dropped,
        "frames_looked_at": totals.looked_at,
        "faces": totals.faces,
        "faces_embedded": totals.embedded,
        "tracks": totals.tracks,
        "tracks_present": totals.present,
        "tracks_review": totals.review,
        "tracks_unknown": totals.unknown,
        "tracks_unusable": totals.unusable,
        "seconds": round(seconds, 2),
        "frames_per_s": round(totals.frames / seconds, 2) if seconds > 0 else 0.0,
        "resident_mb": round(resident_bytes() / 1e6, 1),
        "events_waiting": waiting.events,
        "dead_letters": waiting.dead_letters,
        "events_lost": unit.recorder.lost,
    }
    if as_json:
        print_json(summary)
    else:
        for name, value in summary.items():
            console.print(f"{name.replace('_', ' '):>18}  {value}")
