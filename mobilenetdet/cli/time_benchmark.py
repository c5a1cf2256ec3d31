"""Time training and inference on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mobilenetdet.benchmark.timing import REFERENCE, Rounds, describe_machine, tf_keras_installed
from mobilenetdet.cli.options import parse
from mobilenetdet.cli.output_file import check_output_file, output_file
from mobilenetdet.config.detection import DetectionConfig, Precision
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.files.text import write_json
from mobilenetdet.system.quiet import import_tensorflow_quietly

if TYPE_CHECKING:
    from mobilenetdet.benchmark.backbone import BackboneTime
    from mobilenetdet.benchmark.classifier import ClassifierTime
    from mobilenetdet.benchmark.detector import DetectorTime, InferenceTime

Part = Literal["classifier", "backbone", "detector", "inference"]
# Batch size and (height, width): the input of the detector, and that of ImageNet.
_BACKBONE_CASES = ((4, (384, 1248)), (32, (224, 224)))
_CLASSIFIER_SIZE = (224, 224)
_TITLES = {
    "classifier": "one image through MobileNetV1 alpha 1.0 with 1000 classes",
    "backbone": f"train step of MobileNetV1 alpha 1.0; ratio: to {REFERENCE}",
    "detector": "train step of a detector; loss: matching, losses and their gradient in it",
    "inference": "one image: pixels to raw predictions, then decoding and NMS",
}


@dataclass(frozen=True)
class Options:
    """Time training and inference on this machine: medians over single steps, milliseconds.

    classifier: one image of 224x224 through MobileNetV1 with 1000 classes, forward and backward,
    with fused batch normalisation and without, and as exported in float32 and in 8 bits, as in the
    table of the SqueezeDet/MobileNet code. backbone: a train step of MobileNetV1 beside
    tf_keras.applications.MobileNet (Keras 2) and beside the same network with Keras 3's own layers.
    detector: a train step of each preset and the share of matching and loss in it. inference:
    forward pass, and decoding with NMS, of one image. Run it on a machine that does nothing else;
    all of it takes several minutes on a CPU.
    """

    # What to time.
    parts: tuple[Part, ...] = ("classifier", "backbone", "detector", "inference")
    # Presets to time; weights are fresh and data are noise, so nothing is needed on disk.
    presets: tuple[str, ...] = tuple(PRESETS)
    # Arithmetic to time.
    precisions: tuple[Precision, ...] = ("float32", "mixed_bfloat16")
    # Height and width of all inputs, multiples of 32; by default 224 224 for the classifier,
    # 384 1248 and 224 224 for the backbone, and that of each preset.
    size: tuple[int, int] | None = None
    # Images a train step; by default 4 and 32 for the backbone, and that of each preset.
    batch_size: int | None = None
    # Timed runs of each step.
    repeats: int = 10
    # Untimed runs before them.
    warm_up: int = 3
    # File for the results.
    json: Path | None = None
    # Replaces a file of others that has the name of --json.
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Checks the sizes."""
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; it must be above 0")
        if self.size is not None and any(side <= 0 or side % 32 for side in self.size):
            raise ValueError(f"size is {self.size}; height and width must be multiples of 32")

    @property
    def rounds(self) -> Rounds:
        """How often each step runs."""
        return Rounds(self.warm_up, self.repeats)

    def configs(self) -> Iterator[tuple[str, DetectionConfig]]:
        """Yields each preset in each precision, at the asked size."""
        for name in self.presets:
            config = make_preset(name)
            if self.size is not None:
                height, width = self.size
                data = replace(config.data, image_height=height, image_width=width)
                config = replace(config, data=data)
            for precision in self.precisions:
                yield name, replace(config, train=replace(config.train, precision=precision))


def main(argv: list[str] | None = None) -> int:
    """Prints the tables, each as soon as it is measured, and write --json; returns 0.

    Raises:
        FileExistsError: a file of others has the name of --json.
        ValueError: an unknown preset, a size out of range, or Keras not on TensorFlow.
    """
    options = parse(Options, argv)
    if options.json is not None:
        check_output_file(options.json, overwrite=options.overwrite)
    import_tensorflow_quietly()
    # Not at the top, here and below: it takes seconds to import, and the help does without.
    from mobilenetdet.benchmark.steps import require_tensorflow

    require_tensorflow()
    _silence_retracing()
    list(options.configs())  # refuses unknown presets before anything is timed
    machine = describe_machine()
    print("\n".join(f"{name:11}{value}" for name, value in machine.items()))
    print(f"{'medians of':11}{options.repeats} steps after {options.warm_up}")
    report: dict[str, Any] = {"machine": machine, **dataclasses.asdict(options.rounds)}
    for part in options.parts:
        print(f"\n{_TITLES[part]}", flush=True)
        if part == "backbone" and not tf_keras_installed():
            print(f"{REFERENCE} is left out: pip install tf-keras")
        times = _TIMERS[part](options)
        print(format_table(times), flush=True)
        report[part] = [dataclasses.asdict(row) for row in times]
    if options.json is not None:
        with output_file(options.json, overwrite=options.overwrite) as path:
            write_json(path, report)
        print(f"\n{options.json}")
    return 0


def format_table(
    rows: Sequence[ClassifierTime | BackboneTime | DetectorTime | InferenceTime],
) -> str:
    """Lays rows of one kind out in aligned columns under the names of their fields."""
    names = [item.name for item in dataclasses.fields(rows[0])]
    heading = [name.replace("_milliseconds", " ms").replace("milliseconds", "ms") for name in names]
    heading = [name.replace("_", " ") for name in heading]
    cells = [heading, *([_format(name, getattr(row, name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    )


def _format(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "image_size":
        return "x".join(map(str, value))
    if name.endswith("share"):
        return f"{100 * value:.1f} %"
    if name == "ratio":
        return f"{value:.2f}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _time_classifier(options: Options) -> list[ClassifierTime]:
    from mobilenetdet.benchmark.classifier import time_classifier

    times, left_out = time_classifier(options.size or _CLASSIFIER_SIZE, options.rounds)
    for each in left_out:
        print(f"left out: {each}")
    return times


def _time_backbones(options: Options) -> list[BackboneTime]:
    from mobilenetdet.benchmark.backbone import time_backbone

    cases = {
        (options.batch_size or batch_size, options.size or size)
        for batch_size, size in _BACKBONE_CASES
    }
    return [
        row
        for batch_size, size in sorted(cases)
        for row in time_backbone(batch_size, size, options.precisions, options.rounds)
    ]


def _time_detectors(options: Options) -> list[DetectorTime]:
    from mobilenetdet.benchmark.detector import time_detector

    return [
        time_detector(name, config, options.rounds, options.batch_size)
        for name, config in options.configs()
    ]


def _time_inference(options: Options) -> list[InferenceTime]:
    from mobilenetdet.benchmark.detector import time_inference

    return [time_inference(name, config, options.rounds) for name, config in options.configs()]


_TIMERS = {
    "classifier": _time_classifier,
    "backbone": _time_backbones,
    "detector": _time_detectors,
    "inference": _time_inference,
}


def _silence_retracing() -> None:
    """Silences TensorFlow's retracing warnings: each row compiles functions of its own."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
