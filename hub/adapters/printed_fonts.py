"""Fonts of this machine that have the letters of the names that are printed."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError  # type: ignore[import-untyped]
from fpdf.errors import FPDFException

from hub.core.errors import BadInput
from hub.core.report_letters import script_of

FOLDERS: tuple[Path, ...] = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("~/.local/share/fonts"),
    Path("~/.fonts"),
)
_FIRST = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "FreeSans.ttf", "LiberationSans-Regular.ttf")
"""Looked into first; some of these has what most names in Europe, the Near East and Africa need."""
_THEN = ("NotoSans*-Regular.*", "NotoNaskh*-Regular.*", "DroidSansFallback*.ttf", "wqy-*.tt?", "unifont*.?tf")
BROKEN = (OSError, TTLibError, FPDFException, KeyError, IndexError, ValueError, AssertionError, struct.error)
"""What reading a font file raises that is damaged."""
_KINDS = (".ttf", ".otf", ".ttc")
_EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO")
LATIN_1 = frozenset(chr(code) for code in range(0x20, 0x100) if chr(code).isprintable() or code == 0xA0)
_ASCII = frozenset(char for char in LATIN_1 if char.isascii())
"""Headings and figures need it."""


@dataclass(frozen=True, slots=True)
class Fonts:
    """Font files in the order in which a letter is looked for; none: what every PDF reader has is enough."""

    files: tuple[Path, ...] = ()
    letters: frozenset[str] = LATIN_1
    """All that the files have."""
    missing: frozenset[str] = frozenset()
    """Those of the wanted ones that no font has."""


def find(wanted: frozenset[str], chosen: Path | None = None, folders: Sequence[Path] = FOLDERS) -> Fonts:
    """Return fonts with these letters: the one that was chosen first, then as few as have the others.

    Raises BadInput for a chosen file that is no font.
    """
    if chosen is None and wanted <= LATIN_1:
        return Fonts()
    files: list[Path] = []
    letters: set[str] = set()
    wanted |= _ASCII
    if chosen is not None:
        files.append(chosen)
        letters |= letters_in(chosen)
    for file in _candidates(folders):
        if wanted <= letters:
            break
        try:
            has = letters_in(file)
        except BadInput:
            continue
        # The first one also writes headings and figures.
        if (wanted - letters) & has and (files or has >= _ASCII):
            files.append(file)
            letters |= has
    return Fonts(tuple(files), frozenset(letters) if files else LATIN_1, wanted - (letters if files else LATIN_1))


def letters_in(file: Path) -> set[str]:
    """Return the letters that a font has. Raises BadInput for a file that is none."""
    if file.suffix.lower() not in _KINDS:
        raise BadInput(f"{file} is no font: its name should end with {', '.join(_KINDS)}")
    try:
        with file.open("rb") as stream, TTFont(stream, fontNumber=0, lazy=True) as font:
            return {chr(code) for code in font.getBestCmap() or ()}
    except BROKEN as exc:
        raise unusable(file, exc) from exc


def unusable(file: Path, exc: Exception) -> BadInput:
    """Return what a person is told of a font file that cannot be used."""
    return BadInput(f"the font {file} cannot be read: {exc or type(exc).__name__}", hint="name another one with --font")


def packages_for(missing: Iterable[str]) -> list[str]:
    """Return which packages of Debian and Raspberry Pi OS have fonts with these letters."""
    east = {script_of(char) in _EAST_ASIAN for char in missing}
    found = {True: ["fonts-noto-cjk"], False: ["fonts-dejavu-core", "fonts-noto-core"]}
    return [name for asian in sorted(east) for name in found[asian]]


def _candidates(folders: Sequence[Path]) -> Iterator[Path]:
    files = sorted(file for folder in folders for file in _there(folder).rglob("*") if file.suffix.lower() in _KINDS)
    for name in _FIRST:
        yield from (file for file in files if file.name == name)
    for pattern in _THEN:
        yield from (file for file in files if file.match(pattern) and file.name not in _FIRST)


def _there(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError:  # whoever runs this has no home
        return folder
