"""The training run: from a config and records to a run directory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import keras

from mobilenetdet.analysis.overlays import tensorboard_overlays, write_overlays
from mobilenetdet.atomic_write import atomic_write
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import CALIBRATION_FILE
from mobilenetdet.data.pipeline import steps_per_epoch, train_batches
from mobilenetdet.draw.history_plots import plot_history
from mobilenetdet.evaluation.evaluate import (
    Evaluation,
    calibrated,
    evaluate_split,
    read_labels,
    write_evaluation,
)
from mobilenetdet.evaluation.score_calibration import fit_calibration
from mobilenetdet.inference.detect import make_detection_model
from mobilenetdet.kitti.metric_table import flat_metrics, format_metrics
from mobilenetdet.models.detector import Detector, build_detector
from mobilenetdet.runs import claim_run_dir, load_detection_model
from mobilenetdet.training.callbacks import Measurement, Validation
from mobilenetdet.training.checkpoint import BEST_WEIGHTS, RunState
from mobilenetdet.training.ema import EmaWeights
from mobilenetdet.training.fit import fit_epochs
from mobilenetdet.training.optimizers import make_optimizer, scale_learning_rate
from mobilenetdet.training.schedules import make_schedule

# The figure that decides which weights are the best.
MONITOR = "mean/moderate/R40"


def train(config: DetectionConfig, run_dir: Path, *, verbose: int = 1) -> Evaluation:
    """Trains a detector, or goes on with a run that was interrupted.

    Args:
        config: the whole config.
        run_dir: where everything goes: config.json, metrics.csv and .png, tensorboard/, best and
            last weights, eval/, overlays/. If it holds an unfinished run of the same config, that
            is resumed after its last complete epoch.
        verbose: of Keras: 0 silent, 1 progress bar, 2 one line an epoch.

    Returns:
        The evaluation of the best weights on the validation split.

    Raises:
        ValueError: the run directory holds a run of another config.
    """
    claim_run_dir(config, run_dir)
    steps = steps_per_epoch(config)
    detector = _compiled_detector(config.for_training(), steps, run_dir)
    ema = EmaWeights(detector, config.train.ema)
    state = RunState(detector, ema, run_dir)
    if state.restore():
        print(f"{run_dir}: resuming after epoch {state.epoch} of {config.train.epochs}")
    evaluation = None
    if state.epoch < config.train.epochs:
        evaluation = _fit(config, detector, state, steps, verbose)
    if evaluation is None:  # the best epoch was before the interruption
        model = load_detection_model(config, run_dir / BEST_WEIGHTS)
        evaluation = evaluate_split(model, config, config.data.val_split)
    evaluation = _calibrate(evaluation, config, run_dir)
    write_evaluation(evaluation, run_dir / "eval")
    plot_history(run_dir / "metrics.csv", run_dir / "metrics.png")
    if config.eval.num_overlays:
        write_overlays(evaluation, config, run_dir / "overlays")
    return evaluation


def _calibrate(evaluation: Evaluation, config: DetectionConfig, run_dir: Path) -> Evaluation:
    """Leaves the calibration of the scores in the run, and applies it."""
    classes = config.data.classes
    lines = fit_calibration(*evaluation.pairs(), classes, protocol=config.eval.protocol)
    with atomic_write(run_dir / CALIBRATION_FILE) as temporary:
        temporary.write_text(json.dumps(lines) + "\n")
    return calibrated(evaluation, dict(zip(classes, lines, strict=True)))


def _compiled_detector(config: DetectionConfig, steps: int, run_dir: Path) -> Detector:
    keras.utils.set_random_seed(config.train.seed)
    # A checkpoint brings all weights; the file of the backbone may be gone by then.
    resuming = (run_dir / "checkpoint.npz").is_file()
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
    config: DetectionConfig, detector: Detector, state: RunState, steps: int, verbose: int
) -> Evaluation | None:
    epochs = config.train.epochs
    validation = Validation(
        state,
        Measurement(
            measure=_make_measure(config, detector),
            figures=lambda evaluation: flat_metrics(evaluation.metrics),
            monitor=MONITOR,
        ),
        every=config.train.eval_every,
        epochs=epochs,
    )
    draw = None
    if config.train.tensorboard_images:
        draw = lambda evaluation: tensorboard_overlays(evaluation, config)  # noqa: E731
    batches = train_batches(config, first_epoch=state.epoch, num_epochs=epochs - state.epoch)
    fit_epochs(batches, state, validation, steps=steps, draw=draw, verbose=verbose)
    return validation.best


def _make_measure(config: DetectionConfig, detector: Detector) -> Callable[[], Evaluation]:
    """Measures the weights of a detector at the size of `config`, which may not be its own."""
    labels = read_labels(config, config.data.val_split)
    measured = detector
    if detector.image_size != config.image_size:
        measured, _ = build_detector(config, load_weights=False)
    model = make_detection_model(measured)

    def measure() -> Evaluation:
        """Detects, and prints AP."""
        if measured is not detector:
            measured.set_weights(detector.get_weights())
        evaluation = evaluate_split(model, config, config.data.val_split, labels=labels)
        print("\n" + format_metrics(evaluation.metrics))
        return evaluation

    return measure
