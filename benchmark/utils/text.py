"""Text on its way out: what others wrote (names, labels, messages, file names) can steer no terminal and no sheet."""

from __future__ import annotations

import json
import re
from typing import Any

_STEERING = [
    *range(0x20),  # C0: escape sequences begin with ESC
    *range(0x7F, 0xA0),  # DEL and C1, where one character begins a sequence
    0x061C,
    *range(0x200E, 0x2010),
    *range(0x2028, 0x202F),  # line ends that are not "\n", and what turns the direction of writing
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),  # halves of a character, which no file can hold
]
_ESCAPES = {code: f"\\u{code:04x}" for code in _STEERING}
_LINES = {code: escape for code, escape in _ESCAPES.items() if code != ord("\n")}
_REMOVED = dict.fromkeys(code for code in _STEERING if code not in (0x09, 0x0A, 0x0D))
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])|\x9b[0-?]*[ -/]*[@-~]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return `text` with every character that steers a terminal, or hides what is written, as its escape.

    Those are the control characters, marks that turn the direction of writing, separators of lines, and lone
    surrogates. With `lines`, "\n" stays; otherwise the result is one line.

    >>> visible("sd\x1b[2Jtext"), visible("Glöckchen 🔔")
    ('sd\\u001b[2Jtext', 'Glöckchen 🔔')
    """
    if text.isprintable():
        return text
    return text.translate(_LINES if lines else _ESCAPES)


def plain(text: str) -> str:
    r"""Return `text` in one line, without a terminal's escape sequences and the characters that `visible` escapes.

    >>> plain("sd\x1b[31m-text\x1b[0m\x00"), plain("two\nlines")
    ('sd-text', 'two lines')
    """
    if text.isprintable():
        return text
    return " ".join(_SEQUENCES.sub("", text).translate(_REMOVED).split())


def csv_cell(value: Any) -> Any:
    """Return a cell of a CSV file: a text that a spreadsheet would run as a formula begins with an apostrophe.

    >>> csv_cell("=HYPERLINK(1)"), csv_cell("sd-text"), csv_cell(-1.5)
    ("'=HYPERLINK(1)", 'sd-text', -1.5)
    """
    if not isinstance(value, str):
        return value
    return visible(f"'{value}" if value.startswith(_FORMULA) else value)


def json_text(value: Any) -> str:
    r"""Return `value` as strict JSON with an indent of two, steering characters as escapes, "\n" at the end.

    Raises:
        ValueError: `value` contains NaN or an infinite number.
    """
    # An escape within a JSON text stands for the character: what is read is what was written.
    return visible(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False), lines=True) + "\n"
