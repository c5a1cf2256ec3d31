"""Time the input pipeline as a whole and stage by stage, and say what limits it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import tyro

from mobilenetdet.cli.options import parse
from mobilenetdet.config.detection import AugmentConfig, DataConfig, DetectionConfig, TrainConfig
from mobilenetdet.system.quiet import import_tensorflow_quietly


@dataclass(frozen=True)
class Options:
    """Time the input pipeline as training uses it, and say what limits it.

    Prints frames per second without and with augmentation, and the milliseconds of one core that
    each stage takes of a frame. Run it on a machine that does nothing else.
    """

    # Folder of the TFRecord shards that `mobilenetdet tf_convert_data` writes.
    records_dir: str = "data/KITTI/tfrecord"
    # Split to read.
    split: str = "train"
    # Frames to time each way; a split with fewer is read several times.
    num_frames: int = 1000
    # Frames a batch.
    batch_size: int = 4
    # Height of the network input, pixels, a multiple of 32.
    image_height: int = 384
    # Width of the network input, pixels, a multiple of 32.
    image_width: int = 1248
    # Probabilities and strengths of the augmentation.
    augment: tyro.conf.FlagConversionOff[AugmentConfig] = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        """Checks the number of frames."""
        if self.num_frames <= 0:
            raise ValueError(f"num_frames is {self.num_frames}; it must be above 0")

    def config(self, *, augment: bool) -> DetectionConfig:
        """Returns the config that the options stand for."""
        data = DataConfig(
            records_dir=self.records_dir,
            train_split=self.split,
            image_height=self.image_height,
            image_width=self.image_width,
        )
        return DetectionConfig(
            data=data,
            augment=replace(self.augment, enabled=augment),
            train=TrainConfig(batch_size=self.batch_size),
        )


def main(argv: list[str] | None = None) -> int:
    """Times the pipeline and prints what it found; returns 0.

    Raises:
        FileNotFoundError: the split is not converted.
    """
    options = parse(Options, argv)
    import_tensorflow_quietly()
    # Not at the top: it takes seconds to import, and the help does without.
    from mobilenetdet.benchmark.pipeline import (
        describe_limit,
        rate_bound,
        time_pipeline,
        time_stages,
    )
    from mobilenetdet.data.pipeline import num_workers

    height, width = options.image_height, options.image_width
    workers = num_workers()
    print(
        f"{options.split} of {options.records_dir} at {height}x{width}, "
        f"batches of {options.batch_size}, {workers} workers"
    )
    stages, png_percent = time_stages(options.config(augment=True))
    print("\nstage            ms a frame on one core")
    for name, milliseconds in stages.items():
        print(f"  {name:12} {milliseconds:8.2f}")
    print("\npipeline         frames/s   of what the workers could do")
    for augment in (False, True):
        rate = time_pipeline(options.config(augment=augment), options.num_frames)
        bound = rate_bound(stages, workers, augment=augment)
        name = "augmented" if augment else "plain"
        print(f"  {name:12} {rate:8.0f}   {rate / bound:.0%}")
    print("\n" + describe_limit(stages, rate / bound, png_percent))
    return 0
