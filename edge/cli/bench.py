"""`rollcall-edge bench`: how fast this machine is, in plain words, and which settings fit it."""

import os
import platform
from dataclasses import asdict
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from edge.adapters.machine_bench import BenchWish, MachineBench, read_bench_picture
from edge.cli.output import console, errors, print_json
from edge.core.advice import Suggestion, suggest
from edge.settings import Camera, EdgeSettings, Recognition


def wish_of(settings: EdgeSettings) -> BenchWish:
    """Return what to measure for a unit with these settings."""
    wanted = settings.recognition
    return BenchWish(
        pack_dir=wanted.pack_dir,
        detector=wanted.detector,
        variant=wanted.variant,
        threads=wanted.threads,
        smallest_face_px=settings.smallest_face_px,
        min_face_px=settings.min_face_px,
        size_px=(settings.picture_width_px, settings.picture_height_px),
    )


def wish_for_pack(pack_dir: Path) -> BenchWish:
    """Return what to measure where there are no settings yet: a door, with every default."""
    wanted, camera = Recognition(pack_dir=pack_dir), Camera()
    return BenchWish(
        pack_dir=pack_dir,
        detector=wanted.detector,
        variant=wanted.variant,
        threads=wanted.threads,
        smallest_face_px=wanted.smallest_face_px,
        min_face_px=100,
        size_px=(camera.width_px, camera.height_px),
    )


def bench(wish: BenchWish, picture: Path | None, *, as_json: bool) -> None:
    """Measure and print."""
    run = MachineBench(wish, read_bench_picture(picture, wish.size_px[0]) if picture else None)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        console=errors, transient=True, disable=not errors.is_terminal,
    ) as progress:  # fmt: skip
        task = progress.add_task("measuring", total=len(run.steps()))
        for name in run.run():
            progress.update(task, description=name, completed=progress.tasks[0].completed + 1)
    advice = suggest(run.measured())
    if as_json:
        print_json(_json(run, advice))
    else:
        _print(run, advice)


def _json(run: MachineBench, advice: list[Suggestion]) -> dict[str, object]:
    return {
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "pack": run.pack_id,
        "variant": run.wish.variant,
        "threads": run.wish.threads,
        "faces_in_picture": run.faces,
        "temperature_c": {"before": run.before_c, "after": run.after_c},
        "figures": [asdict(figure) for figure in run.figures],
        "left_out": run.left_out,
        "suggestions": [asdict(suggestion) for suggestion in advice],
    }


def _print(run: MachineBench, advice: list[Suggestion]) -> None:
    table = Table(title=f"{run.pack_id}, {run.wish.variant}, {run.wish.threads} threads unless said otherwise")
    table.add_column("what")
    table.add_column("median", justify="right")
    table.add_column("on")
    for figure in run.figures:
        table.add_row(figure.name, f"{figure.value:.1f} {figure.unit}", figure.note)
    console.print(table)
    console.print(f"temperature: {_degrees(run.before_c)} before, {_degrees(run.after_c)} after")
    if run.left_out:
        console.print(f"[yellow]note:[/] not measured, it took too long already: {', '.join(run.left_out)}")
    if not run.faces:
        console.print("[yellow]note:[/] no faces were at hand: bring a picture of the room with --picture FILE")
    if advice:
        console.print("\nsettings for this machine:")
    for suggestion in advice:
        value = f'"{suggestion.value}"' if isinstance(suggestion.value, str) else suggestion.value
        console.print(f"  {suggestion.key} = {value}   # {escape(suggestion.reason)}", soft_wrap=True)


def _degrees(celsius: float | None) -> str:
    return "not said by this machine" if celsius is None else f"{celsius:.0f} C"
