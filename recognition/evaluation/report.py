"""The report: one HTML file that needs nothing else, with tables and curves, without faces or names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from recognition.evaluation.curves import draw_curves
from recognition.evaluation.dataset import EvaluationRefused
from recognition.evaluation.evaluate import Evaluation
from recognition.evaluation.outcome import as_csv, as_tables

REPORT = "report.html"
JSON_FILE = "evaluation.json"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-size: 13px; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; } svg { max-width: 100%; height: auto; }
.fails { color: #b00020; font-weight: 600; }
"""

_SECTIONS = (
    (
        "open_set",
        "Open set",
        "TPIR: share of searches for people in the gallery that find them first and over the threshold. FPIR: share of "
        "searches for people who are not in the gallery that find anybody. The threshold is taken from this run's own "
        "searches for strangers and for people whose own template is left out, and is not known to a unit. Not "
        "resolved: too few such searches for a single error at this FPIR, so the threshold lies above all of them.",
    ),
    ("open_set_one_image", "Open set with one enrolment picture", "As above, with each person's first picture only."),
    (
        "references",
        "References in the same run",
        "The same faces and decisions with other embeddings, one plain look at every picture.",
    ),
    (
        "operating_points",
        "The program's own operating points",
        "Tracks decided again with each look, as units do it: a stranger counts as soon as one look makes them "
        "present, a student when the last look does. Stated FPIR beside what was found.",
    ),
    (
        "original_system",
        "The original system's operating points",
        "Its two Euclidean distances, the closest enrolment picture decides.",
    ),
    (
        "calibration",
        "Do stated errors hold?",
        "Points set on a random half of the strangers and measured on the other half, pooled over all splits. For more "
        "pictures than strangers have, people whose own template is left out play strangers. Once: a decision made "
        "once. As one look of a track: the share of the error that units spend on this look.",
    ),
    ("verification", "Verification", "One against one: TAR at a stated FAR, and the equal error rate."),
    ("ranks", "By rank", "Within the first ranks, at the threshold of the target FPIR and without any threshold."),
    ("quality_bands", "By quality of the probe picture", "At the threshold of the target FPIR, one picture."),
    (
        "groups",
        "By group",
        "At the program's own points. A group fails when even the lower end of its FPIR lies above.",
    ),
    (
        "conditions",
        "Smaller, blurred and badly encoded faces",
        "At the threshold of the target FPIR, one picture in which a face was found as it is. Face width: the picture "
        "made smaller until the face has this width, and enlarged by the program's own cut. Blur: Gaussian sigma in "
        "pixels for a face 100 px wide. Video: kbit/s of 1280 x 720 at 15 frames a second with 32 swaying faces 80 px "
        "wide, a frame from its middle.",
    ),
    (
        "distances",
        "From width to distance",
        "Metres at which a face 14 cm wide has this width, through a lens of 66 degrees, by width of the picture.",
    ),
)


def write_report(evaluation: Evaluation, folder: Path) -> Path:
    """Write the report and a CSV file for each table into `folder`; return the report's path.

    Raises EvaluationRefused when the folder cannot be written to, or without matplotlib.
    """
    # First what is quick: drawing the curves takes seconds, and a folder that cannot be written to is known before.
    with _refused(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in as_tables(evaluation).items():
            if rows:
                _write(folder / f"{name}.csv", as_csv(rows))
    page = as_html(evaluation)
    with _refused(folder):
        _write(folder / REPORT, page)
    return folder / REPORT


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise EvaluationRefused(f"the report cannot be written to {folder}: {exc.strerror}") from exc


def as_html(evaluation: Evaluation) -> str:
    """Return the whole page."""
    tables = as_tables(evaluation)
    parts = [_head(evaluation)]
    parts += [
        f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in draw_curves(evaluation)
    ]
    for name, title, text in _SECTIONS:
        parts.append(f"<h2>{escape(title)}</h2><p>{escape(text)}</p>")
        parts.append(_table(tables[name]) if tables[name] else f"<p>{escape(_nothing(name))}</p>")
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Rollcall evaluation</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _head(evaluation: Evaluation) -> str:
    captures = evaluation.captures
    lines = [
        f"Model pack {evaluation.pack_id}; {evaluation.people} people enrolled with up to {evaluation.images} pictures "
        f"each, {evaluation.strangers} strangers.",
        f"Pictures without a usable face, counted as misses in all figures: {captures.enrolment_failures} of "
        f"{captures.enrolment_pictures} to enrol ({captures.people_not_enrolled} people could not be enrolled), "
        f"{captures.probe_failures} of {captures.probe_pictures} looked for. Left out: {captures.stranger_failures} of "
        f"{captures.stranger_pictures} of strangers, {captures.copies_left_out} copies of enrolment pictures.",
        f"Enrolment at a hub would refuse {captures.refused_by_enrolment} of the enrolment pictures; here they are "
        f"used.",
        "Intervals are 95 %: people, never pictures, drawn again 1,000 times; exact bounds where nothing was observed.",
    ]
    if evaluation.smallest_face_px is not None:
        lines.append(
            f"Smallest face that is recognised nearly as well as a large one: {evaluation.smallest_face_px} px."
        )
    failing = "".join(
        f'<p class="fails">Group {escape(row.group)} fails: FPIR {row.fpir_found:.2%}, at least '
        f"{row.fpir_interval.low:.2%}, target {row.target:.2%}.</p>"
        for row in evaluation.failing_groups
    )
    return "<h1>Rollcall evaluation</h1>" + "".join(f"<p>{escape(line)}</p>" for line in lines) + failing


def _nothing(name: str) -> str:
    if name == "original_system":
        return "Not applicable: its distances are those of FaceNet-128, and this pack has another model."
    return "Nothing to show in this run."


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_shown(row.get(column)))}</td>" for column in columns) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
