"""One process of a small training run, with real records, batches, callbacks and checkpoints.

A program, since processes join before anything is computed:
`cluster_steps.py RECORDS_DIR RUN_DIR EPOCHS RECORD_SHARES [COORDINATOR NUM_PROCESSES PROCESS_ID]`.
The network is a handful of layers with all that may differ between processes: initial weights,
dropout, batch normalisation, moving averages. It prints a line an epoch.
"""

import os
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mobilenetdet.cli.errors import tell
from mobilenetdet.config.detection import (
    AugmentConfig,
    DataConfig,
    DetectionConfig,
    LevelConfig,
    ModelConfig,
    TrainConfig,
)
from mobilenetdet.data.pipeline import eval_batches, plan_epochs, train_batches
from mobilenetdet.distribution.cluster import join_cluster
from mobilenetdet.distribution.devices import use_devices
from mobilenetdet.records.shards import records_fingerprint
from mobilenetdet.runs import RunDir
from mobilenetdet.training.callbacks import Measurement, Validation
from mobilenetdet.training.checkpoint import RunFacts, RunState
from mobilenetdet.training.claim import check_run_dir, claim_run_dir
from mobilenetdet.training.ema import EmaWeights
from mobilenetdet.training.fit import fit_epochs
from mobilenetdet.training.optimizers import make_optimizer
from mobilenetdet.training.training_frames import frames_of_training


def make_config(records_dir, epochs, record_shares, *processes):
    named = dict(zip(("coordinator", "num_processes", "process_id"), processes, strict=False))
    return DetectionConfig(
        data=DataConfig(records_dir=records_dir, image_height=32, image_width=96),
        augment=AugmentConfig(crop=0.5),
        model=ModelConfig(weights="none", levels=(LevelConfig(16, ((20.0, 10.0),)),)),
        train=TrainConfig(
            epochs=epochs, batch_size=4, learning_rate=0.01, schedule="constant", ema=0.8,
            warmup_epochs=0.0, eval_every=1, devices="cpu:1", optimizer="sgd",
            record_shares=record_shares, **named,
        ),
    )  # fmt: skip


def make_model(config):
    keras.utils.set_random_seed(config.train.seed)
    model = keras.Sequential(
        [
            keras.Input((*config.image_size, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 4, strides=4),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(4),
        ]
    )
    optimizer = make_optimizer(config.train, config.train.learning_rate)
    model.compile(optimizer, "mse", jit_compile=True)
    model.optimizer.build(model.trainable_variables)
    return model


def make_measure(config, model, devices):
    """Measures how large what the network says of the validation frames is."""
    with devices.alone():
        measured = make_model(config)

    def measure():
        with devices.alone():
            measured.set_weights(model.get_weights())
            found = [
                devices.cluster.predict(measured.predict_on_batch, batch["images"])
                for batch in eval_batches(config, "val").as_numpy_iterator()
            ]
        return float(np.abs(np.concatenate(found)).mean())

    return Measurement(measure, lambda value: {"size": value}, "size")


def sum_of_boxes(images, targets):
    return images, tf.reduce_sum(targets["boxes"], axis=1) / 300


def fit(config, run_dir, devices):
    model = make_model(config)
    facts = RunFacts(
        plan_epochs(config, count_records=True).steps,
        records_fingerprint(config.data.records_dir, "train"),
    )
    state = RunState(model, EmaWeights(model, config.train.ema, every=1), run_dir, facts)
    print("resumed" if state.restore() else "begins", flush=True)
    claim_run_dir(config, run_dir)
    epochs = config.train.epochs
    frames = frames_of_training(config, RunDir(run_dir), cluster=devices.cluster)
    batches = train_batches(
        config,
        first_epoch=state.epoch,
        num_epochs=epochs - state.epoch,
        share=devices.share,
        room_for=frames.most_objects,
    )
    batches = batches.map(sum_of_boxes)
    validation = Validation(state, make_measure(config, model, devices), every=1, epochs=epochs)
    fit_epochs(
        batches,
        state,
        validation,
        config=config,
        steps=facts.steps,
        verbose=2,
        is_first=devices.cluster.process_id == 0,
    )


def main(records_dir, run_dir, epochs, record_shares, coordinator="", *numbers):
    config = make_config(
        records_dir, int(epochs), int(record_shares), coordinator, *map(int, numbers)
    )
    with join_cluster(config.train) as cluster:
        config = cluster.settle(config)
        with (
            cluster.run_dir(Path(run_dir), lambda folder: check_run_dir(config, folder)) as own,
            use_devices(config.train.devices, config.train.batch_size, cluster) as devices,
        ):
            fit(config, own, devices)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (Exception, KeyboardInterrupt) as error:  # as the command line does
        code = tell(error, "train")
        sys.stderr.flush()
        os._exit(code)
