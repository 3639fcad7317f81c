"""`rollcall-hub pack`: the models that turn faces into templates, on this hub's disk."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag, Step
from hub.core.errors import BadInput, NotFound
from hub.office import packs
from hub.office.packs import PackBuilt
from recognition.adapters.pack_files import read_manifest
from recognition.build.build_pack import NAMES, BuildOptions
from recognition.core.errors import PackError

app = typer.Typer(no_args_is_help=True, help="Model packs: what turns faces into templates.")
_MEGA = 10**6

COLUMNS = (
    Column("name", "Pack"),
    Column("pack_id", "Id"),
    Column("variants", "Variants"),
    Column("detectors", "Detectors"),
    Column("liveness", "Liveness"),
    Column("measured", "Scores measured"),
    Column("size_mb", "MB", right=True),
    Column("in_use", "In use"),
    Column("problem", "Problem"),
)

PacksOption = Annotated[
    Path | None,
    typer.Option("--packs", help="Folder of the packs. Default: the folder above recognition.pack_dir."),
]
WhichPack = Annotated[
    str | None, typer.Argument(help="Name of a pack, or its folder. Default: the pack this hub uses.", metavar="PACK")
]


@app.command(
    "build",
    epilog=(
        "Examples:\n\n"
        "rollcall-hub pack build\n\n"
        "rollcall-hub pack build facenet --weights /media/stick\n\n"
        "rollcall-hub pack build dlib --yunet face_detection_yunet_2023mar.onnx"
    ),
)
def build(  # noqa: PLR0913, PLR0917 (a parameter per option)
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help=f"{', '.join(NAMES)}. Without a name: facenet, or dlib when FaceNet's weights cannot be had.",
            metavar="NAME",
        ),
    ] = None,
    destination: Annotated[
        Path | None, typer.Argument(help="Folder of the pack. Default: NAME in the folder of packs.", metavar="DEST")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="Folder that holds FaceNet's weights; nothing is downloaded then."),
    ] = None,
    sha256: Annotated[
        list[str] | None,
        typer.Option("--sha256", help="Take a file with this checksum too: you answer for it. May be repeated."),
    ] = None,
    yunet: Annotated[
        Path | None, typer.Option("--yunet", help="The YuNet detector (an ONNX file) to put into the pack.")
    ] = None,
    liveness: Annotated[
        Path | None, typer.Option("--liveness", help="Folder of the liveness weights to put into the pack.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build even when the pack there is up to date.")] = False,
    packs_folder: PacksOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Build a pack, which takes a minute or two and about 2 GB of memory; nothing else has to stop for it.

    dlib needs nothing but what is installed. facenet and facenet512 need weights of 90 MB, which are fetched once, go
    on where a broken connection stopped, and are kept beside the packs; a school without internet brings them in a
    folder. No scores were measured with FaceNet's weights: run rollcall-hub calibrate before units use them.
    """
    if name is not None and name not in NAMES:
        raise typer.BadParameter(f"there is no pack {name!r}; there are {', '.join(NAMES)}")
    options = BuildOptions(weights=weights, vouched=_checksums(sha256 or []), yunet=yunet, liveness=liveness)
    with _watching(as_json=as_json) as watch:
        if name is None and _wants_facenet(options, as_json=as_json):
            folder = _packs_folder(ctx, packs_folder)
            done = packs.build_best(folder, options, force=force, progress=watch.line, on_bytes=watch.bytes)
        else:
            chosen = name or packs.FALLBACK
            place = destination or _packs_folder(ctx, packs_folder) / chosen
            done = packs.build(chosen, place, options, force=force, progress=watch.line, on_bytes=watch.bytes)
    _say_built(ctx, done, as_json=as_json)


@app.command("list", epilog="Example:\n\nrollcall-hub pack list")
def list_packs(ctx: typer.Context, packs_folder: PacksOption = None, as_json: JsonFlag = False) -> None:
    """List the packs on this hub; each file of each pack is checked."""
    folder = _packs_folder(ctx, packs_folder)
    lines = packs.every_pack(folder, _in_use(ctx))
    empty = f"There are no packs in {folder} yet; see: rollcall-hub pack build --help"
    console.emit([line.as_row() for line in lines], COLUMNS, as_json=as_json, empty=empty)


@app.command("show", epilog="Example:\n\nrollcall-hub pack show dlib")
def show(
    ctx: typer.Context, pack: WhichPack = None, packs_folder: PacksOption = None, as_json: JsonFlag = False
) -> None:
    """Show what a pack is, where it comes from and how close it is to its reference."""
    folder = _which(ctx, pack, packs_folder)
    manifest = read_manifest(folder)
    if as_json:
        console.emit_json({"folder": folder, **manifest.model_dump(mode="json")})
        return
    rows = [{"what": heading, "text": text} for heading, text in packs.in_words(manifest)]
    console.emit(
        [*rows, {"what": "Folder", "text": str(folder)}],
        (Column("what", "Part"), Column("text", "What it is")),
        as_json=False,
    )


@app.command("verify", epilog="Example:\n\nrollcall-hub pack verify dlib")
def verify(
    ctx: typer.Context, pack: WhichPack = None, packs_folder: PacksOption = None, as_json: JsonFlag = False
) -> None:
    """Check every file of a pack, and its models against their reference. Exit code 1 when something is wrong."""
    folder = _which(ctx, pack, packs_folder)
    try:
        verified = packs.verify(folder)
    except PackError as exc:
        if as_json:
            console.emit_json({"ok": False, "folder": folder, "problem": str(exc)})
            raise typer.Exit(console.EXIT_FAILED) from exc
        raise
    if as_json:
        console.emit_json(
            {
                "ok": True,
                "folder": folder,
                "pack_id": verified.pack.pack_id,
                "reference": verified.made_by,
                "cosines": verified.cosines,
                "dlib_here": verified.live,
            }
        )
        return
    console.say(f"All {len(verified.pack.manifest.files)} files of {verified.pack.pack_id} have their checksums.")
    for variant, cosine in verified.cosines.items():
        console.say(f"{variant} agrees with {verified.made_by} to {cosine:.6f}.")
    if verified.live is not None:
        console.say(f"dlib as installed here agrees with that reference to {verified.live:.6f}.")


@app.command("import", epilog="Example:\n\nrollcall-hub pack import /media/stick/facenet")
def import_pack(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(help="Folder of the pack, on a stick for example.")],
    name: Annotated[str | None, typer.Option("--name", help="Name here. Default: the pack's own.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another pack of that name.")] = False,
    packs_folder: PacksOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy a pack that was built elsewhere into the folder of packs, after checking all of it."""
    folder = _packs_folder(ctx, packs_folder)
    _say_built(ctx, packs.import_pack(source, folder, name=name, force=force), as_json=as_json)


def _wants_facenet(options: BuildOptions, *, as_json: bool) -> bool:
    """Ask whoever sits there, before 92 MB are fetched; scripts and schools that bring the weights have decided."""
    if options.weights is not None or as_json or not sys.stdin.isatty():
        return True
    return typer.confirm(
        "FaceNet's weights (92 MB) will be fetched unless they are here. It recognises nobody before "
        "rollcall-hub calibrate has measured the school's own scores; dlib works at once. Build FaceNet?",
        default=True,
        err=True,
    )


def _say_built(ctx: typer.Context, done: PackBuilt, *, as_json: bool) -> None:
    pack = done.pack
    if as_json:
        console.emit_json(
            {
                "name": pack.manifest.name,
                "pack_id": pack.pack_id,
                "folder": pack.folder,
                "built": done.built,
                "replaced": done.replaced,
                "fell_back": done.fell_back,
                "remarks": pack.manifest.remarks,
            }
        )
        return
    console.say(f"Pack {pack.pack_id} is in {pack.folder}{'' if done.built else ' already'}.")
    if done.fell_back:
        console.note(f"It is {pack.manifest.name} and not FaceNet: {done.fell_back}.")
    for remark in pack.manifest.remarks:
        console.note(remark)
    if done.other_templates:
        console.note(f"It replaced {done.replaced}: students enrolled with that one have to be enrolled again.")
    in_use = _in_use(ctx)
    if in_use is None or in_use.resolve() != pack.folder.resolve():
        console.note(f'To use it, set recognition.pack_dir = "{pack.folder}" in the settings of the hub.')


def _packs_folder(ctx: typer.Context, chosen: Path | None) -> Path:
    return chosen.absolute() if chosen is not None else console.settings(ctx).recognition.pack_dir.parent


def _in_use(ctx: typer.Context) -> Path | None:
    """Return the folder of the pack in use; None on a machine that has no settings yet."""
    try:
        return console.settings(ctx).recognition.pack_dir
    except BadInput:
        return None


def _which(ctx: typer.Context, pack: str | None, packs_folder: Path | None) -> Path:
    if pack is None:
        return console.settings(ctx).recognition.pack_dir
    if (chosen := packs_folder) is None:
        in_use = _in_use(ctx)
        chosen = in_use.parent if in_use is not None else None
    if chosen is None:
        folder = Path(pack)
        if not folder.is_dir():
            raise NotFound(f"there is no folder {folder}", hint="name the folder of a pack, or give --packs")
        return folder
    return packs.find_pack(chosen, pack)


def _checksums(given: list[str]) -> frozenset[str]:
    cleaned = [checksum.strip().lower() for checksum in given]
    wrong = [checksum for checksum in cleaned if len(checksum) != 64 or set(checksum) - set("0123456789abcdef")]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not a SHA-256: 64 digits and letters a to f", param_hint="--sha256")
    return frozenset(cleaned)


class _Watch:
    """Says what a build is doing: sentences on stderr, and a bar while something is downloaded."""

    def __init__(self, closing: ExitStack, *, as_json: bool) -> None:
        self._closing = closing
        self._as_json = as_json
        self._step: Step | None = None
        self._shown_mb = 0

    def line(self, text: str) -> None:
        self._closing.close()
        self._step = None
        if not self._as_json:
            console.note(text)

    def bytes(self, done: int, total: int | None) -> None:
        if self._step is None:
            whole = total // _MEGA if total else None
            bar = console.progress("Megabytes fetched", total=whole, as_json=self._as_json)
            self._step, self._shown_mb = self._closing.enter_context(bar), 0
        self._step(done // _MEGA - self._shown_mb)
        self._shown_mb = done // _MEGA


@contextmanager
def _watching(*, as_json: bool) -> Iterator[_Watch]:
    with ExitStack() as closing:
        yield _Watch(closing, as_json=as_json)
