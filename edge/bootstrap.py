"""The composition root: settings become cameras, stores, loops. The only place that knows all of them."""

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from edge.adapters.camera_opencv import CameraRequest, OpenCvCamera
from edge.adapters.camera_picamera2 import PiCamera
from edge.adapters.camera_replay import ReplayCamera
from edge.adapters.clock_system import SystemClock
from edge.adapters.csv_journal import CsvJournal
from edge.adapters.key_files import read_key, read_password
from edge.adapters.machine_load import MachineLoad
from edge.adapters.mqtt_uplink import BrokerAddress, MqttUplink
from edge.adapters.opencv_threads import hold_opencv_to_one_thread
from edge.adapters.single_instance import DataFolderLock
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal
from edge.core.coverage import CoverageBook
from edge.core.delivery import DeliveryWindow
from edge.core.errors import UplinkUnavailable
from edge.core.gallery_sync import UnitIdentity
from edge.core.identities import Eyes
from edge.core.pace import Pace, PaceLimits
from edge.core.ports import Camera, Clock
from edge.core.presence import PresenceBook
from edge.core.sweep import SweepSchedule
from edge.core.vision import Totals, Vision
from edge.loops.capture import CaptureLoop, Rhythm, Stills
from edge.loops.delivery import DeliveryLoop, UnitFacts
from edge.loops.gallery import GalleryKeeper
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox
from edge.loops.overlay import LookSink, OverlayTap
from edge.loops.pace import Pacer
from edge.loops.recorder import Recorder
from edge.loops.supervisor import Loop, Supervisor
from edge.loops.vision import VisionLoop
from edge.settings import EdgeSettings
from protocol import codec, topics
from protocol.events import Event
from protocol.status import Status
from recognition.adapters.analysis import Engine, open_engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.liveness_litert import LivenessLitert, liveness_networks
from recognition.core.liveness import LivenessCheck
from recognition.core.quality import QualityLimits
from recognition.core.tracking import TrackingLimits


def software() -> str:
    """Return the version of this program."""
    try:
        return version("rollcall")
    except PackageNotFoundError:
        return "unknown"


_HURRY_S = 2.0
_WEAK_CONFIDENCE = 0.6
_LONGEST_GAP_S = 5.0
_SILENT_CAMERA_S = 30.0
_RECORDINGS_MOST_PER_S = 60.0
"""At its own pace, a recording is thinned out only where the machine cannot follow."""


@dataclass(frozen=True, slots=True)
class Orders:
    """How the program is told to end: `stop` now; with `hurry`, without waiting long for the hub."""

    stop: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told what the unit does."""

    on_events: Callable[[list[Event]], None]
    overlay: LookSink | None


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that is ready to run."""

    supervisor: Supervisor
    delivery: DeliveryLoop
    mailbox: Mailbox
    recorder: Recorder
    totals: Totals
    uplink: MqttUplink
    clock: Clock
    health: Health

    def run(self) -> bool:
        """Run until stopped or until a recording is over; return False when something failed."""
        self.uplink.start()
        try:
            return self.supervisor.run()
        finally:
            self.uplink.stop()


def open_camera(settings: EdgeSettings, clock: Clock) -> Camera:
    """Return the camera that the settings name. Raises CameraLost for a recording that is not there."""
    wanted, stills = settings.camera, settings.presence.mode == "sweep"
    if wanted.kind == "replay":
        return ReplayCamera(
            Path(wanted.source),
            clock,
            fast=wanted.replay_pace == "fast",
            again=wanted.at_end == "again",
            still_every_s=settings.presence.sweep_every_s if stills else None,
        )
    request = CameraRequest(
        source=wanted.source,
        width_px=settings.picture_width_px,
        height_px=settings.picture_height_px,
        frames_per_s=wanted.frames_per_s,
        open_timeout_s=wanted.open_timeout_s,
        read_timeout_s=wanted.read_timeout_s,
        stills=stills,
    )
    return PiCamera(request, clock) if wanted.kind == "picamera2" else OpenCvCamera(request, clock)


def open_recognition(settings: EdgeSettings) -> Engine:
    """Return the models. Raises PackError."""
    wanted = settings.recognition
    hold_opencv_to_one_thread()
    return open_engine(
        wanted.pack_dir,
        smallest_face_px=settings.smallest_face_px,
        threads=wanted.threads,
        variant=wanted.variant,
        detector=wanted.detector,
        # What is not quite a face may continue a track: begin one it may not, see `Sight.sure_from`.
        lowest_confidence=_WEAK_CONFIDENCE,
    )


def open_liveness(settings: EdgeSettings, engine: Engine) -> LivenessCheck | None:
    """Return the liveness check if the settings want one. Raises PackMissing for a pack without its networks."""
    if settings.recognition.liveness == "off":
        return None
    return LivenessLitert(liveness_networks(engine.pack), settings.recognition.threads)


def open_eyes(settings: EdgeSettings) -> Eyes:
    """Return everything that looks at pixels, warmed up for pictures of the camera's size. Raises PackError."""
    engine = open_recognition(settings)
    eyes = Eyes(
        engine.detector,
        engine.embedder,
        cut_chip,
        engine.pack.same_person_floor,
        engine.pack.statistics,
        open_liveness(settings, engine),
    )
    # The first call of each model prepares its buffers: that is time at the start and not in the first student's frame.
    whole = np.zeros((settings.picture_height_px, settings.picture_width_px, 3), dtype=np.uint8)
    for picture in (whole, whole[: whole.shape[0] // 2, : whole.shape[1] // 2]):
        eyes.detector.detect(picture)
    size_px = eyes.embedder.geometry.size_px
    eyes.embedder.embed([np.zeros((size_px, size_px, 3), dtype=np.uint8)])
    return eyes


def identity_of(settings: EdgeSettings, pack_id: str) -> UnitIdentity:
    """Return who this unit is. Raises KeyUnusable."""
    return UnitIdentity(
        site=settings.site,
        unit_id=settings.unit_id,
        pack_id=pack_id,
        data_key=read_key(settings.keys.data_key_file, secret=True),
        hub_public_key=read_key(settings.keys.hub_key_file, secret=False),
    )


def broker_address(settings: EdgeSettings) -> BrokerAddress:
    """Return how to reach the broker. Raises KeyUnusable for a password file that cannot be read."""
    return BrokerAddress(
        host=settings.broker.host,
        port=settings.broker.port,
        client_id=settings.unit_id,
        keepalive_s=settings.broker.keepalive_s,
        username=settings.broker.username,
        password=read_password(settings.broker.password_file),
    )


@contextmanager
def open_unit(
    settings: EdgeSettings,
    orders: Orders,
    on_events: Callable[[list[Event]], None] = lambda _events: None,
    overlay: LookSink | None = None,
) -> Iterator[Unit]:
    """Build everything, and give it back at the end.

    Raises EdgeError and RecognitionError: whatever is wrong with settings, keys, models, disk or a running twin is
    found here, before the first frame. Camera and network are not: they may come later.
    """
    with DataFolderLock(settings.storage.data_dir):
        file = UnitFile(settings.storage.data_dir)
        try:
            yield _assemble(settings, file, orders, Watchers(on_events, overlay))
        finally:
            file.close()


def _assemble(settings: EdgeSettings, file: UnitFile, orders: Orders, watchers: Watchers) -> Unit:
    clock, health = SystemClock(), Health()
    journal, gallery_store = SqliteJournal(file), SqliteGallery(file)
    eyes = open_eyes(settings)
    embedder = eyes.embedder
    keeper = GalleryKeeper(identity_of(settings, embedder.pack_id), gallery_store, embedder.dimensions, clock, health)
    keeper.open_stored(gallery_store.signed_head())
    recorder = Recorder(journal, _csv_journal(settings), health)
    vision = Vision(
        eyes=eyes,
        book=PresenceBook(clock.new_id, absence_s=settings.presence.absence_s),
        coverage=CoverageBook(
            clock.new_id,
            every_s=settings.presence.coverage_every_s,
            # A camera that is meant to be slow leaves no holes by being slow.
            longest_gap_s=max(_LONGEST_GAP_S, 3 * _frame_every_s(settings)),
        ),
        new_id=clock.new_id,
        limits=QualityLimits(min_face_px=settings.min_face_px),
        mode=settings.presence.mode,
        tracking=TrackingLimits(lost_after_s=_lost_after_s(settings)),
        zone=settings.zone,
        on_look=OverlayTap(watchers.overlay, health) if watchers.overlay else None,
    )
    mailbox = Mailbox(clock.monotonic_s)
    camera = open_camera(settings, clock)
    watching = VisionLoop(
        mailbox, vision, recorder, journal, clock, lambda: keeper.known, not camera.lossless, watchers.on_events
    )
    session = journal.next_session()
    uplink = _uplink(settings, journal.epoch, session)
    delivery = DeliveryLoop(
        facts=UnitFacts(settings.site, settings.unit_id, software(), embedder.pack_id, session),
        journal=journal,
        recorder=recorder,
        keeper=keeper,
        uplink=uplink,
        news=uplink.news,
        clock=clock,
        health=health,
        window=DeliveryWindow(journal.epoch, clock.new_id, random.random),
        live=lambda: {"frames_per_s": watching.rate.value, "disk_free_bytes": _disk_free(settings)},
        status_every_s=settings.delivery.status_every_s,
    )
    watching.recover()
    rhythm = _rhythm(settings, mailbox, clock, health)
    capture = CaptureLoop(camera, mailbox, health, orders.stop, random.random, rhythm)
    loops = _loops(settings, capture, watching, delivery, uplink, orders)
    return Unit(Supervisor(loops, orders.stop), delivery, mailbox, recorder, vision.totals, uplink, clock, health)


def _loops(
    settings: EdgeSettings,
    capture: CaptureLoop,
    watching: VisionLoop,
    delivery: DeliveryLoop,
    uplink: MqttUplink,
    orders: Orders,
) -> list[Loop]:
    def deliver() -> bool:
        delivery.step()
        _watch_frames(watching, delivery.health, max(_SILENT_CAMERA_S, 3 * _frame_every_s(settings)))
        if not uplink.thread_is_alive():
            # Nothing else would notice: it looks connected, and nothing moves.
            raise UplinkUnavailable("the thread that drives the connection to the broker ended")
        return True

    def drain() -> None:
        # What was recorded until the end of a recording still goes out; somebody who asked us to stop is not kept.
        limit_s = min(settings.delivery.drain_s, _HURRY_S) if orders.hurry.is_set() else settings.delivery.drain_s
        deadline_s = delivery.clock.monotonic_s() + limit_s
        while not delivery.all_delivered and delivery.clock.monotonic_s() < deadline_s:
            delivery.step(timeout_s=0.2)
        delivery.goodbye()

    ends = settings.camera.kind == "replay" and settings.camera.at_end == "stop"
    return [
        Loop("capture", capture.step, interrupt=capture.close),
        Loop("vision", watching.step, finish=watching.finish, ends_program=ends),
        Loop("delivery", deliver, finish=drain, patience_s=settings.delivery.drain_s + 5.0),
    ]


def _rhythm(settings: EdgeSettings, mailbox: Mailbox, clock: Clock, health: Health) -> Rhythm:
    replay = settings.camera.kind == "replay"
    if settings.presence.mode == "sweep":
        # A recording knows itself when its next still is due.
        return Rhythm() if replay else Rhythm(Stills(SweepSchedule(settings.presence.sweep_every_s), clock))
    most_per_s = _RECORDINGS_MOST_PER_S if replay else settings.camera.frames_per_s
    return Rhythm(pacer=Pacer(Pace(PaceLimits(most_per_s)), mailbox, MachineLoad(), clock, health))


def _frame_every_s(settings: EdgeSettings) -> float:
    """Return how far apart pictures are when all goes well, or as far apart as heat and load may bring them."""
    if settings.presence.mode == "sweep":
        return settings.presence.sweep_every_s
    least_per_s = min(PaceLimits(settings.camera.frames_per_s).least_per_s, settings.camera.frames_per_s)
    return 1 / least_per_s


def _watch_frames(watching: VisionLoop, health: Health, silent_after_s: float) -> None:
    """Report a camera that neither gives pictures nor fails: some drivers wait for ever."""
    silent_s = watching.silent_s()
    if silent_s > silent_after_s:
        text = f"no picture for {silent_s:.0f} s: check the camera; if it is connected, restart the unit"
        health.problem("no_frames", text)
    else:
        health.fine("no_frames")


def _lost_after_s(settings: EdgeSettings) -> float:
    """Return when a face that is not seen any more is gone: slow cameras must not end every track between frames."""
    usual_s = TrackingLimits().lost_after_s
    slow = settings.camera.kind != "replay" or settings.presence.mode == "sweep"
    return max(usual_s, 3.5 * _frame_every_s(settings)) if slow else usual_s


def _csv_journal(settings: EdgeSettings) -> CsvJournal:
    folder = settings.storage.csv_dir or settings.storage.data_dir / "csv"
    return CsvJournal(folder, settings.storage.time_zone, with_names=settings.storage.csv_names)


def _uplink(settings: EdgeSettings, epoch: str, session: int) -> MqttUplink:
    will = Status(state="lost", session=session, epoch=epoch)
    address = topics.up(settings.site, settings.unit_id, "status")
    subscription = topics.unit_filter(settings.site, settings.unit_id)
    return MqttUplink(broker_address(settings), subscription, will=(address, codec.encode(will)))


def _disk_free(settings: EdgeSettings) -> int:
    try:
        return shutil.disk_usage(settings.storage.data_dir).free
    except OSError:
        return 0


def resident_bytes() -> int:
    """Return how much memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
