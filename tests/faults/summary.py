"""Counts by file of what the tests of faults tried and what held, at the end of a session."""

from collections import Counter
from pathlib import Path

FOLDER = "tests/faults/"


def pytest_terminal_summary(terminalreporter):
    """Prints a line a file: `kills: 64 tried, 64 held`."""
    tried, held, skipped = Counter(), Counter(), Counter()
    for outcome, counts in (("passed", held), ("failed", None), ("error", None)):
        for report in terminalreporter.stats.get(outcome, ()):
            if FOLDER in report.nodeid:
                tried[group_of(report)] += 1
                if counts is not None:
                    counts[group_of(report)] += 1
    for report in terminalreporter.stats.get("skipped", ()):
        if FOLDER in report.nodeid:
            skipped[group_of(report)] += 1
    for group in sorted(tried):
        more = f", {skipped[group]} not possible here" if skipped[group] else ""
        terminalreporter.write_line(f"{group}: {tried[group]} tried, {held[group]} held{more}")


def group_of(report):
    return Path(report.nodeid.split("::")[0]).stem.removeprefix("test_").replace("_", " ")
