"""Names out of data that would lead out of a folder, and names that are the same."""

import os
from pathlib import Path

import pytest

from mobilenetdet.files.names import (
    check_file_name,
    refuse_other_than_utf8,
    unique_name,
    utf8_text,
)

PATHS = ["../escaped", "/etc/passwd", "a/b", "a\\b", "..", ".", ".hidden", "a\0b", "a\nb", "", " "]


@pytest.mark.parametrize("name", [*PATHS, "x" * 201, "é" * 101])
def test_what_is_not_one_component_is_refused(name):
    with pytest.raises(ValueError, match=r"^list\.txt:3: .* is no frame id: it "):
        check_file_name(name, "list.txt:3", "frame id")


@pytest.mark.parametrize(
    "name", ["000021", "with space", "a..b", "名前", "Aufnahme 1.2", "narrow\u202fspace", "x" * 200]
)
def test_any_other_name_is_fine(name):
    assert check_file_name(name, "here") == name


def test_a_counter_makes_a_name_unique_whatever_its_case():
    assert unique_name("Road", set()) == "Road"
    assert unique_name("Road", {"road", "road_2"}) == "Road_3"


def test_bytes_that_are_no_utf8_are_spelled():
    odd = os.fsdecode(b"runs/a\xff")
    assert utf8_text(odd) == r"runs/a\xff" and utf8_text("Grün") == "Grün"
    refuse_other_than_utf8(Path("runs/Grün"))
    with pytest.raises(ValueError, match=r"^runs/a\\xff: this name is no UTF-8 text; name another"):
        refuse_other_than_utf8(Path(odd))
