"""What engines are called in a table and a picture: short, and no two the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple


class NamedEngine(NamedTuple):
    """An engine to be named.

    Attributes:
        format: see `timed_files.EngineFile`.
        source: the file, or the run.
        facts: what its process says of it: precision, parts and the run that it comes from.
        foreign: whether it is a network of another program, which goes by its file.
    """

    format: str
    source: str
    facts: Mapping[str, Any]
    foreign: bool = False


def engine_names(engines: Sequence[NamedEngine]) -> list[str]:
    """Returns format, precision and, where they are not the network, the parts of each engine.

    The run is added where engines of several runs are timed; where names are still the same, as
    much of the end of the path as tells them apart.

    Example: "litert int8 ssd_fpn_050".
    """
    runs = {each.facts.get("run") for each in engines if not each.foreign}
    names = [_name(each, with_run=len(runs) > 1) for each in engines]
    paths = [PurePath(each.source).parts for each in engines]
    for name in dict.fromkeys(names):
        same = [index for index, each in enumerate(names) if each == name]
        if len(same) > 1:
            for index, tail in zip(same, _tails([paths[i] for i in same]), strict=True):
                names[index] = f"{name} {tail}"
    return names


def _name(engine: NamedEngine, *, with_run: bool) -> str:
    if engine.foreign:
        return f"{engine.format} {PurePath(engine.source).stem}"
    facts = engine.facts
    whole = "" if facts["parts"] == "network" or engine.format == "keras" else " whole"
    run = f" {facts['run']}" if with_run and facts.get("run") else ""
    return f"{engine.format} {facts['precision']}{whole}{run}"


def _tails(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """The shortest ends of paths that differ from each other; all of a path that is there twice."""
    longest = max(map(len, paths))
    for length in range(1, longest + 1):
        tails = ["/".join(path[-length:]) for path in paths]
        if len(set(tails)) == len(paths):
            return tails
    return ["/".join(path) for path in paths]
