"""Score any detector's result files by KITTI's rules."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mobilenetdet.analysis.advice import advise
from mobilenetdet.analysis.analyse import Analysis, analyse, format_analysis
from mobilenetdet.analysis.compared_run import find_result_files, read_compared
from mobilenetdet.analysis.frame_browser import BrowsedRun, browser_parts, pictured_frames
from mobilenetdet.analysis.match_overlays import draw_worst_frames
from mobilenetdet.cli.options import parse
from mobilenetdet.cli.output_file import check_output_file, output_file
from mobilenetdet.config.classes import EVALUATED_CLASSES, AllLimits, EvalTask
from mobilenetdet.evaluation.coco_ap import coco_metrics, format_coco
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import write_json
from mobilenetdet.findings import count_named, report_findings
from mobilenetdet.kitti.changed_rules import changed_rules
from mobilenetdet.kitti.layout import find_image
from mobilenetdet.kitti.metric_table import format_metrics
from mobilenetdet.kitti.result_checks import (
    check_convention,
    check_results,
    refuse_unknown_classes,
)
from mobilenetdet.kitti.results import (
    ResultSet,
    read_frame_ids,
    read_label_files,
    read_result_set,
    score_results,
)
from mobilenetdet.kitti.self_check import check_labels
from mobilenetdet.kitti.value_checks import InvertedBoxError
from mobilenetdet.records.encoded_image import decode_image


@dataclass(frozen=True)
class Options:
    """Score any detector's result files by KITTI's official 2D rules.

    Prints easy, moderate and hard AP of each class in both samplings of recall, R40 and R11. Before
    that it looks for what makes such a number wrong without any error: names
    that match nothing, missing files, boxes in another order or resolution.
    """

    # Folder of the label files NNNNNN.txt.
    label_dir: Path = Path("data/KITTI/training/label_2")
    # Folder of the result files NNNNNN.txt, 16 columns, the last of them the score; archives are
    # to be unpacked first.
    result_dir: Path | None = None
    # List of the frames to score, one id a line, such as data/KITTI/ImageSets/val.txt; by default
    # all that have a label. In frames without result file nothing is detected.
    frames: Path | None = None
    # Classes to score, and to take the mean over: any types of the labels.
    classes: tuple[str, ...] = EVALUATED_CLASSES
    # Other types that are scored as one of them, by type: Van Car Truck Car.
    class_map: dict[str, str] = field(default_factory=dict)
    # Types that absorb detections of a class without counting, by class: Car Van,Truck. A class
    # that is not named has KITTI's: Van for Car, Person_sitting for Pedestrian.
    neighbours: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Intersection over union that a hit must exceed, by class: Scooter 0.5 Bus 0.7. A class that is
    # not named has KITTI's, or else 0.7 for vehicles and 0.5 for the rest.
    min_overlaps: dict[str, float] = field(default_factory=dict)
    # Limits of easy, moderate and hard, by class: its name and, three times, lowest height in
    # pixels, highest occlusion (0 to 3), highest truncation. Default: 40 0 0.15 25 1 0.3 25 2 0.5.
    difficulties: dict[str, AllLimits] = field(default_factory=dict)
    # current: detections lower than a difficulty's minimum are ignored, since April 2017. pre2017:
    # they count, as in the figures of SqueezeDet's paper.
    protocol: Literal["current", "pre2017"] = "current"
    # File for the metrics, with all 41 precisions.
    json: Path | None = None
    # Folder for plots: precision-recall, AP of parts of the objects, scores, confusions.
    plots: Path | None = None
    # Prints the kinds of errors, what each costs in AP, and the AP by height, occlusion,
    # truncation and distance.
    errors: bool = False
    # File for all of that in one HTML page, with every frame to look at.
    report: Path | None = None
    # Folder of the images NNNNNN.png or .jpg, for the frames in the report.
    image_dir: Path | None = None
    # Measured run, or folder of result files, that the report shows beside.
    compare: Path | None = None
    # Prints COCO's AP, too.
    coco: bool = False
    # Replaces files of others that have the names of --json, --plots and --report.
    overwrite: bool = False
    # Ends without a figure if anything looks wrong.
    strict: bool = False
    # Scores the labels themselves instead of results and says what to expect of them.
    self_check: bool = False

    def task(self) -> EvalTask:
        """Returns the classes and how each is scored.

        Raises:
            ValueError: a name is no class or is used twice; names the option.
        """
        return EvalTask.of(
            self.classes,
            class_map=self.class_map,
            neighbours=self.neighbours,
            min_overlaps=self.min_overlaps,
            difficulties=self.difficulties,
        )


def main(argv: list[str] | None = None) -> int:
    """Checks, scores and writes; returns 0.

    Raises:
        FileExistsError: a file of another is in the way.
        FileNotFoundError: a folder or a label is missing.
        ValueError: a file is damaged, a class is nowhere, or with --strict anything looks wrong.
    """
    options = parse(Options, argv)
    task, frame_ids = options.task(), read_frame_ids(options.frames)
    for line in (*task.guesses("--min_overlaps"), *changed_rules(task.to_dict())):
        print(line)
    if options.self_check:
        labels = read_label_files(options.label_dir, frame_ids)
        for line in check_labels(labels, task=task, protocol=options.protocol):
            print(line)
        return 0
    if options.result_dir is None:
        raise ValueError("--result_dir is missing: the folder of the result files to score")
    _check_places(options)
    results = _read(options.label_dir, options.result_dir, frame_ids, task)
    refuse_unknown_classes(results, task)
    report_findings(_findings(results, task, options), strict=options.strict)
    _score(results, task, options)
    if options.errors or options.plots or options.report:
        _explain(results, task, options)
    return 0


def _check_places(options: Options) -> None:
    """Refuses before the work what would fail behind it."""
    for path in (options.json, options.report):
        if path is not None:
            check_output_file(path, overwrite=options.overwrite)
    if options.image_dir is not None and not options.image_dir.is_dir():
        raise FileNotFoundError(f"the folder of --image_dir, {options.image_dir}, does not exist")
    if options.compare is not None and options.report is None:
        raise ValueError("--compare shows other results in the report; give --report, too")
    if options.compare is not None:
        find_result_files(options.compare)


def _read(
    label_dir: Path, result_dir: Path, frame_ids: list[str] | None, task: EvalTask
) -> ResultSet:
    try:
        return read_result_set(label_dir, result_dir, frame_ids)
    except InvertedBoxError as error:
        # One box tells where it is; all of them tell what they were meant as.
        kept = read_result_set(label_dir, result_dir, frame_ids, allow_inverted=True)
        lines = [str(error), *check_convention(kept, task)]
        raise ValueError("\n  ".join(lines)) from None


def _score(results: ResultSet, task: EvalTask, options: Options) -> None:
    ap = score_results(results, task, options.protocol)
    print(format_metrics(ap))
    metrics = ap.to_dict()
    if options.coco:
        metrics["coco"] = coco_metrics(results.labels, results.detections, task)
        print("\n" + format_coco(metrics["coco"]))
    if options.json is not None:
        with output_file(options.json, overwrite=options.overwrite) as path:
            write_json(path, metrics)
        print(options.json)


def _explain(results: ResultSet, task: EvalTask, options: Options) -> None:
    analysis = analyse(results.labels, results.detections, task=task, protocol=options.protocol)
    if options.errors:
        print("\n" + format_analysis(analysis))
        print("\n" + "\n".join(advise(analysis)))
    # Not at the top: matplotlib takes a second to import.
    if options.plots is not None:
        from mobilenetdet.analysis.plots import write_plots

        with OutputFolder(options.plots, overwrite=options.overwrite).replacing("*.png") as new:
            names = [path.name for path in write_plots(analysis, new)]
        print("\n".join(str(options.plots / name) for name in names))
    if options.report is not None:
        _write_report(analysis, results, options, options.report)
        print(options.report)


def _write_report(analysis: Analysis, results: ResultSet, options: Options, report: Path) -> None:
    from mobilenetdet.analysis.report import NUM_WORST_FRAMES, write_report

    frame_ids = results.frame_ids
    scoring: dict[str, Any] = {"task": analysis.task, "protocol": analysis.protocol}
    runs = [BrowsedRun(str(options.result_dir), results.detections, analysis.thresholds)]
    if options.compare is not None:
        compared, findings = read_compared(options.compare, frame_ids, results.labels, **scoring)
        report_findings(findings, strict=options.strict)
        runs.append(compared)
    pictures = _pictures(pictured_frames(frame_ids, analysis.frame_errors), options.image_dir)
    with output_file(report, overwrite=options.overwrite) as path:
        write_report(
            path,
            analysis,
            title=f"AP of {options.result_dir.resolve().name}",
            facts={"results": str(options.result_dir), "labels": str(options.label_dir)},
            pictures=_worst_frames(analysis, results, options.image_dir, NUM_WORST_FRAMES),
            browser=browser_parts(frame_ids, results.labels, runs, pictures=pictures, **scoring),
            beside=runs[1:],
        )


def _pictures(frame_ids: list[str], image_dir: Path | None) -> Iterator[tuple[str, np.ndarray]]:
    """Reads the images of frames; says of how many there is none."""
    if image_dir is None:
        return
    missing = []
    for frame_id in frame_ids:
        try:
            yield frame_id, _read_frame(image_dir, frame_id)
        except FileNotFoundError:
            missing.append(frame_id)
    if missing:
        print(count_named(missing, len(frame_ids), f"frames have no image in {image_dir}"))


def _read_frame(image_dir: Path, frame_id: str) -> np.ndarray:
    path = find_image(image_dir, frame_id)
    return decode_image(path.read_bytes(), str(path))


def _worst_frames(
    analysis: Analysis, results: ResultSet, image_dir: Path | None, count: int
) -> Iterator[tuple[str, np.ndarray]]:
    if image_dir is None:
        return iter(())

    return draw_worst_frames(
        analysis,
        results.frame_ids,
        functools.partial(_read_frame, image_dir),
        results.labels,
        results.detections,
        count=count,
    )


def _findings(results: ResultSet, task: EvalTask, options: Options) -> list[str]:
    """What looks wrong, with the remedy where frames were not named."""
    findings = check_results(results, task)
    if options.frames is None and results.without_result:
        findings.append(
            f"all {len(results.frame_ids):,} frames of {options.label_dir} are scored; name those "
            "of a split with --frames, such as data/KITTI/ImageSets/val.txt"
        )
    return findings
