"""An evaluation as plain tables: what `--json` prints, what the CSV files hold and what the report shows."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from recognition.evaluation.evaluate import Evaluation
from recognition.evaluation.identification import OpenSetRow
from recognition.evaluation.original import DISTANCES
from recognition.evaluation.verification import VerificationResult

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

Row = dict[str, Any]


def as_json(evaluation: Evaluation) -> Row:
    """Return one object of JSON types: `open_set` and `verification` as the design says, and everything else."""
    tables = as_tables(evaluation)
    return {
        "open_set": [_short(row) for row in evaluation.open_set],
        "verification": _verification(evaluation.verification),
        "open_set_details": tables["open_set"],
        "open_set_one_image": tables["open_set_one_image"],
        "references": [
            {
                "name": peer.name,
                "open_set": [_short(row) for row in peer.open_set],
                "verification": _verification(peer.verification),
            }
            for peer in evaluation.peers
        ],
        "original_system": _original(evaluation),
        "operating_points": tables["operating_points"],
        "calibration": tables["calibration"],
        "ranks": tables["ranks"],
        "quality_bands": tables["quality_bands"],
        "conditions": tables["conditions"],
        "smallest_face_px": evaluation.smallest_face_px,
        "distances": tables["distances"],
        "groups": tables["groups"],
        "failing_groups": [row.group for row in evaluation.failing_groups],
        "captures": _plain(asdict(evaluation.captures)),
        "pack_id": evaluation.pack_id,
        "people": evaluation.people,
        "strangers": evaluation.strangers,
        "images": evaluation.images,
        "target_fpir": evaluation.choices.target_fpir,
        "seed": evaluation.choices.seed,
    }


def as_tables(evaluation: Evaluation) -> dict[str, list[Row]]:
    """Return every table by name, each a list of flat rows."""
    return {
        "open_set": [_long(row) for row in evaluation.open_set],
        "open_set_one_image": [_long(row) for row in evaluation.one_image],
        "references": [{"reference": peer.name} | _long(row) for peer in evaluation.peers for row in peer.open_set],
        "verification": [
            {"reference": name, "comparison": kind} | row
            for name, found in [("", evaluation.verification), *((p.name, p.verification) for p in evaluation.peers)]
            for kind, result in found.items()
            for row in _tar_rows(result)
        ],
        "ranks": [_flat(asdict(row)) for row in evaluation.ranks],
        "thresholds": [
            {"k": curve.k, "threshold": threshold, "tpir": tpir, "fpir": fpir}
            for curve in evaluation.sweeps
            for threshold, tpir, fpir in curve.points
        ],
        "roc": [
            {"comparison": kind, "threshold": point.threshold, "far": point.far, "tar": point.tar}
            for kind, result in evaluation.verification.items()
            for point in result.curve
        ],
        "operating_points": [_flat(asdict(row)) for row in evaluation.operating],
        "calibration": [_flat(asdict(row)) for row in evaluation.calibration],
        "quality_bands": [_flat(asdict(row)) for row in evaluation.bands],
        "groups": [_flat(asdict(row)) | {"fails": row.fails} for row in evaluation.groups],
        "conditions": [_flat(asdict(row)) for row in evaluation.worse],
        "distances": [
            {"face_px": one.face_px} | {f"m_at_{frame_px}_px": round(at_m, 2) for frame_px, at_m in one.distance_m}
            for one in evaluation.reaches
        ],
        "original_system": [_plain(asdict(row)) for row in evaluation.original or ()],
    }


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV with a header; text that a spreadsheet takes for a formula gets an apostrophe in front."""
    stream = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value


def _short(row: OpenSetRow) -> Row:
    return {
        "gallery": row.gallery,
        "k": row.k,
        "fpir": row.fpir,
        "tpir": row.tpir,
        "ci_low": row.interval.low,
        "ci_high": row.interval.high,
    }


def _long(row: OpenSetRow) -> Row:
    return _short(row) | {
        "threshold": row.threshold,
        "fpir_found": row.fpir_found,
        "mated_searches": row.mated_searches,
        "mated_people": row.mated_people,
        "non_mated_searches": row.non_mated_searches,
        "non_mated_people": row.non_mated_people,
        "resolved": row.resolved,
    }


def _verification(results: Mapping[str, VerificationResult]) -> Row:
    """Return the figures of pictures against templates at the top, those of all kinds of comparison by name."""
    by_kind: Row = {
        kind: {
            "genuine": result.genuine,
            "impostor": result.impostor,
            "eer": result.eer,
            "tar_at_far": _tar_rows(result),
        }
        for kind, result in results.items()
    }
    return {**by_kind.get("template", {}), "comparisons": by_kind}


def _tar_rows(result: VerificationResult) -> list[Row]:
    return [_flat(asdict(row)) | {"eer": result.eer} for row in result.rows]


def _original(evaluation: Evaluation) -> Row:
    if evaluation.original is None:
        return {
            "applicable": False,
            "reason": "its distances are those of FaceNet-128; this pack has another model",
            "distances": dict(DISTANCES),
        }
    return {"applicable": True, "rows": [_plain(asdict(row)) for row in evaluation.original]}


def _flat(row: Mapping[str, Any]) -> Row:
    """Return a row with its intervals as two columns: `interval` as ci_low and ci_high, others with their own name."""
    flat: Row = {}
    for name, value in row.items():
        if name.endswith("interval"):
            prefix = name.removesuffix("interval")
            flat[f"{prefix}ci_low"], flat[f"{prefix}ci_high"] = value["low"], value["high"]
        else:
            flat[name] = value
    return _plain(flat)


def _plain(row: Mapping[str, Any]) -> Row:
    """Return a row without numbers that JSON does not know."""
    return {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in row.items()}
