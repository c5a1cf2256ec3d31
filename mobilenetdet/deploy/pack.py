"""A finished run made small enough to give away: half-precision weights, config and a card."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import to_json
from mobilenetdet.evaluation.metrics_file import Metrics, read_metrics
from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.files.output_folder import OutputFolder, refuse_link
from mobilenetdet.findings import counted
from mobilenetdet.kitti.frames_seen import FramesSeen, read_frames_seen, write_frames_seen
from mobilenetdet.kitti.metric_table import format_metrics
from mobilenetdet.models.weight_file import check_weight_file, rewrite_weights
from mobilenetdet.run_places import (
    refuse_links,
    refuse_shipped,
    refuse_training,
    remove_measurements,
)
from mobilenetdet.runs import (
    BEST_WEIGHTS,
    CARD_FILE,
    CONFIG_FILE,
    FRAMES_SEEN_FILE,
    RunDir,
    hash_weights,
)

_NAMES = (BEST_WEIGHTS, CONFIG_FILE, CARD_FILE, FRAMES_SEEN_FILE)


def pack_run(
    run: RunDir, output_dir: Path, *, data: str, licence: str, overwrite: bool = False
) -> Path:
    """Packs the best weights of a run with its config, and writes a card that says what they are.

    The folder is a run directory: eval, visualize and predict read it like any other. The
    records are no longer where the run had them; its config names their default place.

    Args:
        run: was evaluated.
        output_dir: gets config.json, best.weights.h5, README.md and, if the run has it,
            frames_seen.json.
        data: what it was trained and measured on, for the card.
        licence: of the weights, for the card.
        overwrite: replaces such files that are there already.

    Returns:
        The path of the card.

    Raises:
        FileExistsError: one of these files is there, the output is the run itself, or another
            process is writing there.
        FileNotFoundError: the run has no config, no weights or no evaluation; names the remedy.
        ValueError: the evaluation is damaged, or that of other weights or settings; or the output
            is the name of weights that ship.
    """
    config, weights = run.read_config(), run.find_weights()
    halved = halve_weights(weights)  # first: an AP of damaged weights would help nobody
    metrics = _metrics_of(run, config, weights)
    seen = read_frames_seen(weights.with_name(FRAMES_SEEN_FILE))
    if output_dir.resolve() == run.path.resolve():
        raise FileExistsError(
            f"{output_dir} is the run itself, whose weights would be lost; name another folder "
            "with --output_dir"
        )
    refuse_shipped(output_dir, "--output_dir")
    refuse_training(output_dir, "--output_dir")
    if output_dir == run.packed_dir:
        refuse_link(output_dir)
    refuse_links(RunDir(output_dir))
    card = _card(config, metrics, data=f"{_sentence(data)} {_describe_seen(seen)}", licence=licence)
    with OutputFolder(output_dir, overwrite=overwrite).locked() as folder:
        _refuse_existing(folder, overwrite=overwrite)
        remove_measurements(RunDir(output_dir))
        with folder.replacing(FRAMES_SEEN_FILE) as staging:
            with atomic_write(staging / BEST_WEIGHTS) as temporary:  # names it if the disk is full
                temporary.write_bytes(halved)
            (staging / CONFIG_FILE).write_text(to_json(_packed_config(config)), encoding="utf-8")
            (staging / CARD_FILE).write_text(card, encoding="utf-8")
            if seen is not None:
                write_frames_seen(staging / FRAMES_SEEN_FILE, seen)
        if seen is None and overwrite:  # that of other weights would be a lie
            (output_dir / FRAMES_SEEN_FILE).unlink(missing_ok=True)
        # Only what a packing that was killed has left is replaced without being asked to.
        folder.disown(_NAMES)
    return output_dir / CARD_FILE


def _metrics_of(run: RunDir, config: DetectionConfig, weights: Path) -> Metrics:
    """Reads the AP of the last evaluation, which has to be that of what is packed."""
    metrics = read_metrics(run)
    if others := metrics.other_than(config, hash_weights(weights)):
        raise ValueError(
            f"{run.metrics_file} is not known to be of {weights} and the config of the run (other, "
            f"or not said: {', '.join(others)}); measure these: mobilenetdet eval --run_dir "
            f"{run.shipped_name or run.path}"
        )
    return metrics


def _refuse_existing(folder: OutputFolder, *, overwrite: bool) -> None:
    for name in _NAMES:
        if (folder.path / name).exists() and not overwrite and not folder.is_own(name):
            raise FileExistsError(
                f"{folder.path / name} is there; name another folder with --output_dir, or replace "
                "it with --overwrite"
            )


def _packed_config(config: DetectionConfig) -> DetectionConfig:
    defaults = DetectionConfig()
    shared = config.for_sharing()
    return dataclasses.replace(
        shared,
        data=dataclasses.replace(shared.data, records_dir=defaults.data.records_dir),
        # Half-precision arithmetic is a choice of the machine that trains.
        train=dataclasses.replace(shared.train, precision=defaults.train.precision),
    )


def halve_weights(source: Path) -> bytes:
    """Returns a Keras weight file with its kernels in float16; loading makes them float32 again.

    The state of the optimizer is left out. Vectors (biases, normalisation) stay as they are: they
    are small, and variances may lie outside of what float16 can hold.

    Raises:
        ValueError: a weight is too large for float16, NaN or infinite; names it. Or the source is
            damaged.
    """
    check_weight_file(source)
    return rewrite_weights(source, _halved)


def _halved(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"weight {name} holds NaN or infinity; the run has diverged")
    if values.ndim < 2 or values.dtype != np.float32:
        return values
    if np.abs(values).max(initial=0.0) > np.finfo(np.float16).max:
        raise ValueError(f"weight {name} is too large for half precision; the run has diverged")
    return values.astype(np.float16)


def _other_limits(config: DetectionConfig) -> str:
    """Names what an AP goes by where it is not KITTI's."""
    changed = {
        name: dict(value)
        for name in ("min_overlaps", "difficulties")
        if (value := getattr(config.eval, name))
    }
    named = [f"eval.{name} {value}" for name, value in changed.items()]
    return f", with {' and '.join(named)}" if named else ""


def _sentence(text: str) -> str:
    """Ends a text with a full stop, unless it has an end of its own."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _describe_seen(seen: FramesSeen | None) -> str:
    """Says what is known of the frames of the training."""
    if seen is None:
        return "Which frames the weights were trained on is not known."
    more = "" if seen.complete else " at least; other weights that it learnt from have no such list"
    return f"Frames trained on: {seen.num_frames:,}{more}, by hash in `{FRAMES_SEEN_FILE}`."


def _card(config: DetectionConfig, metrics: Metrics, *, data: str, licence: str) -> str:
    model, train = config.model, config.train
    size, of_training = (
        "{}x{}".format(*each.image_size) for each in (config, config.for_training())
    )
    strides = ", ".join(map(str, model.strides))
    head = config.head.kind
    steps = f"{counted(train.epochs, 'epoch')}, {counted(train.batch_size, 'frame')} a step"
    start = "from random weights" if model.weights == "none" else "with a pretrained backbone"
    if model.detector_weights:
        start = "with the weights of a whole detector"
    if train.teachers:
        start += f", taught by {', '.join(Path(name).name for name in train.teachers)}"
    return f"""# Weights of a detector

Best weights of a training run, kernels in half precision, and its config. The folder is a run
directory: `--run_dir` of `mobilenetdet eval`, `visualize` and `predict` takes it, and so does
`mobilenetdet.load` in Python.

- Network: MobileNetV1 (alpha {model.alpha:g}), head {head} at strides {strides}, pyramid of
  {model.pyramid_channels} channels, input {size} (height x width; {of_training} in
  training).
- Classes: {", ".join(config.data.classes)}.
- Data: {data}
- Training: {steps}, {train.optimizer}, seed
  {train.seed}, begun {start}; all settings in `config.json`.
- Licence of the weights: {licence}

Measured on the split {metrics.split}{_other_limits(config)}:

```
{format_metrics(metrics.ap)}
```
"""
