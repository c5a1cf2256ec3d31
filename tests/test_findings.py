"""The shape of counted warnings, and what --strict makes of them."""

import pytest

from mobilenetdet.findings import count_named, counted, report_findings


def test_one_is_no_plural():
    counts = [counted(count, "frame") for count in (0, 1, 7481)]
    assert counts == ["0 frames", "1 frame", "7,481 frames"]


def test_three_are_named_and_all_are_counted():
    assert count_named(["a"], 3, "are bad") == "1 of 3 are bad: a"
    names = [f"{index:06d}" for index in range(1200)]
    found = count_named(names, 7481, "frames have no label")
    assert found == "1,200 of 7,481 frames have no label: 000000, 000001, 000002"


def test_findings_are_warnings_or_errors():
    said: list[str] = []
    report_findings(["one", "two"], strict=False, emit=said.append)
    assert said == ["warning: one", "warning: two"]
    report_findings([], strict=True, emit=said.append)
    with pytest.raises(ValueError, match="strict.*\n  one\n  two$"):
        report_findings(["one", "two"], strict=True, emit=said.append)
    assert len(said) == 2
