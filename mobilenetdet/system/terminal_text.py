"""Text out of data, made safe to print: names of files, types and layers may hold anything."""

from __future__ import annotations

import unicodedata

# They reverse what is printed behind them, so that a name looks like another.
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_control(mark: str) -> bool:
    """Returns whether a character steers a terminal instead of being shown.

    Control characters (of which ESC moves the cursor, clears the screen and more) and those that
    change the direction of writing.
    """
    return mark in _DIRECTIONS or unicodedata.category(mark) == "Cc"


def printable(text: str) -> str:
    r"""Spells control characters out; line breaks stay.

    Example: "a\x1b[2Jb" is "a\\x1b[2Jb", eight characters that only look odd.
    """
    return "".join(
        ascii(mark)[1:-1] if mark != "\n" and (is_control(mark) or _is_half(mark)) else mark
        for mark in text
    )


def one_line(text: str) -> str:
    r"""Spells line breaks out as well, for text that is a name or is made of names.

    Example: "a\nerror: b" is one line, "a\\nerror: b".
    """
    return printable(text).replace("\n", r"\n")


def _is_half(mark: str) -> bool:
    """Whether this stands for a byte of a file name that is no UTF-8; it cannot be printed."""
    return "\ud800" <= mark <= "\udfff"
