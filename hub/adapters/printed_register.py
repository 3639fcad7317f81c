"""The printed register as a PDF: A4 across, students by the lessons of a week, with a legend and a line to sign on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Literal

from fpdf import FPDF
from fpdf.bidi import BidiParagraph

from hub.adapters.printed_fonts import BROKEN, Fonts, unusable
from hub.core.report_letters import joined, printable, right_to_left
from hub.core.report_sheet import RegisterSheet, SheetColumn, SheetLine, SheetPage

_MARGIN, _WIDTH, _HEIGHT = 10.0, 297.0, 210.0
_NUMBER, _SERIAL, _NAME = 7.0, 22.0, 56.0
_LEFT = _MARGIN + _NUMBER + _SERIAL + _NAME
_WIDEST_COLUMN = 11.0
_TOP, _DAY, _CLOCK, _LABEL, _LINE = 20.0, 5.0, 4.0, 18.0, 4.2
_POINT = 0.3528
"""Millimetres."""
_GREY = 235
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Imprint:
    """What stands on every page beside the register."""

    site: str
    first: date
    last: date
    zone: tzinfo
    made_at: datetime
    made_by: str


def texts_of(sheet: RegisterSheet, imprint: Imprint) -> tuple[str, ...]:
    """Return what is printed apart from the students."""
    titles = (column.title for page in sheet.pages for column in page.columns)
    legend = (text for pair in sheet.legend for text in pair)
    return (sheet.section, imprint.site, imprint.made_by, *titles, *legend)


def letters_of(*texts: str) -> frozenset[str]:
    """Return the letters of these texts, without regard to what becomes of them beside others."""
    return frozenset(char for text in texts for char in printable(text).replace("\u200c", ""))


def pdf_of(sheet: RegisterSheet, imprint: Imprint, fonts: Fonts, *, compressed: bool = True) -> bytes:
    """Return the register as a PDF. A letter that no font has becomes a question mark.

    Raises BadInput for a font file that is damaged.
    """
    document = _Document(sheet, imprint, fonts)
    document.pdf.set_compression(compressed)
    for number, page in enumerate(sheet.pages, 1):
        document.page(page, number)
    return document.made()


def _visible(text: str, has: Callable[[str], bool]) -> str:
    """Return the text as its letters stand on paper, from left to right."""
    found = printable(text)
    if right_to_left(found):
        found = str(BidiParagraph(joined(found, has)).get_reordered_string())
    return found.replace("\u200c", "")


@contextmanager
def _readable(*files: Path) -> Iterator[None]:
    """Say which font file is damaged, where one is."""
    try:
        yield
    except BROKEN as exc:
        if not files:
            raise
        raise unusable(files[0], exc) from exc


class _Document:
    def __init__(self, sheet: RegisterSheet, imprint: Imprint, fonts: Fonts) -> None:
        self.pdf = FPDF(orientation="landscape", unit="mm", format="A4")
        self._sheet, self._imprint = sheet, imprint
        self._has = fonts.letters
        self._family = "Helvetica"
        self._files = fonts.files
        for number, file in enumerate(fonts.files):
            with _readable(file):
                self.pdf.add_font(f"font{number}", fname=file)
            self._family = "font0"
        if len(fonts.files) > 1:
            self.pdf.set_fallback_fonts([f"font{number}" for number in range(1, len(fonts.files))])
        self.pdf.set_auto_page_break(auto=False)
        self.pdf.set_margin(_MARGIN)
        self.pdf.set_creation_date(imprint.made_at)
        self.pdf.set_title(self._text(f"Register of section {sheet.section}"))
        self.pdf.set_line_width(0.1)

    def page(self, page: SheetPage, number: int) -> None:
        self.pdf.add_page()
        self._head(page, number)
        width = min(_WIDEST_COLUMN, (_WIDTH - _MARGIN - _LEFT) / max(1, len(page.columns)))
        self._columns(page.columns, width)
        for place, line in enumerate(page.lines):
            self._line(line, place, width)
        self._foot()

    def made(self) -> bytes:
        """Return the document; only now the letters that were used are taken out of the fonts."""
        with _readable(*self._files):
            return bytes(self.pdf.output())

    def _head(self, page: SheetPage, number: int) -> None:
        imprint = self._imprint
        days = [column.day for column in page.columns]
        self._put(_MARGIN, _MARGIN, 190, 6, f"Register of section {self._sheet.section}", size=14)
        self._put(_MARGIN, _MARGIN + 6, 190, 4, f"{imprint.site}, {_span(days[0], days[-1])}", size=9)
        made = f"{imprint.made_at.astimezone(imprint.zone):%Y-%m-%d %H:%M} ({imprint.zone}) by {imprint.made_by}"
        self._put(200, _MARGIN, 87, 6, f"Page {number} of {len(self._sheet.pages)}", size=9, align="R")
        self._put(180, _MARGIN + 6, 107, 4, f"Printed {made}", size=7, align="R")

    def _columns(self, columns: Sequence[SheetColumn], width: float) -> None:
        x = _LEFT
        self.pdf.set_fill_color(_GREY)
        for day, of_day in groupby(columns, key=lambda one: one.day):
            wide = width * len(list(of_day))
            said = f"{day:%a} {day.day} {day:%b}" if wide > 14 else f"{day:%a}"
            self._put(x, _TOP, wide, _DAY, said, size=7, align="C", border=1, fill=True)
            x += wide
        for heading, at, wide in (("Serial", _MARGIN + _NUMBER, _SERIAL), ("Name", _LEFT - _NAME, _NAME)):
            self._put(at, _TOP + _DAY + _LABEL, wide, _CLOCK, heading, size=7)
        for number, column in enumerate(columns):
            x = _LEFT + number * width
            self.pdf.rect(x, _TOP + _DAY, width, _LABEL + _CLOCK)
            with self.pdf.rotation(90, x, _TOP + _DAY + _LABEL):
                self._put(x, _TOP + _DAY + _LABEL, _LABEL, width, column.title, size=7)
            if column.start is not None:
                clock = f"{column.start.astimezone(self._imprint.zone):%H:%M}"
                self._put(x, _TOP + _DAY + _LABEL, width, _CLOCK, clock, size=6, align="C")

    def _line(self, line: SheetLine, place: int, width: float) -> None:
        y = _TOP + _DAY + _LABEL + _CLOCK + place * _LINE
        student = line.student
        fill = bool(place % 2)
        self._put(_MARGIN, y, _NUMBER, _LINE, str(line.number), size=6, align="R", border=1, fill=fill)
        self._put(_LEFT - _NAME - _SERIAL, y, _SERIAL, _LINE, student.serial_number, size=7, border=1, fill=fill)
        self._put(_LEFT - _NAME, y, _NAME, _LINE, student.name, size=8, border=1, fill=fill)
        for number, code in enumerate(line.codes):
            self._put(_LEFT + number * width, y, width, _LINE, code, size=7, align="C", border=1, fill=fill)

    def _foot(self) -> None:
        y = _HEIGHT - _MARGIN - 8
        legend = "; ".join(f"{code}  {meaning}" for code, meaning in self._sheet.legend)
        said = f"{legend}; " if legend else ""
        self._put(_MARGIN, y - 6, _WIDTH - 2 * _MARGIN, 4, f"{said}empty: not expected, or not over yet", size=7)
        self.pdf.line(_MARGIN + 30, y + 6, _MARGIN + 120, y + 6)
        self._put(_MARGIN, y + 2, 30, 4, "Signature", size=8)
        self.pdf.line(_MARGIN + 145, y + 6, _MARGIN + 200, y + 6)
        self._put(_MARGIN + 130, y + 2, 15, 4, "Date", size=8)

    def _put(  # noqa: PLR0913 (place, size, text and how it is written)
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        text: str,
        *,
        size: float,
        align: str = "L",
        border: Literal[0, 1] = 0,
        fill: bool = False,
    ) -> None:
        said = self._fitting(text, width - 1, size)
        self.pdf.set_xy(x, y)
        self.pdf.cell(width, height, said, align=align, border=border, fill=fill)

    def _fitting(self, text: str, width: float, size: float) -> str:
        """Choose the size at which a text fits, or cut it at its end; return what to write."""
        for smaller in (1.0, 0.85, 0.7):
            self.pdf.set_font(self._family, size=size * smaller)
            said = self._text(text)
            if self.pdf.get_string_width(said) <= width:
                return said
        # Cut in the order of reading, before letters take the order and forms in which they stand on paper.
        while text and self.pdf.get_string_width(said) > width:
            text = text[:-1]
            said = self._text(f"{text}.")
        return said

    def _text(self, text: str) -> str:
        found = _visible(text, self._has.__contains__)
        return "".join(char if char in self._has or char == " " else _UNKNOWN for char in found)


def _span(first: date, last: date) -> str:
    if first == last:
        return f"{first:%A} {first.isoformat()}"
    return f"{first:%a} {first.isoformat()} to {last:%a} {last.isoformat()}"
