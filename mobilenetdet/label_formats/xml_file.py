"""XML files of strangers: no entities, which can grow without end or read other files."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

from mobilenetdet.files.text import read_text

# Beyond it no picture reaches; sums of larger numbers are none.
_LARGEST = 1e9
# What XML has no place for, in no spelling: control characters, halves of characters.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str, what: str) -> str:
    """Returns a text that XML can hold.

    Args:
        text: such as the name of a picture.
        what: it is, for the message.

    Raises:
        ValueError: it has a character that XML has no place for; names it.
    """
    if found := _ILLEGAL.search(text):
        raise ValueError(
            f"{what} {text[:100]!r} holds {ascii(found[0])}, which XML has no place for; rename it"
        )
    return text


def read_xml(path: Path, root: str) -> ElementTree.Element:
    """Returns the root element of a file.

    Args:
        path: of the file.
        root: name that the root element must have.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no XML, has another root, or declares a document type, with which entities
            come; names the file.
    """
    text = read_text(path, "XML file")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError(f"{path} declares a document type, which may hide anything; remove it")
    try:
        element = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"{path} is no XML ({error}); write it again") from None
    if element.tag != root:
        raise ValueError(f"{path} holds <{element.tag[:60]}>, not <{root}>; is this its format?")
    return element


def number_in(value: str | None, what: str, source: str) -> float:
    """Returns a number out of an attribute or an element.

    Raises:
        ValueError: it is absent or no number; names source, what it is and the value.
    """
    try:
        number = float(value or "")
    except ValueError:
        number = math.nan
    if not abs(number) <= _LARGEST:
        raise ValueError(f"{source}: {what} is {value and value[:20]!r}; it must be a number")
    return number
