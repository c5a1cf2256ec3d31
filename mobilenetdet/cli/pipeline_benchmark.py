"""Time the input pipeline as a whole and stage by stage, and say what limits it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import tyro

from mobilenetdet.cli.options import parse
from mobilenetdet.cli.quiet import import_tensorflow_quietly
from mobilenetdet.config.detection import AugmentConfig, DataConfig, DetectionConfig, TrainConfig
from mobilenetdet.data.letterbox_image import letterbox_image
from mobilenetdet.records.detection_record import decode_record
from mobilenetdet.records.encoded_image import decode_image
from mobilenetdet.records.shards import count_frames, shard_paths

# Stages are timed on this many frames at most, kept in memory: some 2 MB each.
_MAX_STAGE_FRAMES = 100
_WARM_UP_BATCHES = 8
# Below this share of what the workers could do, something else holds them up.
_GOOD_SHARE = 0.7
_MANY_PNG_PERCENT = 10


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
    # Not at the top, here and below: it takes seconds to import, and the help does without.
    from mobilenetdet.data.pipeline import num_workers

    height, width = options.image_height, options.image_width
    workers = num_workers()
    print(
        f"{options.split} of {options.records_dir} at {height}x{width}, "
        f"batches of {options.batch_size}, {workers} workers"
    )
    stages, png_percent = time_stages(options)
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


def time_stages(options: Options) -> tuple[dict[str, float], int]:
    """Times the stages in one thread, on frames from all over the split.

    `read` is what TensorFlow needs to get the records out of the files (out of the page cache, if
    they were read before), the others are the parts of `FramePreparer.prepare_batch`.

    Returns:
        Milliseconds a frame by stage, and how many of 100 images are PNG.
    """
    import tensorflow as tf

    from mobilenetdet.data.augment import Augmenter

    config = options.config(augment=True)
    augmenter = Augmenter(options.augment)
    total = count_frames(options.records_dir, options.split)
    paths = [str(path) for path in shard_paths(options.records_dir, options.split)]
    records = tf.data.TFRecordDataset(paths)
    payloads = list(records.shard(-(-total // _MAX_STAGE_FRAMES), 0).as_numpy_iterator())
    frames = [decode_record(payload) for payload in payloads]
    images = [decode_image(frame.encoded, f"frame {frame.frame_id}") for frame in frames]
    pairs = list(zip(images, frames, strict=True))
    stages = {
        "read": _per_item(lambda: sum(1 for _ in records)),
        "record": _per_item(lambda: [decode_record(payload) for payload in payloads]),
        "decode": _per_item(lambda: [decode_image(f.encoded, f.frame_id) for f in frames]),
        "letterbox": _per_item(lambda: [letterbox_image(i, config.image_size) for i in images]),
    }
    stages["augment"] = _per_item(
        lambda: [
            augmenter(image, frame.objects.boxes_xyxy, seed=(0, index))
            for index, (image, frame) in enumerate(pairs)
        ]
    )
    return stages, round(100 * sum(f.format == "png" for f in frames) / len(frames))


def time_pipeline(config: DetectionConfig, num_frames: int) -> float:
    """Returns the frames per second that `train_batches` gives after a warm-up."""
    from mobilenetdet.data.pipeline import train_batches

    batches = iter(train_batches(config))
    for _ in itertools.islice(batches, _WARM_UP_BATCHES):
        pass
    start, count = time.perf_counter(), 0
    while count < num_frames:
        count += int(next(batches)[0].shape[0])
    return count / (time.perf_counter() - start)


def rate_bound(stages: dict[str, float], workers: int, *, augment: bool) -> float:
    """Returns the frames per second if all workers did nothing but the stages.

    Example: two workers and stages of 5 ms together give 400.
    """
    used = sum(value for name, value in stages.items() if augment or name != "augment")
    return workers * 1e3 / max(used, 1e-9)


def describe_limit(stages: dict[str, float], share: float, png_percent: int) -> str:
    """Says which stage costs most, whether the cores are used, and what would help.

    Args:
        stages: milliseconds a frame by stage.
        share: frames per second that came out, as a share of `rate_bound`.
        png_percent: how many of 100 images are PNG.
    """
    name = max(stages, key=stages.__getitem__)
    total = sum(stages.values())
    lines = [f"What limits it: {name}, {stages[name]:.1f} of {total:.1f} ms a frame."]
    if share < _GOOD_SHARE:
        lines.append(
            f"Only {share:.0%} of what the workers could do came out: the cores are busy with "
            "something else\nor share their caches, or there are more workers than Python's lock "
            "lets through."
        )
    if name == "decode" and png_percent >= _MANY_PNG_PERCENT:
        lines.append(
            f"{png_percent} % of the images are PNG. JPEG decodes several times faster: "
            "mobilenetdet tf_convert_data --jpeg_quality 95."
        )
    return "\n".join(lines)


def _per_item(work: Callable[[], list | int]) -> float:
    """Returns the milliseconds per item of the second of two runs."""
    work()
    start = time.perf_counter()
    result = work()
    count = result if isinstance(result, int) else len(result)
    return 1e3 * (time.perf_counter() - start) / max(1, count)
