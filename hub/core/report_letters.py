"""Names in scripts whose letters change with their neighbours, for print where nothing else shapes them.

Arabic letters are joined through Unicode's presentation forms. Scripts that need more than that (`UNSHAPED`) are
printed letter by letter: readable, but not as they are written by hand.
"""

import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

UNSHAPED = frozenset({
    "BENGALI", "DEVANAGARI", "GUJARATI", "GURMUKHI", "KANNADA", "KHMER", "MALAYALAM", "MONGOLIAN", "MYANMAR", "NKO",
    "ORIYA", "SINHALA", "SYRIAC", "TAMIL", "TELUGU", "THAANA", "TIBETAN",
})  # fmt: skip
_FIRST_FORM, _LAST_FORM = 0xFB50, 0xFEFC
_STRETCH = "\u0640"
_BREAKS = "\u200c"
"""Zero width non-joiner: whoever writes it wants the letters apart."""
_LAM = "\u0644"


def printable(text: str) -> str:
    """Return the text composed, without what steers and is not seen."""
    return "".join(
        char
        for char in unicodedata.normalize("NFC", text)
        if char == _BREAKS or unicodedata.category(char) not in {"Cf", "Cc", "Cn", "Co", "Cs"}
    )


def script_of(char: str) -> str:
    """Return the first word of the letter's name in Unicode, which for letters is their script."""
    return unicodedata.name(char, "UNNAMED").split()[0]


def right_to_left(text: str) -> bool:
    """Whether any of it is written from right to left."""
    return any(unicodedata.bidirectional(char) in {"R", "AL"} for char in text)


def joined(text: str, has: Callable[[str], bool]) -> str:
    """Return the text, still in the order of reading, with each Arabic letter in the form its neighbours ask for.

    `has` tells whether a letter can be printed: one whose form cannot stays as it is.
    """
    letters = list(_with_ligatures(text, has))
    found = []
    for place, char in enumerate(letters):
        before = _neighbour(letters, place, -1)
        after = _neighbour(letters, place, 1)
        behind = _joins_on(before) and _joins_back(char)
        ahead = _joins_on(char) and _joins_back(after)
        name = {(True, True): "medial", (True, False): "final", (False, True): "initial"}.get(
            (behind, ahead), "isolated"
        )
        form = _forms().get(char, {}).get(name, char)
        found.append(form if has(form) else char)
    return "".join(found).replace(_BREAKS, "")


def _with_ligatures(text: str, has: Callable[[str], bool]) -> Iterator[str]:
    """Yield the letters; lam and an alef after it as one."""
    place = 0
    while place < len(text):
        pair = text[place : place + 2]
        forms = _forms().get(pair, {}) if pair[:1] == _LAM else {}
        if len(pair) > 1 and forms and all(has(form) for form in forms.values()):
            yield pair
            place += 2
        else:
            yield text[place]
            place += 1


def _neighbour(letters: list[str], place: int, step: int) -> str:
    """Return the next letter in a direction, over marks that stand above and below; "" at the end."""
    place += step
    while 0 <= place < len(letters) and unicodedata.category(letters[place][0]) == "Mn":
        place += step
    return letters[place] if 0 <= place < len(letters) else ""


def _joins_on(char: str) -> bool:
    return char == _STRETCH or "initial" in _forms().get(char, {})


def _joins_back(char: str) -> bool:
    return char == _STRETCH or "final" in _forms().get(char, {})


@cache
def _forms() -> dict[str, dict[str, str]]:
    """Return the forms by letter (or by lam with an alef), as Unicode names what each presentation form stands for."""
    found: dict[str, dict[str, str]] = {}
    for code in range(_FIRST_FORM, _LAST_FORM + 1):
        name, *parts = unicodedata.decomposition(chr(code)).split() or [""]
        letters = "".join(chr(int(part, 16)) for part in parts)
        if name.strip("<>") in {"isolated", "initial", "medial", "final"} and _is_letter(letters):
            found.setdefault(letters, {}).setdefault(name.strip("<>"), chr(code))
    return found


def _is_letter(letters: str) -> bool:
    alef = {"\u0622", "\u0623", "\u0625", "\u0627"}
    return len(letters) == 1 or (len(letters) == len("لا") and letters[0] == _LAM and letters[1] in alef)
