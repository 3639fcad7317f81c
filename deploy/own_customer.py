"""`make demo CAMERA=...`: enrol whoever sits before a real camera."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2

from deploy.programs import CommandFailed
from deploy.stage import Stage, StagedUnit
from edge.adapters.camera_opencv import CameraRequest, OpenCvCamera
from edge.adapters.camera_replay import ReplayCamera
from edge.adapters.clock_system import SystemClock
from edge.core.errors import CameraEnded, CameraLost
from edge.core.ports import Camera
from recognition.adapters.analysis import FaceAnalyser, open_engine
from recognition.core.errors import PictureRefused
from recognition.core.face import Image

WANTED = 3
TRIES = 150
APART_S = 1.0
"""Pictures of one moment would say the same thing three times."""
SERIAL = "1"


def enrol_from_camera(
    stage: Stage, unit: StagedUnit, camera: str, section: str, say: Callable[[str], None]
) -> str | None:
    """Ask for a name and consent, take three good pictures, enrol; return the name, None for nobody."""
    say(f"this will enrol you for the demonstration; pictures and templates are deleted with {unit.folder.parent}")
    try:
        name = input("Your name, or Enter to stop: ").strip()
    except EOFError:
        name = ""
    if not name:
        return None
    stage.office("student", "add", "--serial", SERIAL, "--name", name, "--section", section)
    stage.office("consent", "give", "--serial", SERIAL, "--given-by", name)
    with tempfile.TemporaryDirectory(prefix="rollcall-enrol-") as folder:
        pictures = _pictures(_open(camera), stage.pack, Path(folder), say)
        if not pictures:
            return None
        try:
            stage.office("enrol", "--serial", SERIAL, *map(str, pictures))
        except CommandFailed as exc:
            say(str(exc))
            return None
    return name


def _open(camera: str) -> Camera:
    if Path(camera).is_file():
        return ReplayCamera(Path(camera), SystemClock(), fast=True)
    request = CameraRequest(camera, 1280, 720, 5.0, open_timeout_s=3.0, read_timeout_s=2.0)
    return OpenCvCamera(request, SystemClock())


def _pictures(camera: Camera, pack: Path, folder: Path, say: Callable[[str], None]) -> list[Path]:
    analyser = FaceAnalyser(open_engine(pack))
    taken: list[Path] = []
    said, taken_at_s = "", float("-inf")
    try:
        for _ in range(TRIES):
            frame = camera.read()
            if frame.at_s - taken_at_s < APART_S:
                continue
            advice = _advice(analyser, frame.image)
            if advice and advice != said:
                say(f"  {advice}")
            said = advice
            if not advice:
                taken.append(folder / f"{len(taken)}.png")
                cv2.imwrite(str(taken[-1]), frame.image)
                taken_at_s = frame.at_s
                say(f"  picture {len(taken)} of {WANTED} taken; turn your head a little")
            if len(taken) == WANTED:
                break
    except (CameraEnded, CameraLost) as exc:
        say(f"  {exc}")
    finally:
        camera.close()
    return taken


def _advice(analyser: FaceAnalyser, image: Image) -> str:
    try:
        analyser.one_good_face(image)
    except PictureRefused as exc:
        return str(exc)
    return ""
