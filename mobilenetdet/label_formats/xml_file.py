"""XML files of strangers: no entities, which can grow without end or read other files."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from mobilenetdet.text_file import read_text


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
    if not math.isfinite(number):
        raise ValueError(f"{source}: {what} is {value!r}; it must be a number")
    return number
