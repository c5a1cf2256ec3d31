"""Time the evaluation and measure its memory."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.benchmark.made_up_detections import make_detections
from mobilenetdet.cli.options import parse
from mobilenetdet.evaluation.coco_ap import coco_metrics
from mobilenetdet.files.text import read_text
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.labels import KittiObjects, write_objects
from mobilenetdet.kitti.layout import parse_frame_ids
from mobilenetdet.kitti.results import read_label_files, read_result_set


@dataclass(frozen=True)
class Options:
    """Time the official evaluation over a folder of labels with made-up detections.

    Each frame gets a detection near each of its objects and random ones up to the number asked
    for. Prints wall-clock and CPU seconds, the best of the repetitions. Run it on a machine that
    does nothing else.
    """

    # Folder of the label files NNNNNN.txt.
    label_dir: Path = Path("data/KITTI/training/label_2")
    # List of the frames to score, one id a line; by default all that have a label.
    frames: Path | None = None
    # Detections in each frame.
    num_detections: int = 64
    # Times that each measurement is repeated.
    repeats: int = 3
    # Times COCO's evaluation, too, and the error analysis.
    all: bool = False

    def __post_init__(self) -> None:
        """Checks the counts."""
        for name in ("num_detections", "repeats"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")


def main(argv: list[str] | None = None) -> int:
    """Times the evaluation and prints seconds and memory; returns 0.

    Raises:
        FileNotFoundError: there are no labels.
    """
    options = parse(Options, argv)
    frame_ids = None
    if options.frames is not None:
        frame_ids = parse_frame_ids(read_text(options.frames), str(options.frames))
    labels = read_label_files(options.label_dir, frame_ids)
    rng = np.random.default_rng(0)
    detections = [make_detections(frame, options.num_detections, rng) for frame in labels]
    print(
        f"{len(labels):,} frames, {sum(map(len, detections)):,} detections, 3 classes, "
        f"3 difficulties; best of {options.repeats}"
    )
    print(f"{'':34}{'wall s':>9}{'CPU s':>9}")
    for share in (4, 2, 1):
        part = slice(0, max(1, len(labels) // share))
        name = f"AP from arrays, {len(labels[part]):,} frames"
        _time(name, lambda part=part: evaluate_detections(labels[part], detections[part]), options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _time_files(labels, detections, options)
    if options.all:
        _time("error analysis", lambda: analyse(labels, detections), options)
        name = f"COCO AP, {coco_metrics(labels[:1], detections[:1])['library']}"
        _time(name, lambda: coco_metrics(labels, detections), options)
    # In KiB on Linux.
    print(f"memory of the process at its highest, AP from arrays: {before / 1024:,.0f} MiB")
    return 0


def _time_files(
    labels: list[KittiObjects], detections: list[KittiObjects], options: Options
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        label_dir, result_dir = Path(folder, "label_2"), Path(folder, "data")
        for target, frames in ((label_dir, labels), (result_dir, detections)):
            for index, frame in enumerate(frames):
                write_objects(target / f"{index:06d}.txt", frame)

        def score_files() -> None:
            """Reads both folders and computes the AP."""
            results = read_result_set(label_dir, result_dir)
            evaluate_detections(results.labels, results.detections)

        _time("AP from files", score_files, options)


def _time(name: str, run: Callable[[], object], options: Options) -> None:
    wall, cpu = [], []
    for _ in range(options.repeats):
        started, used = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    print(f"{name:34}{min(wall):9.2f}{min(cpu):9.2f}", flush=True)
