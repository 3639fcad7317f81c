"""`rollcall-edge run`."""

import logging
import signal
import sys
from types import FrameType

import typer

from edge.bootstrap import Orders, Unit, open_unit, resident_bytes
from edge.cli.output import FAILED, console, print_json
from edge.settings import EdgeSettings
from protocol.events import Event

log = logging.getLogger("edge")

NO_LIVENESS = "no liveness check: a photo can mark attendance"


def run(settings: EdgeSettings, *, json_summary: bool, verbose: bool) -> None:
    """Run the unit in the foreground; systemd or a person ends it with a signal."""
    _log_to_stderr(verbose)
    orders = Orders()
    _obey_signals(orders)
    with open_unit(settings, orders, _log_events) as unit:
        known = unit.delivery.keeper.known
        log.info(
            "unit runs unit_id=%s camera=%s students=%d gallery_revision=%d note=%r",
            settings.unit_id,
            settings.camera.kind,
            known.gallery.size,
            known.revision,
            NO_LIVENESS,
        )
        started_s = unit.clock.monotonic_s()
        clean = unit.run()
        _summarise(unit, unit.clock.monotonic_s() - started_s, as_json=json_summary)
    if not clean:
        raise typer.Exit(FAILED)


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
