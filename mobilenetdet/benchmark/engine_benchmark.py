"""Engines timed by turns, each in a process of its own, with the machine's sgemm among them."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.benchmark.engine_names import NamedEngine, engine_names
from mobilenetdet.benchmark.engine_process import EngineError, EngineProcess
from mobilenetdet.benchmark.engine_server import SGEMM_SIDE, TOTAL, Times
from mobilenetdet.benchmark.timed_files import EngineFile
from mobilenetdet.deploy.export_plan import Report, no_report

# A median and its tenth slowest are worth something from so many runs on.
MIN_RUNS = 50
# Runs of an engine before the next one has its turn, and untimed ones before them: the caches hold
# what the others have left.
_RUNS_A_TURN, _WARM_UP = 5, 2
# Seconds of pause before a turn: threads of the engine before wait for more work, and keep a core
# busy for a while.
_PAUSE_S = 0.1
# Untimed runs after loading: libraries choose their kernels and buffers in the first ones.
_FIRST_RUNS = 5


@dataclass(frozen=True)
class Spread:
    """Times of many runs, milliseconds."""

    median: float
    p90: float
    min: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Spread:
        """Sums up the times of some runs.

        Example: 1, 2, 3, 4 and 10 have the median 3, the 90th percentile 7.6 and the minimum 1.
        """
        median, p90 = np.percentile(milliseconds, (50, 90))
        return cls(float(median), float(p90), float(min(milliseconds)))


@dataclass(frozen=True)
class EngineResult:
    """What was measured of one engine.

    Attributes:
        name: see `engine_names`.
        format: see `EngineFile`.
        precision: of its network.
        parts: "network", "detector".
        engine: what ran it, with its version.
        source: the file or run.
        image_size: height and width of the input, pixels.
        megabytes: of its files.
        milliseconds: by stage, and "total" of all; "network" has suppression in it where
            "suppression" is absent.
        peak_megabytes: largest resident memory of its process before AP was measured.
        sgemm_gigaflops: of the machine in the turns between; None if that failed.
        frames_per_second: of a whole video; None without one.
        ap: KITTI's AP, see `AveragePrecision.to_dict`; None where it was not measured.
        mean_ap: mean R40 over the classes, moderate, percent.
        seen: how many of the frames for AP were trained on.
        foreign: whether it is a network of another program, timed up to its outputs.
    """

    name: str
    format: str
    precision: str
    parts: str
    engine: str
    source: str
    image_size: tuple[int, int]
    megabytes: float
    milliseconds: dict[str, Spread]
    peak_megabytes: float
    sgemm_gigaflops: float | None
    frames_per_second: float | None = None
    ap: dict[str, Any] | None = None
    mean_ap: float | None = None
    seen: str = ""
    foreign: bool = False


@dataclass(frozen=True)
class Conditions:
    """How engines are timed.

    Attributes:
        pictures: encoded files, taken in turns.
        num_threads: cores and threads of each engine.
        runs: timed runs of each, `MIN_RUNS` or more to be worth something.
        video: a video or a folder of pictures; None for none.
        max_video_frames: of it at most so many.
        records_dir: AP is measured on their validation split; None for no AP.
    """

    pictures: Sequence[Path]
    num_threads: int
    runs: int = MIN_RUNS
    video: Path | None = None
    max_video_frames: int = 100
    records_dir: Path | None = None


@dataclass
class _Running:
    """An engine in its process, what is known of it so far, and what it is called."""

    file: EngineFile
    process: EngineProcess
    facts: dict[str, Any]
    name: str = ""
    times: Times = field(default_factory=lambda: defaultdict(list))


def benchmark_engines(
    files: Sequence[EngineFile], conditions: Conditions, report: Report = no_report
) -> tuple[list[EngineResult], list[str]]:
    """Times engines, those of one input size by turns, and measures all else of each.

    Args:
        files: see `timed_files.py`.
        conditions: how.
        report: called with a line before each part of the work.

    Returns:
        The results in the order of the files, grouped by input size, and the engines that are left
        out and why: a runtime that is not installed, a damaged file, a process that ended.

    Raises:
        ValueError: no engine is left.
    """
    results: list[EngineResult] = []
    left_out: list[str] = []
    for group in _by_size(files):
        results += _benchmark_group(group, conditions, left_out, report)
    if not results:
        raise ValueError("no engine is left to be timed: " + "; ".join(left_out or ["none given"]))
    return results, left_out


def _by_size(files: Sequence[EngineFile]) -> list[list[EngineFile]]:
    """Files of one size run side by side, and so do all whose size is not known."""
    groups: dict[Any, list[EngineFile]] = defaultdict(list)
    for file in files:
        groups[file.image_size].append(file)
    return list(groups.values())


def _benchmark_group(
    files: Sequence[EngineFile], conditions: Conditions, left_out: list[str], report: Report
) -> list[EngineResult]:
    with contextlib.ExitStack() as stack:
        running = _open_all(stack, files, conditions, left_out, report)
        if not running:
            return []
        sgemm = stack.enter_context(closing(EngineProcess(conditions.num_threads)))
        sgemm.ask("open", source=None)
        sizes = dict.fromkeys("x".join(map(str, each.facts["image_size"])) for each in running)
        report(f"timing {len(running)} engines at {', '.join(sizes)} by turns")
        running, products = _take_turns(running, sgemm, conditions.runs, left_out, report)
        sgemm.close()
        rate = 2e-6 * SGEMM_SIDE**3 / Spread.of(products).median if products else None
        results = []
        for engine in running:
            with _failures_told(engine.name, left_out), closing(engine.process):
                results.append(_measure(engine, rate, conditions, report))
        return results


def _open_all(
    stack: contextlib.ExitStack,
    files: Sequence[EngineFile],
    conditions: Conditions,
    left_out: list[str],
    report: Report,
) -> list[_Running]:
    running = []
    pictures = [str(path) for path in conditions.pictures]
    for file in files:
        report(f"loading {file.source} ({file.format})")
        with _failures_told(f"{file.format} {file.source}", left_out):
            process = stack.enter_context(closing(EngineProcess(conditions.num_threads)))
            facts = process.ask(
                "open",
                source=file.source,
                foreign=file.foreign,
                weights=file.weights,
                pictures=pictures,
                size=file.image_size if file.format == "keras" else None,
            )
            process.ask("time", runs=1, warm_up=_FIRST_RUNS)
            running.append(_Running(file, process, facts))
    named = [NamedEngine(e.file.format, e.file.source, e.facts, e.file.foreign) for e in running]
    for engine, name in zip(running, engine_names(named), strict=True):
        engine.name = name
    return running


def _take_turns(
    running: Sequence[_Running],
    sgemm: EngineProcess,
    runs: int,
    left_out: list[str],
    report: Report,
) -> tuple[list[_Running], list[float]]:
    """Times all engines; returns those that lasted, and the times of sgemm, none if it failed."""
    alive, products, sgemm_lasts = list(running), [], True
    for start in range(0, runs, _RUNS_A_TURN):
        count = min(_RUNS_A_TURN, runs - start)
        if sgemm_lasts:
            sgemm_lasts = False
            with _failures_told("sgemm", left_out):
                products += _time(sgemm, count)[TOTAL]
                sgemm_lasts = True
        # Another one begins each time, so that none always follows the same.
        first = (start // _RUNS_A_TURN) % max(1, len(alive))
        for engine in [*alive[first:], *alive[:first]]:
            lasted = False
            with _failures_told(engine.name, left_out):
                for stage, times in _time(engine.process, count).items():
                    engine.times[stage] += times
                lasted = True
            if not lasted:
                alive = [each for each in alive if each is not engine]
        report(f"{start + count} of {runs} runs")
    return alive, products


def _time(process: EngineProcess, runs: int) -> Times:
    """Times runs of one process after a pause of `_PAUSE_S`."""
    time.sleep(_PAUSE_S)
    return process.ask("time", runs=runs, warm_up=_WARM_UP)["times"]


def _measure(
    engine: _Running, sgemm_gigaflops: float | None, conditions: Conditions, report: Report
) -> EngineResult:
    """Finishes one engine: memory, video, and AP at the end, since that needs other libraries."""
    facts, process = engine.facts, engine.process
    rate, more = None, {}
    peak = process.ask("memory")["peak_megabytes"]  # of one picture at once, as the times are
    if conditions.video is not None and not engine.file.foreign:
        report(f"{engine.name}: {conditions.video}")
        limit = conditions.max_video_frames
        seen = process.ask("video", path=str(conditions.video), max_frames=limit)
        rate = seen["frames"] / seen["seconds"]
    if conditions.records_dir is not None and not engine.file.foreign:
        report(f"{engine.name}: AP on {conditions.records_dir}")
        found = process.ask("ap", records_dir=str(conditions.records_dir))
        more = {"ap": found["ap"], "mean_ap": found["mean"], "seen": found["seen"]}
    stages = itertools.chain(facts["stages"], [TOTAL])
    return EngineResult(
        name=engine.name,
        format=engine.file.format,
        precision=facts["precision"],
        parts=facts["parts"],
        engine=facts["engine"],
        source=engine.file.source,
        image_size=tuple(facts["image_size"]),
        megabytes=engine.file.megabytes,
        milliseconds={stage: Spread.of(engine.times[stage]) for stage in stages},
        peak_megabytes=peak,
        sgemm_gigaflops=sgemm_gigaflops,
        frames_per_second=rate,
        foreign=engine.file.foreign,
        **more,
    )


@contextlib.contextmanager
def _failures_told(name: str, left_out: list[str]) -> Iterator[None]:
    """Lists an engine that fails in the `with` block among those that are left out."""
    try:
        yield
    except EngineError as error:
        left_out.append(f"{name}: {error}")
