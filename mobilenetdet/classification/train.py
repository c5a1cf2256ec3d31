"""The training run of a classifier: from a config and images to a run directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from mobilenetdet.classification.batches import (
    ClassImages,
    damage_named,
    open_images,
    steps_per_epoch,
)
from mobilenetdet.classification.config import ClassifierConfig
from mobilenetdet.classification.evaluate import (
    ClassScores,
    make_predictor,
    score_classifier,
    write_class_scores,
)
from mobilenetdet.classification.loss import SmoothedCrossEntropy, TrainableClassifier
from mobilenetdet.classification.model import build_classifier, load_classifier_weights
from mobilenetdet.distribution.cluster import join_cluster
from mobilenetdet.distribution.devices import Devices, synchronise_batch_norm, use_devices
from mobilenetdet.drawing.history_plots import plot_history
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.files.names import refuse_other_than_utf8
from mobilenetdet.models.layers import layer_policy, layer_seed
from mobilenetdet.models.mobilenet_v1 import freeze_blocks
from mobilenetdet.runs import BEST_WEIGHTS, LAST_WEIGHTS, RunDir
from mobilenetdet.training.callbacks import Measurement, Validation, complete_log
from mobilenetdet.training.checkpoint import RunFacts, RunState
from mobilenetdet.training.claim import check_run_dir, claim_run_dir
from mobilenetdet.training.ema import EmaWeights
from mobilenetdet.training.fit import fit_epochs
from mobilenetdet.training.loggers import check_loggers
from mobilenetdet.training.optimizers import make_optimizer
from mobilenetdet.training.schedules import make_schedule

# The figure that decides which weights are the best.
MONITOR = "top1"


def train_classifier(config: ClassifierConfig, run_dir: Path, *, verbose: int = 1) -> ClassScores:
    """Trains a classifier, or goes on with a run that was interrupted.

    Args:
        config: the whole config.
        run_dir: where everything goes: config.json, metrics.csv and .png, tensorboard/, best and
            last weights, eval/. If it holds an unfinished run of the same config, that is resumed
            after its last complete epoch.
        verbose: of Keras: 0 silent, 1 progress bar, 2 a line an epoch, and one every half minute.

    Returns:
        The scores of the last weights on all test images. The best would be chosen by these very
        images, and look better than they are.

    Raises:
        FileExistsError: the run directory has files of the names that training writes, and is no
            run that can go on; or another process is writing there.
        FileNotFoundError: images or weights are not there.
        ValueError: the run directory holds a run with other settings that its state depends on, a
            file is damaged, sizes do not fit, or the name of the directory is no UTF-8.
    """
    check_loggers(config.train)
    refuse_other_than_utf8(run_dir)  # TensorBoard cannot write there
    with join_cluster(config.train) as cluster:
        config = cluster.settle(config)
        with (
            cluster.run_dir(run_dir, lambda folder: check_run_dir(config, folder)) as own_dir,
            use_devices(config.train.devices, config.train.batch_size, cluster) as devices,
        ):
            return _train(config, own_dir, devices, verbose)


def _train(config: ClassifierConfig, run_dir: Path, devices: Devices, verbose: int) -> ClassScores:
    images = open_images(config)
    steps = steps_per_epoch(images, config)
    facts = RunFacts(steps, images.fingerprint, measured_by=images.test_fingerprint)
    devices.cluster.agree(
        {
            "what the training records hold": images.fingerprint,
            "what the test records hold": images.test_fingerprint,
            "the number of images in each share": images.share_sizes,
            "the number of test images": images.num_test,
        }
    )
    if not devices.cluster.is_alone:
        devices.cluster.agree({"the order of the records": images.order()}, unknown="")
    keras.utils.set_random_seed(config.train.seed)
    with devices.scope():
        model = compiled_classifier(config, steps, load_weights=not _is_begun(run_dir))
    if config.train.sync_batch_norm and len(devices.names) > 1:
        synchronise_batch_norm(model)
    state = RunState(model, EmaWeights(model, config.train.ema), run_dir, facts)
    if state.restore():
        print(f"{run_dir}: {state.describe_resume(config.train.epochs)}")
    # Only now: a start that fails before leaves the directory to the corrected command.
    claim_run_dir(config, run_dir)
    if "tensorboard" in config.train.logger:
        complete_log(RunDir(run_dir).events_dir, state.history)
    for line in [*config.model.notes(), *config.train.notes()]:
        print(line)
    measure = _make_measure(config, model, images, devices)
    measurement = Measurement(
        measure=measure,
        metrics=ClassScores.metrics,
        monitor=MONITOR,
    )
    with damage_named(images):
        if state.epoch < config.train.epochs:
            _renew_best(state, measurement)
            _fit(config, images, state, measurement, devices, steps=steps, verbose=verbose)
        state.load_weights(LAST_WEIGHTS)
        scores = measurement.measure()
    run = RunDir(run_dir)
    with folder_lock(run.evaluation_dir, wait=True):
        write_class_scores(scores, images.class_names, run.evaluation_dir)
    plot_history(run.history_file, run.history_plot)
    return scores


def compiled_classifier(
    config: ClassifierConfig, steps: int, *, load_weights: bool = True
) -> keras.Model:
    """Builds a classifier that `fit` can train.

    Args:
        config: the whole config; `train.seed` seeds the fresh weights, `train.precision` is the
            policy of the layers. Keras' global policy and all global seeds stay.
        steps: of an epoch.
        load_weights: whether to load `model.weights`; what of the file does not fit is printed.
    """
    model_config, train = config.model, config.train
    with layer_policy(train.precision), layer_seed(train.seed):
        model = build_classifier(
            config.input_shape,
            num_classes=config.data.num_classes,
            alpha=model_config.alpha,
            dropout=model_config.dropout,
            activation=model_config.activation,
            small_images=model_config.small_images,
            batch_norm_momentum=model_config.batch_norm_momentum,
        )
        model = TrainableClassifier(model.input, model.output, name=model.name)
    freeze_blocks(model, model_config.frozen_blocks)
    if load_weights:
        report = load_classifier_weights(model, model_config.weights, alpha=model_config.alpha)
        if report is not None:
            print(report)
    loss = SmoothedCrossEntropy(train.label_smoothing, reduction="none")
    model.compile(
        optimizer=make_optimizer(train, make_schedule(train, steps)),
        loss=loss,
        weighted_metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            # In the place of Keras' own, which counts images of weight 0 as well.
            keras.metrics.MeanMetricWrapper(loss.call, name="loss"),
        ],
        # XLA is the way of JAX, and many times slower than without on TensorFlow's CPU.
        jit_compile=keras.backend.backend() == "jax",
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _is_begun(run_dir: Path) -> bool:
    # A checkpoint brings all weights; the file that the run began with may be gone by then.
    return RunDir(run_dir).state_file.is_file()


def _fit(
    config: ClassifierConfig,
    images: ClassImages,
    state: RunState,
    measurement: Measurement[ClassScores],
    devices: Devices,
    *,
    steps: int,
    verbose: int,
) -> None:
    epochs = config.train.epochs
    validation = Validation(state, measurement, every=config.train.eval_every, epochs=epochs)
    batches = images.train_batches(state.epoch, epochs - state.epoch, share=devices.share)
    if devices.cluster.is_alone:  # else each process has made its rows alone
        batches = devices.divisible(batches, weigh=True)
    fit_epochs(
        batches,
        state,
        validation,
        config=config,
        steps=steps,
        verbose=verbose,
        is_first=devices.cluster.process_id == 0,
    )


def _renew_best(state: RunState, measurement: Measurement[ClassScores]) -> None:
    """Measures the best weights again where the test images are others than they were."""
    if not (state.best_is_stale and RunDir(state.run_dir).best_weights.is_file()):
        return
    print("the test images are others now; the best weights are measured again")
    state.load_weights(BEST_WEIGHTS)
    scores = measurement.measure()
    state.restore()
    state.best = measurement.metrics(scores)[measurement.monitor]


def _make_measure(
    config: ClassifierConfig, model: keras.Model, images: ClassImages, devices: Devices
) -> Callable[[], ClassScores]:
    """Measures the weights of a classifier; several processes share each batch."""
    measured = model
    with devices.alone():
        if not devices.cluster.is_alone:
            measured = compiled_classifier(config, 1, load_weights=False)
        predict = make_predictor(measured)

    def measure() -> ClassScores:
        """Predicts, and prints the scores."""
        with devices.alone():
            if measured is not model:
                measured.set_weights(model.get_weights())
            scores = score_classifier(
                lambda batch: devices.cluster.predict(predict, batch),
                images.test_batches().as_numpy_iterator(),
            )
        print(f"\n{scores}")
        return scores

    return measure
