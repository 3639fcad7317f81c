"""`rollcall-edge zone`: which part of the picture counts, shown in a still so that a person can choose it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from edge.cli.output import console, errors, print_json
from edge.core.errors import CameraEnded, CameraLost, SettingsWrong
from edge.core.zone import Zone
from edge.settings import EdgeSettings

# Without a snapshot, a zone is some numbers: the camera is imported when it is needed.
if TYPE_CHECKING:
    from recognition.core.face import Image

_SETTLING_FRAMES = 5
"""The first pictures of many cameras are dark: exposure is still adapting."""


def show_zone(settings: EdgeSettings, corners: Sequence[str], snapshot: Path | None, *, as_json: bool) -> None:
    """Print the line for the settings; write the still only when asked for one."""
    zone = _zone(corners) if corners else settings.zone
    listed = [[round(x, 3), round(y, 3)] for x, y in zone.corners]
    if snapshot is not None:
        from edge.adapters.zone_picture import draw_zone, write_snapshot

        write_snapshot(snapshot, draw_zone(_still(settings), zone))
    if as_json:
        print_json({"zone": listed, "share": round(zone.share, 3), "snapshot": str(snapshot) if snapshot else None})
        return
    covers = "the whole picture" if zone.is_everything else f"{zone.share:.0%} of the picture"
    console.print(f"# under \\[presence] in the settings file; covers {covers}", soft_wrap=True)
    console.print(f"zone = {escape(str(listed))}", soft_wrap=True)
    if snapshot is not None:
        text = f"{snapshot} may show people: delete it when the zone is drawn"
        errors.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)


def _zone(corners: Sequence[str]) -> Zone:
    try:
        return Zone(tuple(_corner(text) for text in corners))
    except ValueError as exc:
        raise SettingsWrong(f"no zone: {exc}", hint="for example: rollcall-edge zone 0.2,0.1 0.8,0.9") from exc


def _corner(text: str) -> tuple[float, float]:
    x, comma, y = text.partition(",")
    if not comma:
        raise ValueError(f"{text!r} is no corner: give x and y with a comma and without a space")
    return float(x), float(y)


def _still(settings: EdgeSettings) -> "Image":
    from edge.adapters.clock_system import SystemClock
    from edge.bootstrap.cameras import open_camera

    camera = open_camera(settings, SystemClock())
    image: Image | None = None
    try:
        for _ in range(_SETTLING_FRAMES):
            image = camera.read().image
    except CameraEnded:
        if image is None:
            raise CameraLost("the recording holds no picture", hint="check camera.source") from None
    finally:
        camera.close()
    if image is None:
        raise CameraLost("the camera gave no picture", hint="rollcall-edge check")
    return image
