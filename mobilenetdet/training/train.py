"""The training run: from a config and records to a run directory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import keras

from mobilenetdet.analysis.overlays import tensorboard_overlays, write_overlays
from mobilenetdet.atomic_write import atomic_write
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.class_counts import check_training_classes
from mobilenetdet.data.pipeline import steps_per_epoch, train_batches
from mobilenetdet.drawing.history_plots import plot_history
from mobilenetdet.evaluation.evaluate import (
    Evaluation,
    calibrated,
    evaluate_split,
    write_evaluation,
)
from mobilenetdet.evaluation.score_calibration import fit_calibration
from mobilenetdet.inference.keras_runtime import KerasRuntime
from mobilenetdet.inference.loaded_detector import LoadedDetector, load_detector
from mobilenetdet.kitti.frames_seen import FramesSeen, write_frames_seen
from mobilenetdet.kitti.metric_table import flat_metrics, format_metrics
from mobilenetdet.models.detector import Detector, build_detector
from mobilenetdet.output_folder import OutputFolder
from mobilenetdet.runs import RunDir, claim_run_dir
from mobilenetdet.training.callbacks import Measurement, Validation
from mobilenetdet.training.checkpoint import RunState
from mobilenetdet.training.ema import EmaWeights
from mobilenetdet.training.fit import fit_epochs
from mobilenetdet.training.optimizers import make_optimizer, scale_learning_rate
from mobilenetdet.training.schedules import make_schedule
from mobilenetdet.training.training_frames import frames_of_training

# The figure that decides which weights are the best.
MONITOR = "mean/moderate/R40"


def train(
    config: DetectionConfig, run_dir: Path, *, verbose: int = 1, strict: bool = False
) -> Evaluation:
    """Trains a detector, or goes on with a run that was interrupted.

    Args:
        config: the whole config.
        run_dir: where everything goes, see `runs.py`. If it holds an unfinished run of the same
            config, that is resumed after its last complete epoch.
        verbose: of Keras: 0 silent, 1 progress bar, 2 one line an epoch.
        strict: refuses to measure on frames that are trained on.

    Returns:
        The evaluation of the best weights on the validation split.

    Raises:
        FileExistsError: the run directory has files of the names that training writes, and is no
            run.
        ValueError: the run directory holds a run of another config, or no object of the training
            records has one of the classes, or the records are damaged.
    """
    check_training_classes(config)
    run = RunDir(run_dir)
    seen = frames_of_training(config, run, strict=strict)
    claim_run_dir(config, run_dir)
    write_frames_seen(run.frames_seen_file, seen)
    for line in config.eval_task().guesses():
        print(line)
    steps = steps_per_epoch(config)
    detector = _compiled_detector(config.for_training(), steps, run_dir)
    ema = EmaWeights(detector, config.train.ema)
    state = RunState(detector, ema, run_dir)
    if state.restore():
        print(f"{run_dir}: resuming after epoch {state.epoch} of {config.train.epochs}")
    evaluation = None
    if state.epoch < config.train.epochs:
        measure = _make_measure(config, detector, seen)
        evaluation = _fit(config, measure, state, steps, verbose)
    if evaluation is None:  # the best epoch was before the interruption
        model = load_detector(run_dir, weights=run.best_weights, config=config)
        evaluation = evaluate_split(model, keep=_num_kept(config))
    evaluation = _calibrate(evaluation, run)
    _write(evaluation, run)
    return evaluation


def _write(evaluation: Evaluation, run: RunDir) -> None:
    """Writes what was measured; the places are the run's own, so it may replace what is there."""
    write_evaluation(evaluation, OutputFolder(run.evaluation_dir, overwrite=True))
    plot_history(run.history_file, run.history_plot)
    if count := evaluation.config.eval.num_overlays:
        folder = OutputFolder(run.overlays_dir, overwrite=True)
        write_overlays(evaluation, folder, count=count)


def _calibrate(evaluation: Evaluation, run: RunDir) -> Evaluation:
    """Leaves the calibration of the scores in the run, and applies it."""
    config = evaluation.config
    lines = fit_calibration(*evaluation.pairs(), config.eval_task(), protocol=config.eval.protocol)
    with atomic_write(run.calibration_file) as temporary:
        temporary.write_text(json.dumps(lines) + "\n")
    return calibrated(evaluation, lines)


def _compiled_detector(config: DetectionConfig, steps: int, run_dir: Path) -> Detector:
    keras.utils.set_random_seed(config.train.seed)
    # A checkpoint brings all weights; the file of the backbone may be gone by then.
    resuming = RunDir(run_dir).state_file.is_file()
    detector, report = build_detector(config, load_weights=not resuming)
    if report is not None:
        print(report)
    optimizer = make_optimizer(config.train, make_schedule(config.train, steps))
    if config.train.backbone_rate < 1:
        scale_learning_rate(
            optimizer, detector.backbone.trainable_variables, config.train.backbone_rate
        )
    # XLA is the way of JAX, and many times slower than without on TensorFlow's CPU.
    detector.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    return detector


def _fit(
    config: DetectionConfig,
    measure: Callable[[], Evaluation],
    state: RunState,
    steps: int,
    verbose: int,
) -> Evaluation | None:
    """Trains to the last epoch; returns the best evaluation of these epochs, if there is one."""
    epochs = config.train.epochs
    validation = Validation(
        state,
        Measurement(
            measure=measure,
            figures=lambda evaluation: flat_metrics(evaluation.ap),
            monitor=MONITOR,
        ),
        every=config.train.eval_every,
        epochs=epochs,
    )
    draw = tensorboard_overlays if config.train.tensorboard_images else None
    batches = train_batches(config, first_epoch=state.epoch, num_epochs=epochs - state.epoch)
    fit_epochs(batches, state, validation, steps=steps, draw=draw, verbose=verbose)
    return validation.best


def _make_measure(
    config: DetectionConfig, detector: Detector, seen: FramesSeen
) -> Callable[[], Evaluation]:
    """Measures the weights of a detector at the size of `config`, which may not be its own."""
    measured = detector
    if detector.image_size != config.image_size:
        measured, _ = build_detector(config, load_weights=False)
    model = LoadedDetector(KerasRuntime(measured), config, frames_seen=seen)

    def measure() -> Evaluation:
        """Detects, and prints AP."""
        if measured is not detector:
            measured.set_weights(detector.get_weights())
        evaluation = evaluate_split(model, keep=_num_kept(config))
        print(f"\n{evaluation.seen}\n{format_metrics(evaluation.ap)}")
        return evaluation

    return measure


def _num_kept(config: DetectionConfig) -> int:
    """Number of images to keep for overlays and for TensorBoard."""
    return max(config.eval.num_overlays, config.train.tensorboard_images)
