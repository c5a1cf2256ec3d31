"""Times of the input pipeline, as a whole and stage by stage."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import tensorflow as tf

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.augment import Augmenter
from mobilenetdet.data.letterbox_image import letterbox_image
from mobilenetdet.data.pipeline import train_batches
from mobilenetdet.records.detection_record import decode_record
from mobilenetdet.records.encoded_image import decode_image
from mobilenetdet.records.shards import count_frames, shard_paths

# Stages are timed on this many frames at most, kept in memory: some 2 MB each.
_MAX_STAGE_FRAMES = 100
_WARM_UP_BATCHES = 8
# Below this share of what the workers could do, something else holds them up.
_GOOD_SHARE = 0.7
_MANY_PNG_PERCENT = 10


def time_stages(config: DetectionConfig) -> tuple[dict[str, float], int]:
    """Times the stages in one thread, on frames from all over the split.

    `read` is what TensorFlow needs to get the records out of the files (out of the page cache, if
    they were read before), the others are the parts of `FramePreparer.prepare_batch`.

    Args:
        config: whose training split, input size and augmentation are timed.

    Returns:
        Milliseconds a frame by stage, and how many of 100 images are PNG.
    """
    records_dir, split = config.data.records_dir, config.data.train_split
    augmenter = Augmenter(config.augment)
    total = count_frames(records_dir, split)
    paths = [str(path) for path in shard_paths(records_dir, split)]
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
