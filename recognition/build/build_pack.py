"""Builds a model pack: `dlib` from weights that PyPI packages carry, `facenet` and `facenet512` from DeepFace's."""

import os
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from recognition.adapters.pack_files import (
    FORMAT,
    MANIFEST_NAME,
    Manifest,
    Pack,
    PublishedPart,
    ReferencePart,
    embedder_pack_id,
    read_pack,
    sha256_of,
)
from recognition.build import dlib_network, facenet_network
from recognition.build.dlib_weights import RESNET_29, read_dlib_network
from recognition.build.downloads import OnBytes
from recognition.build.facenet_weights import CHIP_PX, FACENETS, LICENCE, FacenetModel, find_weights
from recognition.build.litert_convert import forget_names
from recognition.build.pack_compile import PackedFile, Progress, compile_embedder, compile_mtcnn, described, packed
from recognition.build.pack_extras import YUNET_FILE, Extra, add_liveness, add_yunet, liveness_inputs, yunet_checksum
from recognition.build.pack_folder import check_destination, replacing, write_file
from recognition.build.pack_parity import LOWEST_COSINE, dlib_agreement
from recognition.build.pack_plan import EmbedderSource, PackPlan, statistics_part
from recognition.build.pinned_inputs import DLIB_NETWORK, MTCNN_NETWORKS, read_input
from recognition.build.reference_faces import dlib_reference, reference_json
from recognition.build.score_statistics import DLIB
from recognition.core.errors import PackError, PackMissing

NAMES = ("dlib", *FACENETS)
"""The packs that can be built."""
REFERENCE_FILE = "reference.json"
DOWNLOADS = ".weights"
"""Beside the packs: what was downloaded is needed again when a pack has to be built anew."""

NOT_MEASURED = (
    "No score statistics were measured with these weights: students can be enrolled, but nobody is recognised before "
    "rollcall-hub calibrate has measured the school's own."
)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What an operator adds to a build.

    `weights` is a folder to take weights from, and then nothing is downloaded; `vouched` holds checksums that the
    operator answers for, of whichever file; `yunet` is a file, `liveness` a folder of weights.
    """

    weights: Path | None = None
    vouched: frozenset[str] = frozenset()
    yunet: Path | None = None
    liveness: Path | None = None


def build_pack(
    name: str,
    destination: Path,
    options: BuildOptions | None = None,
    *,
    progress: Progress,
    on_bytes: OnBytes = lambda _done, _total: None,
) -> Pack:
    """Build the pack `name` in `destination`, replacing an older pack there in one step; return it, verified.

    Raises PackMissing, PackAltered or DownloadFailed for an input, PackInvalid when a compiled model does not agree
    with its reference or `destination` holds something that is not a pack, BuildStopped when the disk refuses or
    another program builds there, ValueError for a name that is not in NAMES.
    """
    options = options or BuildOptions()
    check_destination(destination)
    _require_compiler()
    # TensorFlow's C++ part prints pages about processors; it reads this once, when it is imported.
    os.putenv("TF_CPP_MIN_LOG_LEVEL", "3")
    with replacing(destination) as working:
        # The operator's own files first: a wrong one should not wait for a download and a minute of compiling.
        extras = _extras(working, options, progress)
        source = _source(name, destination.absolute().parent / DOWNLOADS, options, progress, on_bytes)
        embedders = compile_embedder(source, working, LOWEST_COSINE, progress)
        detectors = compile_mtcnn(working, progress)
        reference = packed(
            working / REFERENCE_FILE,
            reference_json(source.reference),
            f"{source.reference.made_by}, of the faces in recognition/build/data",
            "Apache-2.0 (Rollcall)",
        )
        manifest = _manifest(source, embedders, detectors, extras, reference)
        write_file(working / MANIFEST_NAME, (manifest.model_dump_json(indent=2) + "\n").encode())
        read_pack(working)
    progress(f"pack {manifest.pack_id} is in {destination}")
    return read_pack(destination)


def _require_compiler() -> None:
    """Raise PackMissing, before anything is downloaded, where nothing could be compiled."""
    if find_spec("tensorflow") is None:
        raise PackMissing(
            "TensorFlow, which compiles packs, is not installed",
            hint="install the `models` extra, or build the pack on another computer and import it: "
            "rollcall-hub pack import",
        )


def build_dlib_pack(destination: Path, *, progress: Progress) -> Pack:
    """Build the pack that needs nothing but PyPI packages; see `build_pack`."""
    return build_pack("dlib", destination, progress=progress)


def up_to_date(destination: Path, name: str = "dlib", options: BuildOptions | None = None) -> bool:
    """Say whether `destination` holds a whole pack that has everything a build from the same inputs would give.

    Optional parts that it has beyond that do not count against it. Raises PackMissing for a YuNet file that is not
    there, ValueError for a name that is not in NAMES.
    """
    options = options or BuildOptions()
    try:
        manifest = read_pack(destination).manifest
    except PackError:
        return False
    plan = _plan_for(name, manifest.embedder.weights_sha256, options)
    if plan is None:
        return False
    wanted = set(plan.inputs)
    if options.yunet is not None:
        wanted |= {(origin, checksum) for origin, checksum in manifest.inputs.items() if "yunet" in origin}
        if yunet_checksum(options.yunet) not in {checksum for _, checksum in wanted}:
            return False
    if options.liveness is not None:
        wanted |= set(liveness_inputs().items())
    return (
        wanted <= set(manifest.inputs.items())
        and (manifest.name, manifest.description) == (plan.name, plan.description)
        and (manifest.published, tuple(manifest.remarks)) == (plan.published, plan.remarks)
        and manifest.statistics == plan.statistics
        and manifest.embedder == plan.embedder_part()
        and _has_the_reference(manifest)
    )


def _plan_for(name: str, weights_sha256: str, options: BuildOptions) -> PackPlan | None:
    """Return the plan for a pack of these weights; None when a build would not take them."""
    if name == "dlib":
        return _dlib_plan()
    model = _facenet(name)
    return _facenet_plan(model, weights_sha256) if weights_sha256 in {model.sha256, *options.vouched} else None


def _has_the_reference(manifest: Manifest) -> bool:
    if manifest.reference is None:
        return False
    if manifest.name != "dlib":
        return True
    current = described(REFERENCE_FILE, reference_json(dlib_reference()), "", "").entry.sha256
    return manifest.files[manifest.reference.file].sha256 == current


def _source(name: str, downloads: Path, options: BuildOptions, progress: Progress, on_bytes: OnBytes) -> EmbedderSource:
    if name == "dlib":
        return _dlib_source(progress)
    model = _facenet(name)
    progress(f"looking for {model.file}")
    weights = find_weights(model, options.weights, downloads, options.vouched, on_bytes)
    progress("starting TensorFlow")
    forget_names()
    network = facenet_network.deepface_network(model, weights)
    progress("asking DeepFace for its own vectors")
    reference = facenet_network.deepface_reference(model, network)
    plan = _facenet_plan(model, sha256_of(weights))
    return EmbedderSource(plan, facenet_network.keras_network(network), reference)


def _dlib_source(progress: Progress) -> EmbedderSource:
    progress(f"reading {DLIB_NETWORK.origin}")
    network = read_dlib_network(read_input(DLIB_NETWORK))
    reference = dlib_reference()
    progress("comparing the recorded reference with dlib itself")
    if dlib_agreement(reference) is None:
        progress("dlib is not installed here; its recorded vectors are the reference")
    progress("starting TensorFlow")
    forget_names()
    return EmbedderSource(_dlib_plan(), dlib_network.keras_network(network), reference)


def _dlib_plan() -> PackPlan:
    return PackPlan(
        name="dlib",
        description="dlib's face recognition network (2017) with MTCNN, compiled to LiteRT.",
        origin=DLIB_NETWORK.origin,
        licence=DLIB_NETWORK.licence,
        weights_sha256=DLIB_NETWORK.sha256,
        dimensions=RESNET_29.dimensions,
        chip_px=RESNET_29.size_px,
        inputs=((DLIB_NETWORK.origin, DLIB_NETWORK.sha256), *_mtcnn_inputs()),
        statistics=statistics_part(DLIB),
    )


def _facenet_plan(model: FacenetModel, weights_sha256: str) -> PackPlan:
    remarks = [NOT_MEASURED]
    if weights_sha256 != model.sha256:
        remarks.append(
            f"The weights have the SHA-256 that the operator answered for, {weights_sha256}; it is not the one known "
            f"for {model.file}, {model.sha256}."
        )
    return PackPlan(
        name=model.name,
        description=f"DeepFace's {model.deepface_name} (Inception-ResNet v1) with MTCNN, compiled to LiteRT.",
        origin=model.origin,
        licence=LICENCE,
        weights_sha256=weights_sha256,
        dimensions=model.dimensions,
        chip_px=CHIP_PX,
        inputs=((model.origin, weights_sha256), *_mtcnn_inputs()),
        statistics=None,
        published=PublishedPart(
            same_person_cosine=model.same_person_cosine,
            origin=f"DeepFace 0.0.101's threshold for {model.deepface_name}, cosine distance "
            f"{1 - model.same_person_cosine:.2f}, on faces cut otherwise; not measured here",
        ),
        remarks=tuple(remarks),
    )


def _facenet(name: str) -> FacenetModel:
    if name not in FACENETS:
        raise ValueError(f"there is no pack {name}; there are {', '.join(NAMES)}")
    return FACENETS[name]


def _mtcnn_inputs() -> tuple[tuple[str, str], ...]:
    return tuple((source.origin, source.sha256) for source in MTCNN_NETWORKS.values())


def _extras(folder: Path, options: BuildOptions, progress: Progress) -> list[Extra]:
    extras = []
    if options.yunet is not None:
        extras.append(add_yunet(options.yunet, folder, options.vouched, progress))
    if options.liveness is not None:
        extras.append(add_liveness(options.liveness, folder, progress))
    return extras


def _manifest(
    source: EmbedderSource,
    embedders: dict[str, PackedFile],
    detectors: dict[str, PackedFile],
    extras: list[Extra],
    reference: PackedFile,
) -> Manifest:
    plan = source.plan
    added = [file for extra in extras for file in extra.files]
    everything = [*embedders.values(), *detectors.values(), *added, reference]
    embedder = plan.embedder_part()
    kinds = {"mtcnn": {role: built.name for role, built in detectors.items()}}
    if YUNET_FILE in {file.name for file in added}:
        kinds["yunet"] = {"detect": YUNET_FILE}
    inputs = dict(plan.inputs)
    for extra in extras:
        inputs.update(extra.inputs)
    return Manifest(
        format=FORMAT,
        pack_id=embedder_pack_id(plan.name, embedder),
        name=plan.name,
        description=plan.description,
        files={file.name: file.entry for file in everything},
        detectors=kinds,
        embedder=embedder,
        statistics=plan.statistics,
        published=plan.published,
        inputs=inputs,
        parity={file.name.partition(".")[0]: file.parity for file in everything if file.parity is not None},
        reference=ReferencePart(file=reference.name, made_by=source.reference.made_by),
        liveness=next((extra.liveness for extra in extras if extra.liveness), None),
        compiler=f"TensorFlow {version('tensorflow')}, Keras {version('keras')}",
        remarks=list(plan.remarks),
    )
