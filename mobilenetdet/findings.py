"""What looks wrong and stops nothing: counted, named, and an error where --strict asks for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mobilenetdet.system.terminal_text import one_line

_MAX_NAMED = 3


def counted(count: int, thing: str) -> str:
    """Says how many there are of a thing.

    Example: "1 frame", "0 frames", "7,481 frames".
    """
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def count_named(names: Sequence[str], total: int, what: str) -> str:
    """Describes some of many things, with the first three by name.

    Args:
        names: of those that are meant, at least one.
        total: how many there are in all.
        what: the things, and what is the matter with them.

    Example:
        `count_named(["000003"], 60, "frames have no label")` is
        "1 of 60 frames have no label: 000003".
    """
    return f"{len(names):,} of {total:,} {what}: {', '.join(map(one_line, names[:_MAX_NAMED]))}"


def refuse_findings(findings: Sequence[str]) -> None:
    """Refuses to go on if there is a finding.

    Raises:
        ValueError: there is one; names all of them.
    """
    if findings:
        raise ValueError(
            "nothing is done while there are warnings (strict):\n  " + "\n  ".join(findings)
        )


def report_findings(
    findings: Sequence[str], *, strict: bool, emit: Callable[[str], None] = print
) -> None:
    """Emits each finding as a warning.

    Args:
        findings: one line each.
        strict: refuses to go on if there is one.
        emit: takes a line.

    Raises:
        ValueError: there is one, and `strict`; names all of them.
    """
    if strict:
        refuse_findings(findings)
    for finding in findings:
        emit(f"warning: {finding}")
