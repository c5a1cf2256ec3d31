"""The training run: from a config and records to a run directory."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from pathlib import Path

import keras

from mobilenetdet.analysis.overlays import measure_scores, tensorboard_overlays, write_overlays
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.anchor_coverage import describe_fit
from mobilenetdet.data.class_counts import check_training_classes
from mobilenetdet.data.pipeline import damage_named, plan_epochs, train_batches
from mobilenetdet.distribution.cluster import join_cluster
from mobilenetdet.distribution.devices import Devices, synchronise_batch_norm, use_devices
from mobilenetdet.drawing.history_plots import plot_history
from mobilenetdet.evaluation.evaluate import Evaluation, calibrated, evaluate_split
from mobilenetdet.evaluation.evaluation_files import write_evaluation
from mobilenetdet.evaluation.score_calibration import fit_calibration
from mobilenetdet.files.names import refuse_other_than_utf8
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import write_json
from mobilenetdet.findings import report_findings
from mobilenetdet.inference.keras_runtime import KerasRuntime
from mobilenetdet.inference.loaded_detector import LoadedDetector, load_detector
from mobilenetdet.kitti.frames_seen import FramesSeen, write_frames_seen
from mobilenetdet.kitti.metric_table import flat_metrics, format_metrics
from mobilenetdet.models.detector import Detector, build_detector
from mobilenetdet.records.shards import count_frames, records_fingerprint
from mobilenetdet.runs import RunDir, hash_weights
from mobilenetdet.training.callbacks import Measurement, Validation, complete_log
from mobilenetdet.training.checkpoint import RunFacts, RunState
from mobilenetdet.training.claim import check_run_dir, claim_run_dir
from mobilenetdet.training.ema import EmaWeights
from mobilenetdet.training.fit import fit_epochs
from mobilenetdet.training.loggers import check_loggers
from mobilenetdet.training.optimizers import make_optimizer, scale_learning_rate
from mobilenetdet.training.schedules import make_schedule
from mobilenetdet.training.teachers import load_teachers, teachers_fingerprint
from mobilenetdet.training.training_frames import frames_of_training

# The figure that decides which weights are the best.
MONITOR = "mean/moderate/R40"


def train(
    config: DetectionConfig, run_dir: Path, *, verbose: int = 1, strict: bool = False
) -> Evaluation:
    """Trains a detector, or goes on with a run that was interrupted.

    Args:
        config: the whole config.
        run_dir: where everything goes, see `runs.py`. If it holds a run of the same config, that
            is resumed after its last complete epoch; what may have changed says `claim.py`.
        verbose: of Keras: 0 silent, 1 progress bar, 2 a line an epoch, and one every half minute.
        strict: makes errors of warnings, such as that validation frames are trained on.

    Returns:
        The evaluation of the best weights on the validation split.

    Raises:
        FileExistsError: the run directory has files of the names that training writes, and is no
            run that can go on; or another process is writing there.
        FileNotFoundError: there are no records of a split, or no weights to begin with.
        ConnectionError: one of several processes is gone.
        ValueError: the run directory holds a run with other settings that its state depends on, no
            object of the training records has one of the classes, the records are damaged, or the
            name of the directory is no UTF-8.
    """
    config = config.without_scores()  # those of other weights, where it comes from their run
    check_loggers(config.train)
    refuse_other_than_utf8(run_dir)  # TensorBoard cannot write there
    with join_cluster(config.train) as cluster:
        config = cluster.settle(config)
        with (
            cluster.run_dir(run_dir, lambda folder: check_run_dir(config, folder)) as own_dir,
            use_devices(config.train.devices, config.train.batch_size, cluster) as devices,
        ):
            return _train(config, RunDir(own_dir), devices, verbose=verbose, strict=strict)


def _train(
    config: DetectionConfig, run: RunDir, devices: Devices, *, verbose: int, strict: bool
) -> Evaluation:
    state = _open_run(config, run.path, devices)
    frames = frames_of_training(config, run, strict=strict, cluster=devices.cluster)
    # Only now: a start that fails before leaves the directory to the corrected command.
    claim_run_dir(config, run.path)
    write_frames_seen(run.frames_seen_file, frames.seen)
    if "tensorboard" in config.train.logger:
        complete_log(run.events_dir, state.history)
    for line in [*config.eval_task().guesses(), *config.model.notes(), *config.train.notes()]:
        print(line)
    # Later it would be too late to change them. One process reads for all, and prints for all; this
    # moves nothing between the devices of several, so that none waits for it.
    if state.epoch == 0 and devices.cluster.process_id == 0:
        report_findings(describe_fit(config), strict=False)
    evaluation = None
    if state.epoch < config.train.epochs:
        measure = _make_measure(config, state.model, frames.seen, devices)
        evaluation = _fit(config, measure, state, devices, frames.most_objects, verbose=verbose)
    if evaluation is None:  # the best epoch was before the interruption
        evaluation = _measure_best(config, run, devices)
    evaluation = _write(measure_scores(_calibrate(evaluation, run), run), run)
    plot_history(run.history_file, run.history_plot)
    return evaluation


def finish_run(run: RunDir) -> Evaluation:
    """Measures the best weights of a run, calibrates their scores and writes what training writes.

    Raises:
        FileNotFoundError: it has no weights, or there are no records of its validation split.
        ValueError: weights or records are damaged.
    """
    config = run.read_config().without_scores()
    model = load_detector(run.path, weights=run.best_weights, config=config)
    evaluation = evaluate_split(model, keep=config.eval.num_overlays)
    return _write(measure_scores(_calibrate(evaluation, run), run), run)


def _open_run(config: DetectionConfig, run_dir: Path, devices: Devices) -> RunState:
    """Opens records, weights and the checkpoint, if there is one."""
    check_training_classes(config)
    data, plan = config.data, plan_epochs(config, count_records=True)
    count_frames(data.records_dir, data.val_split)  # rather now than after hours
    facts = RunFacts(
        steps=plan.steps,
        records=records_fingerprint(data.records_dir, data.train_split),
        measured_by=_measured_by(config),
        teachers=teachers_fingerprint(config, RunDir(run_dir)),
    )
    devices.cluster.agree(
        {
            "what the training records hold": facts.records,
            "the number of records in each share": plan.sizes,
            "what the AP depends on": facts.measured_by,
            "the weights of the teachers": facts.teachers,
        }
    )
    with devices.scope():
        detector = _compiled_detector(config.for_training(), plan.steps, run_dir)
    if config.train.sync_batch_norm and len(devices.names) > 1:
        synchronise_batch_norm(detector)
    state = RunState(detector, EmaWeights(detector, config.train.ema), run_dir, facts)
    if state.restore():
        print(f"{run_dir}: {state.describe_resume(config.train.epochs)}")
    if state.epoch < config.train.epochs:
        with devices.scope():
            detector.teacher = load_teachers(config.for_training())
    return state


def _measured_by(config: DetectionConfig) -> str:
    """Identifies all that the AP of given weights depends on."""
    records = records_fingerprint(config.data.records_dir, config.data.val_split)
    postprocess = dataclasses.replace(config.postprocess, calibration=())  # it moves no AP
    measured_by = (records, config.eval.protocol, str(config.eval_task()), str(postprocess))
    return f"{zlib.crc32(repr(measured_by).encode()):08x}"


def _measure_best(config: DetectionConfig, run: RunDir, devices: Devices) -> Evaluation:
    with devices.alone():
        model = load_detector(run.path, weights=run.best_weights, config=config)
        detect = devices.cluster.detect_records
        return evaluate_split(model, keep=_num_kept(config), detect=detect)


def _write(evaluation: Evaluation, run: RunDir) -> Evaluation:
    """Writes what was measured; the places are the run's own, so it may replace what is there.

    Where `mobilenetdet eval` is writing there, the end of a long training waits for it.
    """
    evaluation = dataclasses.replace(evaluation, weights_hash=hash_weights(run.best_weights))
    with OutputFolder.of_run(run.evaluation_dir).locked(wait=True) as folder:
        write_evaluation(evaluation, folder)
    if count := evaluation.config.eval.num_overlays:
        with OutputFolder.of_run(run.overlays_dir).locked(wait=True) as folder:
            write_overlays(evaluation, folder, count=count)
    return evaluation


def _calibrate(evaluation: Evaluation, run: RunDir) -> Evaluation:
    """Leaves the calibration of the scores in the run, and applies it."""
    config = evaluation.config
    lines = fit_calibration(*evaluation.pairs(), config.eval_task(), protocol=config.eval.protocol)
    write_json(run.calibration_file, lines, indent=None)
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
    # Else TensorFlow traces the step twice, once to make these variables: seconds of every start.
    detector.optimizer.build(detector.trainable_variables)
    return detector


def _fit(
    config: DetectionConfig,
    measure: Callable[[], Evaluation],
    state: RunState,
    devices: Devices,
    most_objects: int,
    *,
    verbose: int,
) -> Evaluation | None:
    """Trains to the last epoch.

    Args:
        config: of the run.
        measure: measures the weights of `state`.
        state: of the run, at the beginning of an epoch.
        devices: that share each batch.
        most_objects: of one frame, DontCare included; room for them in every batch.
        verbose: of Keras.

    Returns:
        The best evaluation of these epochs, if there is one.
    """
    epochs, run = config.train.epochs, RunDir(state.run_dir)
    if state.best_is_stale and run.best_weights.is_file():
        print("AP is measured in another way now; the best weights are measured again")
        state.best = flat_metrics(_measure_best(config, run, devices).ap)[MONITOR]
    validation = Validation(
        state,
        Measurement(
            measure=measure,
            metrics=lambda evaluation: flat_metrics(evaluation.ap),
            monitor=MONITOR,
        ),
        every=config.train.eval_every,
        epochs=epochs,
    )
    is_alone = devices.cluster.is_alone
    batches = train_batches(
        config,
        first_epoch=state.epoch,
        num_epochs=epochs - state.epoch,
        share=devices.share,
        room_for=0 if is_alone else most_objects,
    )
    if is_alone:  # else each process has made its rows alone
        batches = devices.divisible(batches)
    with damage_named(config.data.records_dir, config.data.train_split):
        fit_epochs(
            batches,
            state,
            validation,
            config=config,
            steps=state.facts.steps,
            draw=tensorboard_overlays if config.train.tensorboard_images else None,
            verbose=verbose,
            is_first=devices.cluster.process_id == 0,
        )
    return validation.best


def _make_measure(
    config: DetectionConfig, detector: Detector, seen: FramesSeen, devices: Devices
) -> Callable[[], Evaluation]:
    """Measures the weights of a detector at the size of `config`, which may not be its own."""
    measured = detector
    with devices.alone():
        if detector.image_size != config.image_size or not devices.cluster.is_alone:
            measured, _ = build_detector(config, load_weights=False)
        model = LoadedDetector(KerasRuntime(measured), config, frames_seen=seen)

    def measure() -> Evaluation:
        """Detects, and prints AP."""
        with devices.alone():
            if measured is not detector:
                measured.set_weights(detector.get_weights())
            detect = devices.cluster.detect_records
            evaluation = evaluate_split(model, keep=_num_kept(config), detect=detect)
        print(f"\n{evaluation.seen}\n{format_metrics(evaluation.ap)}")
        return evaluation

    return measure


def _num_kept(config: DetectionConfig) -> int:
    """Number of images to keep for overlays and for TensorBoard."""
    return max(config.eval.num_overlays, config.train.tensorboard_images)
