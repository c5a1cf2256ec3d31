"""Measure the AP of a run on a split."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobilenetdet.analysis.compared_run import find_result_files
from mobilenetdet.analysis.overlays import MONTAGE_NAME, measure_scores, write_overlays
from mobilenetdet.cli.eval_report import read_other_run, write_eval_report
from mobilenetdet.cli.model_option import refuse_two_detectors
from mobilenetdet.cli.options import DEFAULT_RUN
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.cli.run_options import Overrides, UseOverrides, run_defaults
from mobilenetdet.cli.score_option import with_score
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.deploy.engine_loading import load_for_engine
from mobilenetdet.deploy.engines import Engine, check_engine, describe_engine
from mobilenetdet.evaluation.coco_ap import coco_metrics, format_coco
from mobilenetdet.evaluation.evaluate import Evaluation, check_split, evaluate_split
from mobilenetdet.evaluation.evaluation_files import write_evaluation
from mobilenetdet.exported_places import beside_exported
from mobilenetdet.files.output_folder import OutputFolder, refuse_link
from mobilenetdet.findings import counted, report_findings
from mobilenetdet.inference.exported import open_exported
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.kitti.changed_rules import changed_rules
from mobilenetdet.kitti.frames_seen import SeenInSplit
from mobilenetdet.kitti.metric_table import format_metrics
from mobilenetdet.records.shards import count_frames
from mobilenetdet.runs import (
    ANALYSIS_FILE,
    DETECTIONS_DIR,
    METRICS_FILE,
    REPORT_FILE,
    RunDir,
    hash_weights,
    open_run,
)
from mobilenetdet.system.job_share import JobShare
from mobilenetdet.system.quiet import import_tensorflow_quietly


@dataclass(frozen=True)
class Options:
    """Measure KITTI's official AP of a run.

    Writes eval/metrics.json, eval/detections/NNNNNN.txt (KITTI's format) and overlays/.
    """

    # Run directory, or the name of weights that ship.
    run_dir: Path = DEFAULT_RUN
    # Weights; by default the best of the run, or else the last.
    weights: Path | None = None
    # Exported file instead of a run; results go beside it.
    model: Path | None = None
    # Runtime for a run, as in predict; by default Keras.
    engine: Engine | None = None
    # Jobs that share the frames, each with a folder of its own: eval/0-of-4.
    num_shards: int = 1
    # Which of these jobs this is, from 0.
    shard: int = 0
    # Folders of all jobs: measures what they have detected.
    merge: tuple[Path, ...] = ()
    # Split to measure; by default data.val_split.
    split: str | None = None
    # Lowest score in pictures and files; by default the best F1 in pictures.
    score: float | None = None
    # Where to write; by default the run directory.
    output_dir: Path | None = None
    # Replaces files of others of the same names.
    overwrite: bool = False
    # Explains the AP in eval/report.html, with every frame to look at.
    report: bool = False
    # Measured run, or folder of result files, that the report shows beside.
    compare: Path | None = None
    # Measures COCO's AP, too.
    coco: bool = False
    # Refuses to measure on frames that were trained on.
    strict: bool = False
    overrides: Overrides = field(default_factory=UseOverrides)


def main(argv: list[str] | None = None) -> int:
    """Measures, writes and prints AP; returns 0."""
    config, options = run_defaults(Options, argv)
    _check(options)
    _check_compare(options)
    config = with_score(options.overrides.apply(config), options.score)
    run = open_run(options.run_dir) if options.model is None else beside_exported(options.model)
    output = run if options.output_dir is None else RunDir(options.output_dir)
    split = config.data.val_split if options.split is None else options.split
    count_frames(config.data.records_dir, split)
    if options.num_shards > 1:
        print(_detect_share(options, config, output, split))
        return 0
    folder, pictures = (
        _folder(options, place) for place in (output.evaluation_dir, output.overlays_dir)
    )
    reports = [REPORT_FILE, ANALYSIS_FILE] if options.report else []
    folder.refuse_foreign([METRICS_FILE, *reports])
    pictures.refuse_foreign([MONTAGE_NAME] if config.eval.num_overlays else [])
    with folder.locked(), pictures.locked():
        measure = _merge if options.merge else _measure
        evaluation = measure(options, config, split)
        _report(evaluation, options, run.name, folder)
        if not config.eval.best_f1_scores and config.eval.drawing_score is None:
            own = evaluation.exported is None and _is_of(run, options, config)
            evaluation = measure_scores(evaluation, run if own else None)
        if evaluation.images:
            print(write_overlays(evaluation, pictures))
    return 0


def _check(options: Options) -> None:
    """Refuses what cannot be done together, before the work."""
    refuse_two_detectors(options.model, options.run_dir, DEFAULT_RUN)
    if options.engine is not None:
        check_engine(options.engine, options.model)
    JobShare(options.shard, options.num_shards)  # refuses what is no job
    if options.num_shards > 1 and options.merge:
        raise ValueError("--merge is one call after all jobs have ended; leave --num_shards out")
    if options.num_shards > 1 and (options.report or options.coco or options.score is not None):
        raise ValueError(
            "a job of --num_shards only detects; give --report, --coco and --score to the call "
            "with --merge"
        )
    if options.merge and options.engine is not None:
        raise ValueError("--merge detects nothing; --engine belongs to the jobs")


def _folder(options: Options, place: Path) -> OutputFolder:
    in_run = options.output_dir is None and options.model is None
    if in_run and not options.overwrite:
        return OutputFolder.of_run(place)
    return OutputFolder(place, overwrite=options.overwrite)


def _load(
    options: Options, config: DetectionConfig, split: str
) -> tuple[LoadedDetector, SeenInSplit]:
    """The detector, and the frames of the split that it was trained on."""
    import_tensorflow_quietly()
    engine: Engine = options.engine or ("keras" if options.model is None else "auto")
    model = load_for_engine(
        options.model or options.run_dir,
        engine,
        weights=options.weights,
        config=config,
        tell=print,
    )
    model.run_several_at_once(config.eval.batch_size)
    height, width = model.image_size
    print(f"by {model.source} at {height}x{width}, {describe_engine(model, engine)}")
    # Before the minutes that detecting takes.
    seen = check_split(model, split=split)
    report_findings(seen.findings(), strict=options.strict)
    return model, seen


def _measure(options: Options, config: DetectionConfig, split: str) -> Evaluation:
    """Detects in the split and measures the AP."""
    model, seen = _load(options, config, split)
    with frame_progress(seen.num_frames, "detecting") as progress:
        return evaluate_split(model, split=split, keep=config.eval.num_overlays, progress=progress)


def _detect_share(options: Options, config: DetectionConfig, output: RunDir, split: str) -> str:
    """Detects in the frames of one job; says where, and which call measures all."""
    # Not at the top: most calls have no jobs.
    from mobilenetdet.evaluation.eval_shares import SHARE_FILE, detect_share, write_share

    share = JobShare(options.shard, options.num_shards)
    if options.output_dir is None and options.model is None:
        refuse_link(output.evaluation_dir)
    folder = _folder(options, output.evaluation_dir / str(share))
    folder.refuse_foreign([SHARE_FILE])
    with folder.locked():
        model, seen = _load(options, config, split)
        with frame_progress(None, "detecting") as progress:
            result = detect_share(model, share, seen, progress=progress)
        path = write_share(result, folder)
    frames = counted(len(result.detections), "frame")
    together = output.evaluation_dir / f"*-of-{share.count}"
    return f"{path}: {frames} of {seen.num_frames:,}; when all jobs have ended: --merge {together}"


def _merge(options: Options, config: DetectionConfig, split: str) -> Evaluation:
    """Measures the AP of what jobs have detected."""
    from mobilenetdet.evaluation.eval_shares import merge_shares

    exported, hashed = None, ""
    if options.model is not None:
        exported, hashed = options.model.name, open_exported(options.model).info.weights
    else:
        hashed = hash_weights(options.weights or open_run(options.run_dir).find_weights())
    evaluation = merge_shares(
        options.merge, config, split, hashed, exported=exported, keep=config.eval.num_overlays
    )
    report_findings(evaluation.seen.findings(), strict=options.strict)
    print(f"by {options.model or options.run_dir}, {evaluation.engine}")
    return evaluation


def _check_compare(options: Options) -> None:
    """Refuses before the minutes that detecting takes what would fail behind it."""
    if options.compare is None:
        return
    if not options.report:
        raise ValueError("--compare shows another run in the report; give --report, too")
    find_result_files(options.compare)


def _report(evaluation: Evaluation, options: Options, name: str, folder: OutputFolder) -> None:
    """Prints AP, and writes all metrics that were asked for."""
    config = evaluation.config
    # First, since it may be what was found by other weights of this run and is written anew below.
    others = []
    if options.compare is not None:
        others = [read_other_run(evaluation, options.compare, strict=options.strict)]
    task = config.eval_task()
    for line in (*task.guesses(), *changed_rules(task.to_dict())):
        print(line)
    print(evaluation.seen)
    print(format_metrics(evaluation.ap))
    metrics = write_evaluation(
        evaluation,
        folder,
        min_score=options.score or 0.0,
        more=_coco(evaluation) if options.coco else {},
    )
    lowest = f" (from score {options.score:g} on; AP is of all)" if options.score else ""
    print(f"{metrics} and {folder.path / DETECTIONS_DIR}{lowest}")
    if options.report:
        print(write_eval_report(evaluation, folder, name, others))


def _is_of(run: RunDir, options: Options, config: DetectionConfig) -> bool:
    """Whether what is measured holds for the run as it is, on the split that it is validated on."""
    others = (run.shipped_name, options.output_dir, options.weights, options.split, options.model)
    if any(others):
        return False
    own = run.read_config()
    rules = [
        (each.eval.protocol, each.eval.min_overlaps, each.eval.difficulties)
        for each in (own, config)
    ]
    same_input = (own.data, own.postprocess) == (config.data, config.postprocess)
    return same_input and rules[0] == rules[1]


def _coco(evaluation: Evaluation) -> dict[str, Any]:
    """Measures and prints COCO's AP."""
    metrics = coco_metrics(*evaluation.pairs(), evaluation.config.eval_task())
    print("\n" + format_coco(metrics))
    return {"coco": metrics}
