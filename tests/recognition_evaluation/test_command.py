"""The command `rollcall-hub evaluate`: what it prints, what it leaves behind, how it ends."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hub.cli import app
from recognition.evaluation import evaluate as evaluate_module
from recognition.evaluation import report
from recognition.evaluation.bounds import Interval
from recognition.evaluation.dataset import DataSet
from recognition.evaluation.operating import GroupRow
from recognition.evaluation.resume import FOLDER, KEY_FILE
from tests.recognition_evaluation.test_evaluate import SAMPLES

pytestmark = pytest.mark.slow

INDEX = """file,identity,role
{0}/obama.jpg,a,enrol
{0}/obama2.jpg,a,probe
{0}/obama3.jpg,a,probe
{0}/biden.jpg,b,enrol
{0}/astronaut.jpg,c,stranger
"""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "index.csv"
    path.write_text(INDEX.format(SAMPLES), encoding="utf-8")
    return path


def call(*words: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["evaluate", *map(str, words)], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result


def test_help_teaches_without_loading_what_draws_or_computes() -> None:
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom hub.cli import app\n"
        "print(CliRunner().invoke(app, ['evaluate', '--help']).output)\n"
        "print([name for name in ('matplotlib', 'av', 'tensorflow', 'dlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert "rollcall-hub evaluate" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def test_figures_are_printed_as_json_and_a_complete_run_leaves_no_vectors(
    index: Path, pack_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = call(index, "--pack", pack_folder, "--out", out, "--json", "--no-conditions", "--enrol", "1")
    figures = json.loads(result.stdout)
    assert figures["open_set"][0]["tpir"] == 1.0
    assert json.loads((out / "evaluation.json").read_text(encoding="utf-8")) == figures
    assert (out / "report.html").is_file()
    assert not (out / FOLDER).exists()
    assert not (out / KEY_FILE).exists()


def test_people_read_a_table_and_sentences_and_may_keep_vectors(
    index: Path, pack_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "draw_curves", lambda _: [])  # nobody looks at them here, and drawing takes seconds
    words = (index, "--pack", pack_folder, "--out", tmp_path, "--no-conditions", "--keep-vectors")
    shown = call(*words).stdout
    assert "2 people, 1 strangers" in shown
    assert "too few searches to resolve this FPIR" in shown
    assert "not applicable" in shown
    assert (tmp_path / KEY_FILE).is_file()
    assert call(*words).stdout == shown


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["gone.csv"], 1, "there is no file or folder gone.csv"),
        (["gone.csv", "--detector", "haar"], 2, "--detector is mtcnn or yunet"),
        (["gone.csv", "--reference", "me"], 2, "--reference is dlib or deepface"),
        (["gone.csv", "--keep-vectors"], 2, "--keep-vectors needs --out"),
    ],
)
def test_wrong_words_end_with_a_sentence(words: list[str], code: int, sentence: str) -> None:
    assert sentence in call(*words, code=code).stderr


def test_a_missing_pack_is_said_before_any_picture_is_read(index: Path, tmp_path: Path) -> None:
    result = call(index, "--pack", tmp_path / "no-pack", code=1)
    assert "there is no model pack" in result.stderr


def test_a_failing_group_ends_with_1_after_everything_was_printed(
    index: Path, pack_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patched: no handful of portraits gives a group whose strangers are surely taken for others."""
    computed = evaluate_module.evaluate
    row = GroupRow("7b", 40, 1.0, Interval(0.9, 1.0), 0.5, Interval(0.3, 0.7), 0.01, 40)

    def with_group(data_set: DataSet, run: evaluate_module.Run) -> evaluate_module.Evaluation:
        return replace(computed(data_set, run), groups=(row,))

    monkeypatch.setattr(evaluate_module, "evaluate", with_group)
    result = call(index, "--pack", pack_folder, "--json", "--no-conditions", code=1)
    assert json.loads(result.stdout)["failing_groups"] == ["7b"]
    assert "Group 7b fails: FPIR at least 30.00%, target 1.00%." in result.stderr
