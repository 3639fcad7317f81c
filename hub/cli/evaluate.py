"""`rollcall-hub evaluate`: what the recognition engine reaches on pictures of known people."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.settings import FILE_VARIABLE, process_environment, settings_file

# What computes and draws is imported when it is needed: `--help` of any command must not wait for it.
if TYPE_CHECKING:
    from recognition.adapters.analysis import Engine
    from recognition.evaluation.evaluate import Evaluation, Run
    from recognition.evaluation.faces import Reference
    from recognition.evaluation.resume import SealedMemory

LOCAL_PACK = Path("build/packs/dlib")
"""Where `make pack` puts a pack: used where no hub is set up."""
SMALLEST_FACE_PX = 40
HELP = "Measure recognition on pictures of known people: TPIR and FPIR, TAR and FAR, by quality, size and bit rate."
EPILOG = (
    "INDEX.csv has the columns file, identity, role (enrol, probe or stranger) and, if you like, group; files are "
    "relative to it. FOLDER has a folder for each person: the first pictures by name are enrolled, the others looked "
    "for, and a person with a single picture is a stranger.\n\n"
    "With --out, a report (HTML), tables (CSV) and evaluation.json are written, and a run that was stopped with Ctrl-C "
    "goes on where it was when the same command is run again. Until then the vectors of the faces lie there encrypted; "
    "a complete run deletes them.\n\n"
    "Examples:\n\n"
    "rollcall-hub evaluate pictures/index.csv --out evaluation\n\n"
    "rollcall-hub evaluate known_faces --pack packs/facenet --json > figures.json\n\n"
    "Exit code 1: a group of the index fails (strangers of it are surely taken for somebody more often than promised), "
    "or the pictures cannot be used. What is printed is complete all the same."
)

COLUMNS = (
    Column("gallery", "Gallery", right=True),
    Column("k", "Pictures", right=True),
    Column("fpir", "FPIR", right=True),
    Column("tpir", "TPIR", right=True),
    Column("interval", "95 %", right=True),
    Column("note", ""),
)


@dataclass(frozen=True, slots=True)
class Bars:
    """A Watcher that shows progress bars."""

    as_json: bool

    @contextmanager
    def stage(self, text: str, total: int) -> Iterator[Callable[[], None]]:
        """See Watcher."""
        with console.progress(text, total=total, as_json=self.as_json) as step:
            yield lambda: step()


app = typer.Typer()


@app.command("evaluate", help=HELP, epilog=EPILOG)
def evaluate(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="FOLDER|INDEX.csv", help="The pictures and what each is for.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for report, tables and what resumes a run.")] = None,
    pack: Annotated[Path | None, typer.Option("--pack", help="Folder of the model pack. Default: the hub's.")] = None,
    variant: Annotated[str, typer.Option("--variant", help="Variant of the embedder: f32, f16 or int8.")] = "f32",
    detector: Annotated[str, typer.Option("--detector", help="mtcnn, or yunet where the pack has it.")] = "mtcnn",
    reference: Annotated[
        list[str] | None,
        typer.Option("--reference", help="Also measure dlib (its own chips and network) or deepface. Repeatable."),
    ] = None,
    gallery: Annotated[
        list[int] | None,
        typer.Option("--gallery", min=2, help="Size of gallery beside everybody. Repeatable. Default: 30, 100."),
    ] = None,
    images: Annotated[int, typer.Option("--enrol", min=1, max=12, help="Enrolment pictures a person at most.")] = 3,
    fpir: Annotated[float, typer.Option("--fpir", min=0.0001, max=0.1, help="The target; groups fail above.")] = 0.01,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same figures.")] = 1,
    no_conditions: Annotated[
        bool, typer.Option("--no-conditions", help="Leave out smaller, blurred and encoded faces: faster.")
    ] = False,
    keep_vectors: Annotated[
        bool, typer.Option("--keep-vectors", help="Keep the encrypted vectors in --out, for another run.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure recognition on pictures of known people. Nothing is enrolled, and no database is needed."""
    from recognition.evaluation.dataset import read_data_set
    from recognition.evaluation.evaluate import evaluate as compute
    from recognition.evaluation.figures import FPIRS, GALLERIES, Choices

    _check_words(detector, reference or [])
    if keep_vectors and out is None:
        raise typer.BadParameter("--keep-vectors needs --out")
    choices = Choices(
        galleries=tuple(sorted(set(gallery or GALLERIES))),
        images=images,
        fpirs=tuple(sorted({*FPIRS, fpir}, reverse=True)),
        target_fpir=fpir,
        seed=seed,
        worse_pictures=not no_conditions,
    )
    data_set = read_data_set(source, images)
    _check_drawing(out)
    memory = _memory(out)
    run = _run(_pack_folder(ctx, pack), variant, detector, memory, Bars(as_json), choices, reference or [])
    try:
        found = compute(data_set, run)
    except KeyboardInterrupt as exc:
        raise KeyboardInterrupt(_stopped(memory)) from exc
    _hand_over(found, out, as_json=as_json)
    if memory is not None and not keep_vectors:
        memory.forget()
    if found.failing_groups:
        for row in found.failing_groups:
            console.note(
                f"Group {row.group} fails: FPIR at least {row.fpir_interval.low:.2%}, target {row.target:.2%}."
            )
        raise typer.Exit(console.EXIT_FAILED)


def _check_words(detector: str, references: list[str]) -> None:
    if detector not in ("mtcnn", "yunet"):
        raise typer.BadParameter("--detector is mtcnn or yunet")
    if unknown := set(references) - {"dlib", "deepface"}:
        raise typer.BadParameter(f"--reference is dlib or deepface, not {', '.join(sorted(unknown))}")


def _check_drawing(out: Path | None) -> None:
    from recognition.evaluation.curves import check_curves_can_be_drawn

    if out is not None:
        check_curves_can_be_drawn()


def _pack_folder(ctx: typer.Context, chosen: Path | None) -> Path:
    if chosen is not None:
        return chosen
    environment = process_environment()
    named = ctx.find_root().params.get("config") is not None or FILE_VARIABLE in environment
    if not named and not settings_file(None, environment).exists() and LOCAL_PACK.is_dir():
        # Evaluation needs no hub: where none is set up, a pack that was built here will do.
        console.note(f"There are no settings of a hub here; the model pack in {LOCAL_PACK} is used.")
        return LOCAL_PACK
    return console.settings(ctx).recognition.pack_dir


def _memory(out: Path | None) -> "SealedMemory | None":
    from recognition.evaluation.resume import SealedMemory

    return None if out is None else SealedMemory(out)


def _run(  # noqa: PLR0913, PLR0917 (what a run consists of)
    folder: Path,
    variant: str,
    detector: Any,
    memory: "SealedMemory | None",
    bars: Bars,
    choices: Any,
    references: list[str],
) -> "Run":
    from recognition.adapters.analysis import open_engine
    from recognition.evaluation.evaluate import Run
    from recognition.evaluation.resume import NoMemory

    engine = open_engine(folder, smallest_face_px=SMALLEST_FACE_PX, variant=variant, detector=detector)
    others = _references(references, engine.pack.manifest.name)
    return Run(engine, memory or NoMemory(), bars, choices, _context(engine, variant, detector), others)


def _context(engine: "Engine", variant: str, detector: str) -> str:
    """Name everything beside the embedder's own id that decides what is seen in a picture."""
    manifest = engine.pack.manifest
    used = [manifest.embedder.variants[variant], *manifest.detectors.get(detector, {}).values()]
    checksums = " ".join(sorted(manifest.files[name].sha256 for name in used))
    return f"{variant} {detector} {SMALLEST_FACE_PX} {checksums} rollcall {version('rollcall')}"


def _references(names: list[str], pack_name: str) -> "list[Reference]":
    from recognition.evaluation.references import open_reference

    return [open_reference(name, pack_name) for name in dict.fromkeys(names)]  # type: ignore[arg-type]


def _stopped(memory: "SealedMemory | None") -> str:
    if memory is None:
        return "Stopped. With --out FOLDER a run goes on where it was stopped."
    return "Stopped; what was computed is kept. Run the same command again to go on."


def _hand_over(found: "Evaluation", out: Path | None, *, as_json: bool) -> None:
    import json

    from recognition.evaluation.outcome import as_json as plain
    from recognition.evaluation.report import JSON_FILE, write_report

    figures = plain(found)
    if out is not None:
        report = write_report(found, out)
        (out / JSON_FILE).write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        console.note(f"The report is in {report}.")
    if as_json:
        console.emit_json(figures)
        return
    console.emit(_lines(found), COLUMNS, as_json=False)
    for sentence in _sentences(found):
        console.say(sentence)


def _lines(found: "Evaluation") -> list[dict[str, Any]]:
    tables = [("", found.open_set), ("one enrolment picture", found.one_image)]
    tables += [(f"reference {peer.name}", peer.open_set) for peer in found.peers]
    return [
        {
            "gallery": row.gallery,
            "k": row.k,
            "fpir": f"{row.fpir:.2%}",
            "tpir": f"{row.tpir:.2%}",
            "interval": f"{row.interval.low:.1%} to {row.interval.high:.1%}",
            "note": note if row.resolved else f"{note}{', ' if note else ''}too few searches to resolve this FPIR",
        }
        for note, rows in tables
        for row in rows
    ]


def _sentences(found: "Evaluation") -> Iterator[str]:
    captures = found.captures
    yield (
        f"{found.people} people, {found.strangers} strangers. Without a usable face, counted as misses: "
        f"{captures.enrolment_failures} of {captures.enrolment_pictures} pictures to enrol, "
        f"{captures.probe_failures} of {captures.probe_pictures} looked for."
    )
    for kind, result in found.verification.items():
        what = "pictures against templates" if kind == "template" else "pictures against pictures"
        shown = ", ".join(f"TAR {row.tar:.2%} at FAR {row.far:.1%}" for row in result.rows)
        yield f"Verification, {what}: {shown}, equal error rate {result.eer:.2%}."
    for row in found.calibration:
        yield (
            f"Set for FPIR {row.fpir:.2%} on half of the strangers, measured on the other half ({row.k} "
            f"picture{'s' if row.k > 1 else ''}): {row.once:.2%}."
        )
    for one in found.operating:
        yield (
            f"The program's own points, {one.looks} look{'s' if one.looks > 1 else ''}, stated FPIR {one.fpir:.2%}: "
            f"found {one.fpir_found:.2%}, TPIR {one.tpir:.2%}."
        )
    if found.smallest_face_px is not None:
        reach = next(each for each in found.reaches if each.face_px == found.smallest_face_px)
        where = ", ".join(f"{at_m:.1f} m at {frame_px} px" for frame_px, at_m in reach.distance_m)
        yield f"Faces down to {found.smallest_face_px} px are recognised nearly as well as large ones: {where}."
    if found.original is None:
        yield "The original system's operating points are not applicable: they are distances of FaceNet-128."
