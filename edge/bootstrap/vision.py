"""What becomes of a picture, with the limits that follow from the settings."""

from edge.bootstrap.cameras import frame_every_s
from edge.bootstrap.disk import Disk
from edge.core.coverage import CoverageBook
from edge.core.identities import Eyes
from edge.core.presence import PresenceBook
from edge.core.vision import Vision
from edge.loops.overlay import LookSink, OverlayTap
from edge.settings import EdgeSettings
from recognition.core.quality import QualityLimits
from recognition.core.tracking import TrackingLimits

_LONGEST_GAP_S = 5.0


def open_vision(settings: EdgeSettings, disk: Disk, eyes: Eyes, overlay: LookSink | None) -> Vision:
    """Return the road of a frame through these eyes; `overlay` is shown what was made of each."""
    new_id = disk.clock.new_id
    return Vision(
        eyes=eyes,
        book=PresenceBook(new_id, absence_s=settings.presence.absence_s),
        coverage=CoverageBook(
            new_id,
            every_s=settings.presence.coverage_every_s,
            # A camera that is meant to be slow leaves no holes by being slow.
            longest_gap_s=max(_LONGEST_GAP_S, 3 * frame_every_s(settings)),
        ),
        new_id=new_id,
        limits=QualityLimits(min_face_px=settings.min_face_px),
        mode=settings.presence.mode,
        tracking=TrackingLimits(lost_after_s=_lost_after_s(settings)),
        zone=settings.zone,
        on_look=_tap(overlay, disk) if overlay else None,
    )


def _tap(overlay: LookSink, disk: Disk) -> OverlayTap:
    return OverlayTap(overlay, disk.health, lambda: disk.storage.may_film)


def _lost_after_s(settings: EdgeSettings) -> float:
    """Return when a face that is not seen any more is gone: slow cameras must not end every track between frames."""
    usual_s = TrackingLimits().lost_after_s
    slow = settings.camera.kind != "replay" or settings.presence.mode == "sweep"
    return max(usual_s, 3.5 * frame_every_s(settings)) if slow else usual_s
