"""CSV that a spreadsheet shows and never executes."""

import csv
import io
from collections.abc import Iterable, Sequence

_BOM = "\ufeff"
# What a spreadsheet takes for the start of a formula; the wide forms are what East Asian keyboards write.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def guard(cell: str) -> str:
    """Return the cell so that no spreadsheet runs it: an apostrophe comes before what looks like a formula.

    Also before one that begins with such an apostrophe already: `unguard` gives back exactly what there was.
    """
    return f"'{cell}" if cell.lstrip("'").startswith(_FORMULA_STARTS) else cell


def unguard(cell: str) -> str:
    """Return the cell as it was before `guard`."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA_STARTS) else cell


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[str]], *, bom: bool = False) -> bytes:
    """Return a CSV file in UTF-8 with every cell guarded.

    With `bom` it starts with the mark by which Excel recognises UTF-8.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([guard(cell) for cell in header])
    writer.writerows([guard(cell) for cell in row] for row in rows)
    return ((_BOM if bom else "") + text.getvalue()).encode()
