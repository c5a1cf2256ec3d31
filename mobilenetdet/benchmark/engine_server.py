"""A detector, or sgemm, in a process of its own: what runs there.

Requests and answers are lines of JSON on standard input and output, whose other end is
`engine_process.py`. What libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mobilenetdet.boxes.numpy_postprocess import NumpyPostprocess
from mobilenetdet.inference.exported import is_exported
from mobilenetdet.inference.exported_runtime import ExportedRuntime
from mobilenetdet.inference.loaded_detector import LoadedDetector, load_detector, to_detections
from mobilenetdet.inference.predict import detect_ahead
from mobilenetdet.inference.runtimes import RawDetections
from mobilenetdet.media.find import find_files
from mobilenetdet.media.sources import read_photo, read_pictures
from mobilenetdet.system.quiet import import_tensorflow_quietly

# Parts of a detection, in their order. A file that ends at boxes suppresses inside of its network.
STAGES = ("decode", "letterbox", "network", "suppression")
# All of them together; the only figure of sgemm.
TOTAL = "total"
# Seconds between two looks for the parent.
_LOOK_EVERY = 0.5
# Side of the matrices whose product says how fast the machine is.
SGEMM_SIDE = 2048

Times = dict[str, list[float]]


class Engine(Protocol):
    """What is timed."""

    def describe(self) -> dict[str, Any]:
        """Returns what it is, ready for JSON."""
        ...

    def run(self) -> dict[str, float]:
        """Runs once; returns the milliseconds of each part, and of all as `TOTAL`."""
        ...


class DetectorEngine:
    """A detector on a few pictures, one after the other, from encoded files to boxes in pixels."""

    def __init__(
        self, source: str, weights: str | None, pictures: Sequence[str], size: Sequence[int] | None
    ) -> None:
        """Loads it.

        Args:
            source: run directory, name of weights that ship, or exported file.
            weights: of a run; by default its best.
            pictures: files.
            size: height and width of the input of a run, pixels; by default its own.

        Raises:
            FileNotFoundError, ValueError: see `load_detector`.
        """
        if not is_exported(source):
            import_tensorflow_quietly()
        sides = ("data.image_height", "data.image_width")
        overrides = dict(zip(sides, size, strict=True)) if size else None
        self.model: LoadedDetector = load_detector(source, weights=weights, overrides=overrides)
        self._pictures = cycle(pictures)
        self._infer, self._find = _parts_of(self.model)

    def describe(self) -> dict[str, Any]:
        """Returns engine, parts, precision, run, size of the input and the parts told apart."""
        runtime = self.model.runtime
        of_file = isinstance(runtime, ExportedRuntime)
        return {
            "engine": self.model.engine,
            "parts": runtime.info.parts if of_file else "detector",
            "precision": runtime.info.precision if of_file else self.model.config.train.precision,
            "run": runtime.info.source if of_file else Path(self.model.source).name,
            "image_size": list(self.model.image_size),
            "stages": [*STAGES[:3], *([STAGES[3]] if self._find is not None else [])],
        }

    def run(self) -> dict[str, float]:
        """Detects in the next picture; see `Engine.run`."""
        marks = [time.perf_counter()]
        image = read_photo(next(self._pictures))
        marks.append(time.perf_counter())
        fitted, letterbox = self.model.letterbox(image)
        marks.append(time.perf_counter())
        outputs = self._infer(fitted[None])
        if self._find is None:
            to_detections(outputs, letterbox.to_array()[None], self.model.classes)
            marks.append(time.perf_counter())
        else:
            marks.append(time.perf_counter())
            found = self._find(outputs)
            to_detections(found, letterbox.to_array()[None], self.model.classes)
            marks.append(time.perf_counter())
        times = 1e3 * np.diff(marks)
        parts = dict(zip(STAGES[: len(times)], times.tolist(), strict=True))
        return {**parts, TOTAL: float(times.sum())}


def _parts_of(
    model: LoadedDetector,
) -> tuple[Callable[[np.ndarray], Any], Callable[[Any], RawDetections] | None]:
    """Network and suppression of a detector; None where one graph or one call does both."""
    runtime = model.runtime
    if not isinstance(runtime, ExportedRuntime) or runtime.info.parts != "network":
        return runtime.run, None
    if runtime.info.postprocess.mirror:  # two runs of the network
        return runtime.run, None
    postprocess = NumpyPostprocess(runtime.info, runtime.info.postprocess)
    return partial(runtime.infer, copy=False), lambda outputs: RawDetections(
        *(values[None] for values in postprocess(outputs))
    )


class SgemmEngine:
    """The product of two float32 matrices by numpy, the measure of a machine's arithmetic."""

    def __init__(self) -> None:
        """Draws the matrices, [SGEMM_SIDE, SGEMM_SIDE]."""
        rng = np.random.default_rng(0)
        self._pair = [rng.random((SGEMM_SIDE, SGEMM_SIDE), np.float32) for _ in range(2)]

    def describe(self) -> dict[str, Any]:
        """Returns the version of numpy."""
        return {"engine": f"numpy {np.__version__}"}

    def run(self) -> dict[str, float]:
        """Multiplies; see `Engine.run`."""
        start = time.perf_counter()
        np.matmul(*self._pair)
        return {TOTAL: 1e3 * (time.perf_counter() - start)}


class Server:
    """Answers the requests of a parent, one engine in its life."""

    def __init__(self) -> None:
        """Begins without an engine."""
        self._engine: Engine | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Does what is asked under "do", with the other entries as arguments.

        Raises:
            ValueError: there is no such request.
        """
        values = dict(request)
        what = values.pop("do")
        known = {
            "open": self.open, "time": self.time, "video": self.video, "ap": self.measure_ap,
            "memory": self.memory,
        }  # fmt: skip
        if what not in known:
            raise ValueError(f"request {what!r}; there are {', '.join(known)}")
        return known[what](**values)

    def open(self, source: str | None, *, foreign: bool = False, **options: Any) -> dict[str, Any]:
        """Loads a detector, a network of another program, or sgemm where the source is None."""
        if source is None:
            self._engine = SgemmEngine()
        elif foreign:
            # Not at the top: few ask for it.
            from mobilenetdet.benchmark.foreign_engine import ForeignEngine

            self._engine = ForeignEngine(source, options["pictures"])
        else:
            self._engine = DetectorEngine(source, **options)
        return self._engine.describe()

    def time(self, runs: int, warm_up: int) -> dict[str, Times]:
        """Returns the milliseconds of each part of each run after the warm-up, under "times"."""
        for _ in range(warm_up):
            self._engine.run()
        found = [self._engine.run() for _ in range(runs)]
        return {"times": {name: [each[name] for each in found] for name in found[0]}}

    def video(self, path: str, max_frames: int) -> dict[str, float]:
        """Returns frames and seconds of a whole video, or of a folder of pictures."""
        model = self._engine.model
        model.run_several_at_once()  # as predict does
        start, count = time.perf_counter(), 0
        pictures = islice(read_pictures(find_files([path])), max_frames)
        for _ in detect_ahead(model, pictures):
            count += 1
        return {"frames": count, "seconds": time.perf_counter() - start}

    def memory(self) -> dict[str, float]:
        """Returns the largest resident memory of this process until now, MB."""
        return {"peak_megabytes": peak_megabytes()}

    def measure_ap(self, records_dir: str) -> dict[str, Any]:
        """Returns the AP on the validation split, and how much of it was trained on."""
        # Not at the top: it imports TensorFlow, whose memory is not the engine's.
        from mobilenetdet.evaluation.evaluate import evaluate_split

        evaluation = evaluate_split(self._engine.model, records_dir)
        return {
            "split": evaluation.split,
            "seen": str(evaluation.seen),
            "ap": evaluation.ap.to_dict(),
            "mean": evaluation.ap.mean.moderate.r40,
        }


def peak_megabytes() -> float:
    """Returns the largest resident memory of this process until now, MB.

    Linux counts in `ru_maxrss` what the parent had before this program was started in its place.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Answers requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    server = Server()
    for line in sys.stdin:
        try:
            answer = server.answer(json.loads(line))
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            answer = {"error": str(error) or type(error).__name__}
        print(json.dumps(answer), file=answers, flush=True)


def _end_with_parent(parent: int) -> None:
    """Ends this process when its parent is gone: between requests it would notice by itself."""
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    main()
