"""The curves of a report as SVG text: no scripts, no references, the same bytes for the same figures."""

import io
from collections.abc import Callable, Sequence
from typing import Any

from recognition.evaluation.dataset import EvaluationRefused
from recognition.evaluation.evaluate import Evaluation

LEAST_RATE = 1e-5
"""Where logarithmic axes begin: a rate of 0 has no place on them."""

Line = tuple[str, Sequence[float], Sequence[float]]


def draw_curves(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return (title, SVG) of each curve. Raises EvaluationRefused without matplotlib."""
    matplotlib = _matplotlib()
    drawn = [
        ("Open set: found (TPIR) against strangers taken for somebody (FPIR)", _open_set),
        ("Verification: ROC, pictures against templates", _roc),
        ("Verification: DET, pictures against templates", _det),
        ("Found and mistaken by threshold, one probe picture", _thresholds),
        ("Found by width of the face", _widths),
    ]
    with matplotlib.rc_context({"svg.hashsalt": "rollcall", "svg.fonttype": "none", "font.size": 10}):
        return [(title, svg) for title, draw in drawn if (svg := _drawn(draw, evaluation))]


def check_curves_can_be_drawn() -> None:
    """Raise EvaluationRefused when matplotlib is not installed: before hours of work, not after."""
    _matplotlib()


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as exc:
        raise EvaluationRefused(
            "the report needs matplotlib, which is not installed", hint="install the `evaluate` extra"
        ) from exc
    return matplotlib


def _drawn(draw: Callable[[Any, Evaluation], bool], evaluation: Evaluation) -> str:
    # Not pyplot: it keeps state between calls and looks for a screen.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    if not draw(axes, evaluation):
        return ""
    axes.grid(alpha=0.3)
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _open_set(axes: Any, evaluation: Evaluation) -> bool:
    for curve in evaluation.sweeps:
        points = [(max(fpir, LEAST_RATE), tpir) for _, tpir, fpir in curve.points]
        axes.plot(*zip(*points, strict=True), label=f"{curve.k} probe picture{'s' if curve.k > 1 else ''}")
    axes.set(xscale="log", xlabel="FPIR", ylabel="TPIR", xlim=(1e-4, 1), ylim=(0, 1.01))
    axes.legend(loc="lower right")
    return bool(evaluation.sweeps)


def _roc(axes: Any, evaluation: Evaluation) -> bool:
    for name, far, tar in _verification_lines(evaluation):
        axes.plot(far, tar, label=name)
    axes.set(xscale="log", xlabel="FAR", ylabel="TAR", xlim=(LEAST_RATE, 1), ylim=(0, 1.01))
    axes.legend(loc="lower right")
    return bool(evaluation.verification)


def _det(axes: Any, evaluation: Evaluation) -> bool:
    for name, far, tar in _verification_lines(evaluation):
        axes.plot(far, [max(1 - share, 1e-4) for share in tar], label=name)
    axes.set(xscale="log", yscale="log", xlabel="FAR", ylabel="FRR", xlim=(LEAST_RATE, 1), ylim=(1e-4, 1))
    axes.legend(loc="upper right")
    return bool(evaluation.verification)


def _verification_lines(evaluation: Evaluation) -> list[Line]:
    named = [("this pack", evaluation.verification), *((peer.name, peer.verification) for peer in evaluation.peers)]
    lines: list[Line] = []
    for name, results in named:
        if "template" in results:
            points = results["template"].curve
            lines.append((name, [max(p.far, LEAST_RATE) for p in points], [p.tar for p in points]))
    return lines


def _thresholds(axes: Any, evaluation: Evaluation) -> bool:
    if not evaluation.sweeps:
        return False
    points = evaluation.sweeps[0].points
    thresholds = [threshold for threshold, _, _ in points]
    axes.plot(thresholds, [tpir for _, tpir, _ in points], label="found (TPIR, rank 1)")
    axes.plot(thresholds, [fpir for _, _, fpir in points], label="strangers taken for somebody (FPIR)")
    axes.set(xlabel="threshold (cosine)", ylabel="share", ylim=(0, 1.01))
    axes.legend(loc="center left")
    return True


def _widths(axes: Any, evaluation: Evaluation) -> bool:
    rows = [row for row in evaluation.worse if row.condition == "face width"]
    if not rows:
        return False
    widths, found = [row.level for row in rows], [row.tpir for row in rows]
    below = [row.tpir - row.interval.low for row in rows]
    above = [row.interval.high - row.tpir for row in rows]
    axes.errorbar(widths, found, yerr=[below, above], marker="o", capsize=3, label="TPIR with interval")
    axes.plot(widths, [row.fpir_found for row in rows], marker=".", label="FPIR at the same threshold")
    axes.set(xlabel="width of the face, pixels", ylabel="share", ylim=(0, 1.01))
    axes.legend(loc="center right")
    return True
