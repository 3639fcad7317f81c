"""Indexes and folders: what is used for what, and a sentence for everything that cannot be used."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from recognition.evaluation.dataset import EvaluationRefused, read_data_set

GOOD = ["a1.jpg,ann,enrol", "a2.jpg,ann,probe", "b1.jpg,bob,enrol", "b2.jpg,bob,probe", "c.jpg,cy,stranger"]


def index(folder: Path, lines: Sequence[str], header: str = "file,identity,role") -> Path:
    """An index; every file it lists is there, as an empty one."""
    for line in lines:
        name = line.split(",")[0]
        if name and "\0" not in name:
            (folder / name).touch()
    path = folder / "index.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_an_index_says_what_each_picture_is_for(tmp_path: Path) -> None:
    data_set = read_data_set(index(tmp_path, GOOD))
    assert [[file.name for file in person.enrol] for person in data_set.enrolled] == [["a1.jpg"], ["b1.jpg"]]
    assert [[file.name for file in person.probes] for person in data_set.everybody] == [
        ["a2.jpg"],
        ["b2.jpg"],
        ["c.jpg"],
    ]
    assert data_set.pictures == 5


def test_a_file_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = index(tmp_path, GOOD)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(read_data_set(path).enrolled) == 2


def test_groups_belong_to_people(tmp_path: Path) -> None:
    lines = [f"{line},{group}" for line, group in zip(GOOD, ["x", "x", "y", "y", ""], strict=True)]
    data_set = read_data_set(index(tmp_path, lines, "file,identity,role,group"))
    assert [person.group for person in data_set.everybody] == ["x", "y", None]


@pytest.mark.parametrize(
    ("lines", "header", "sentence"),
    [
        (GOOD, "file,identity", "lacks the column role"),
        ([], "file,identity,role", "0 people can be enrolled"),
        (GOOD[:2], "file,identity,role", "1 people can be enrolled"),
        ([*GOOD, "d.jpg,dan,enrolled"], "file,identity,role", "line 7: role is 'enrolled'"),
        ([*GOOD, "d.jpg,,enrol"], "file,identity,role", "line 7: identity is empty"),
        ([*GOOD, "d.jpg,dan"], "file,identity,role", "line 7: role is empty"),
        ([*GOOD, "a1.jpg,ann,probe"], "file,identity,role", "line 7: this file is listed twice"),
        ([*GOOD, "d.jpg,ann,stranger"], "file,identity,role", "line 7: the same identity is a stranger"),
        ([*GOOD, "d.jpg,dan,probe"], "file,identity,role", "none with the role enrol"),
        ([GOOD[0], GOOD[2]], "file,identity,role", "no enrolled person has a picture to look for"),
        (["a1.jpg,ann,enrol,x", "a2.jpg,ann,probe,y"], "file,identity,role,group", "another group further up"),
        (["a1.jpg,ann,enrol,\x1b[31m"], "file,identity,role,group", "characters that can be seen"),
        (['a1.jpg,"ann,enrol'], "file,identity,role", "not a CSV file"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, lines: list[str], header: str, sentence: str) -> None:
    with pytest.raises(EvaluationRefused, match=sentence.replace("(", r"\(")):
        read_data_set(index(tmp_path, lines, header))


def test_missing_files_are_counted_by_line(tmp_path: Path) -> None:
    path = index(tmp_path, GOOD)
    for name in ("a1.jpg", "a2.jpg", "b1.jpg", "b2.jpg"):
        (tmp_path / name).unlink()
    with pytest.raises(EvaluationRefused, match="missing in line 2, line 3, line 4 and 1 more"):
        read_data_set(path)


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_bytes("file,identity,role\nä.jpg,ann,enrol\n".encode("latin-1"))
    with pytest.raises(EvaluationRefused, match="UTF-8"):
        read_data_set(path)


def test_nothing_at_the_path_is_a_sentence_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(EvaluationRefused, match=r"there is no file or folder .*index.csv"):
        read_data_set(tmp_path / "gone")


def test_a_folder_is_divided_by_name_in_the_same_way_each_time(tmp_path: Path) -> None:
    for name, pictures in {"ann": 5, "bob": 2, "cy": 1, "dan": 0}.items():
        (tmp_path / name).mkdir()
        for number in reversed(range(pictures)):
            (tmp_path / name / f"{number}.JPG").touch()
        (tmp_path / name / "notes.txt").touch()
    data_set = read_data_set(tmp_path, 3)
    assert [[file.stem for file in person.enrol] for person in data_set.enrolled] == [["0", "1", "2"], ["0"]]
    assert [[file.stem for file in person.probes] for person in data_set.everybody] == [["3", "4"], ["1"], ["0"]]
    assert len(data_set.strangers) == 1


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    with pytest.raises(EvaluationRefused, match="no pictures"):
        read_data_set(tmp_path)
