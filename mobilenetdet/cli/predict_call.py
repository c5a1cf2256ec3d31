"""One call of predict, and what became of it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

import numpy as np

from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.cli.score_option import describe_scores
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.deploy.engines import Engine, describe_engine
from mobilenetdet.detections import Detections
from mobilenetdet.drawing import draw_detections
from mobilenetdet.findings import counted
from mobilenetdet.inference.fitting_size import FittingDetector
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.inference.predict import predict_files
from mobilenetdet.media import window
from mobilenetdet.media.address import Address
from mobilenetdet.media.live import LiveSource
from mobilenetdet.media.sources import Media, Picture, ReadOptions
from mobilenetdet.media.video import count_frames, is_video
from mobilenetdet.media.video_writer import describe_writer
from mobilenetdet.predictions.writer import PredictionWriter
from mobilenetdet.system.terminal_text import one_line

# Files that are named at the end; what is wrong with thousands is the same with most.
_MAX_NAMED = 50
# Ctrl-C, the end of a service or container, and that of a terminal or connection.
_INTERRUPTIONS = ("SIGINT", "SIGTERM", "SIGHUP")
# So long after one of them, seconds, the others are passed over.
_SECONDS_TO_END = 15.0
_ENDING = b"ending: what was detected is being written, which takes some seconds\n"


class PredictCall:
    """One call of predict, and what became of it."""

    def __init__(
        self,
        config: DetectionConfig,
        sources: Sequence[Media],
        names: Sequence[str],
        writer: PredictionWriter,
        *,
        read: ReadOptions,
        show: bool,
    ) -> None:
        """Takes all that it needs; nothing is done yet.

        Args:
            config: says how detections are counted.
            sources: what to detect in.
            names: of the sources.
            writer: is closed at the end.
            read: how sources are read.
            show: shows pictures in a window.
        """
        self.config, self.writer = config, writer
        self.sources, self.names = sources, names
        self.faults: dict[Media, str] = {}
        self.live: list[LiveSource] = []
        self.stop = threading.Event()
        self._read = read._replace(stop=self.stop, on_live=self.live.append)
        self._is_shown = show
        self.pictures = self.objects = 0

    def run(self, model: LoadedDetector | FittingDetector) -> None:
        """Detects in everything."""
        if any(map(is_live, self.sources)):
            _warm_up(model)  # what is compiled at the first frame would cost frames
        total = _total(self.sources)
        with (
            _interrupted_once(),
            _window(self._is_shown),
            frame_progress(total, "detecting") as progress,
            self.writer,
        ):

            def count(pictures: int, objects: int) -> None:
                """Keeps the counts, which an interruption would lose."""
                self.pictures, self.objects = pictures, objects
                progress(pictures)

            predict_files(
                model,
                self.sources,
                self.writer,
                on_fault=self.note,
                names=self.names,
                options=self._read,
                progress=count,
                show=self.show if self._is_shown else _show_nothing,
            )

    def note(self, source: Media, error: Exception) -> None:
        """Keeps what is wrong with a source; its name is said anyway."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.faults[source] = reason.removeprefix(f"{source}: ")

    def show(self, picture: Picture, found: Detections) -> None:
        """Shows a picture with what was found in it; ends the reading if the user does."""
        drawn = draw_detections(picture.image, found.above(self.writer.draw_score))
        if not window.show(drawn):
            self.stop.set()

    def tell(self, model: LoadedDetector | FittingDetector, engine: Engine) -> None:
        """Prints what was done, and what could not be read; where that is all, nothing else."""
        in_order = {each: self.faults[each] for each in self.sources if each in self.faults}
        fault = one_line(describe_faults(in_order, self.sources)) if in_order else ""
        if fault and not self.pictures and not self.live:
            print(fault, file=sys.stderr)
            return
        what = f"{counted(self.objects, 'object')} in {counted(self.pictures, 'picture')}"
        print(f"{self.writer.folder.path}: {what}, {describe_scores(self.config)}")
        if weaker := self.writer.weaker_in():
            print(f"weaker ones are in {', '.join(weaker)}, too; --score 0.5 leaves them out")
        for line in self.writer.videos.notes:
            print(one_line(line))
        if self.writer.videos.count:
            print(f"{counted(self.writer.videos.count, 'video')} written as {describe_writer()}")
        for each in self.live:
            print(f"{each.address}: {each.describe()}")
        if isinstance(model, FittingDetector):
            size = model.describe_sizes()
            model = model.first
        else:
            size = "{}x{}".format(*model.image_size)
        print(f"by {model.source} at {size}, {describe_engine(model, engine)}")
        if fault:
            print(fault, file=sys.stderr)


def describe_faults(faults: Mapping[Media, str], sources: Sequence[Media]) -> str:
    """Says which files could not be read, or not all of them, and why.

    Example: "2 of 40 pictures could not be read: a.jpg (its 7 bytes ...), b.png (...)".
    """
    what = "files could not be read to the end" if any(map(has_frames, sources)) else ""
    named = [f"{path} ({reason})" for path, reason in faults.items()]
    rest = len(named) - _MAX_NAMED
    more = [f"and {rest:,} more"] if rest > 0 else []
    return (
        f"{len(faults):,} of {len(sources):,} {what or 'pictures could not be read'}: "
        + ", ".join([*named[:_MAX_NAMED], *more])
    )


def is_live(source: Media) -> bool:
    """Returns whether a source is a camera or stream."""
    return isinstance(source, Address) and source.is_live


def has_frames(source: Media) -> bool:
    """Returns whether the pictures of a source are frames of a video."""
    return is_video(source) if isinstance(source, Path) else source.kind != "picture"


def _total(sources: Sequence[Media]) -> int | None:
    """How many pictures there are, as far as files say; None if nobody knows."""
    if any(isinstance(source, Address) and source.kind != "picture" for source in sources):
        return None
    return sum(
        count_frames(source) if isinstance(source, Path) and is_video(source) else 1
        for source in sources
    )


def _warm_up(model: LoadedDetector | FittingDetector) -> None:
    first = model.first if isinstance(model, FittingDetector) else model
    list(first.detect_images([np.zeros((*first.image_size, 3), np.uint8)]))


def _show_nothing(picture: Picture, found: Detections) -> None:
    """Shows no window."""


@contextlib.contextmanager
def _window(shown: bool) -> Iterator[None]:
    try:
        yield
    finally:
        if shown:
            window.close()


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """Takes the ends of services and of terminals as Ctrl-C, and the first of all these alone.

    What follows it for some seconds is passed over: it would break into the writing of the video,
    which is lost then. What is ignored, as under nohup, stays so.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in _INTERRUPTIONS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.getsignal(number)
    first = 0.0

    def interrupt(number: int, frame: FrameType | None) -> None:
        """Ends the work, unless it is ending already."""
        nonlocal first
        if first and time.monotonic() - first < _SECONDS_TO_END:
            os.write(2, _ENDING)  # what is printed here could be within another print
            return
        first = time.monotonic()
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
