"""Whom a portrait's file name says it shows."""

import contextlib
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hub.core.enrolment_names import is_picture, parse_portrait_name, same_person
from hub.core.errors import BadInput
from hub.core.roster import checked_name


@pytest.mark.parametrize(
    ("file_name", "serial", "name"),
    [
        ("12_Ada Lovelace.png", "12", "Ada Lovelace"),
        ("012_Ada Lovelace_2.jpg", "012", "Ada Lovelace"),
        ("12_Ada_Lovelace.JPEG", "12", "Ada Lovelace"),
        ("12_Ada Lovelace (3).jpg", "12", "Ada Lovelace"),
        ("A-7_Zoë.jpg", "A-7", "Zoë"),
        (unicodedata.normalize("NFD", "12_Zoë Müller_2.png"), "12", "Zoë Müller"),
        ("12_日本 太郎.png", "12", "日本 太郎"),
        ("12_Ada v1.5.png", "12", "Ada v1.5"),
        ("12_4.png", "12", "4"),
    ],
)
def test_the_original_systems_names_are_understood(file_name: str, serial: str, name: str) -> None:
    parsed = parse_portrait_name(file_name)
    assert (parsed.serial_number, parsed.name) == (serial, name)


@pytest.mark.parametrize(
    "file_name", ["Ada.png", "12.png", "_Ada.png", "12_.png", "1 2_Ada.png", "12_\u202eadA.png", ""]
)
def test_other_names_are_refused_with_an_example(file_name: str) -> None:
    with pytest.raises(BadInput, match=r"12_Ada Lovelace\.jpg"):
        parse_portrait_name(file_name)


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,8}", fullmatch=True),
    st.text(st.characters(categories=["L"]), min_size=1, max_size=12),
    st.sampled_from(["", "_2", " (3)", "_0004"]),
    st.sampled_from([".jpg", ".PNG", ".jpeg"]),
)
def test_serial_and_name_come_back(serial: str, name: str, counter: str, ending: str) -> None:
    parsed = parse_portrait_name(f"{serial}_{name}{counter}{ending}")
    assert (parsed.serial_number, parsed.name) == (serial, checked_name(name))


@given(st.text(max_size=40))
def test_no_file_name_breaks_the_parser(file_name: str) -> None:
    assume("\0" not in file_name)
    with contextlib.suppress(BadInput):
        parse_portrait_name(file_name)


@pytest.mark.parametrize(
    ("on_file", "on_record", "same"),
    [
        ("Ada Lovelace", "Ada Lovelace", True),
        ("ada", "Ada Lovelace", True),
        ("Lovelace Ada front", "Ada Lovelace", True),
        ("Jose", "José", True),
        ("Grace Hopper", "Ada Lovelace", False),
        ("Ada Byron", "Ada Lovelace", False),
    ],
)
def test_spellings_of_one_person_are_recognised(on_file: str, on_record: str, same: bool) -> None:
    assert same_person(on_file, on_record) is same


def test_only_pictures_are_looked_at() -> None:
    names = ["a.JPG", "a.jpeg", "a.png", "a.txt", "Thumbs.db", "._1_Ada.jpg", "jpg"]
    assert [name for name in names if is_picture(name)] == ["a.JPG", "a.jpeg", "a.png"]
