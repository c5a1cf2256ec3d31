"""Whether anchors and input fit the objects and pictures: said before hours of training."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np

from mobilenetdet.boxes.anchor_fitting import best_grid_ious
from mobilenetdet.boxes.box_status import OBJECT
from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.input_size import fitting_size
from mobilenetdet.data.targets import assign_box_status
from mobilenetdet.findings import counted
from mobilenetdet.records.detection_record import RecordFrame, read_frames
from mobilenetdet.records.shards import shard_paths

# Frames that are looked at, taken from all shards alike; so many tell a share to a hundredth.
_MAX_FRAMES = 2000
# Shares of objects without anchor from which on it is said: of all, and of one class. Shapes fitted
# to KITTI leave out 3 % there; SqueezeDet's and SSD's, which are known to train, up to 28 % of all
# and 45 % of the Pedestrians.
_MAX_SHARE, _MAX_SHARE_OF_CLASS = 0.3, 0.5
# Fewer objects of a class tell nothing.
_MIN_OBJECTS = 10
# An IoU that an anchor needs to learn an object beside the best one; where a config wants more, as
# one anchor an object does, the best one is still this near.
_NEAR_IOU = 0.5
# Share of the input that pictures fill below which it is said.
_MIN_FILLED = 0.6


def describe_fit(config: DetectionConfig) -> list[str]:
    """Says what of the anchors and the input size does not fit the training records.

    Args:
        config: of the training.

    Returns:
        A line with the remedy if many objects have no anchor that overlaps them enough to learn
        them, and one if most of the network input is empty beside the pictures; else none.

    Raises:
        FileNotFoundError: the split is not converted.
        ValueError: the records are damaged.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    boxes: dict[str, list[np.ndarray]] = {name: [] for name in config.data.classes}
    for frame in _sample(config):
        size = (frame.height, frame.width)
        sizes[size] += 1
        for name, own in _objects(frame, config).items():
            boxes[name].append(Letterbox.fit(size, config.for_training().image_size).apply(own))
    uncovered = {
        name: _without_anchor(np.concatenate(own), config) for name, own in boxes.items() if own
    }
    return [*_anchor_line(uncovered, config), *_size_line(sizes, config)]


def _sample(config: DetectionConfig) -> Iterator[RecordFrame]:
    """Frames of the training split, as many of each shard."""
    paths = shard_paths(config.data.records_dir, config.data.train_split)
    each = -(-_MAX_FRAMES // len(paths))
    for path in paths:
        yield from islice(read_frames([path]), each)


def _objects(frame: RecordFrame, config: DetectionConfig) -> dict[str, np.ndarray]:
    """The boxes [N, 4] that are learnt, by class, in pixels of the picture."""
    classes, status = assign_box_status(frame.objects, config.data)
    own = frame.objects.boxes_xyxy
    has_area = (own[:, 2:] > own[:, :2]).all(axis=1)
    learnt = (status == OBJECT) & has_area
    return {name: own[learnt & (classes == i)] for i, name in enumerate(config.data.classes)}


def _without_anchor(boxes_xyxy: np.ndarray, config: DetectionConfig) -> np.ndarray:
    """Whether no anchor is near, of those boxes [N, 4] that are high enough to be learnt."""
    height = boxes_xyxy[:, 3] - boxes_xyxy[:, 1]
    boxes = boxes_xyxy[height >= config.data.min_object_height]
    size = config.for_training().image_size
    ious = [
        best_grid_ious(boxes, shapes, stride=stride, image_size=size)
        for stride, shapes in config.model.anchor_levels
    ]
    return np.max(ious, axis=0) < min(config.matching.positive_iou, _NEAR_IOU)


def _anchor_line(uncovered: Mapping[str, np.ndarray], config: DetectionConfig) -> Iterator[str]:
    of_all = np.concatenate([np.zeros(0, bool), *uncovered.values()])
    poor = [
        name
        for name, flags in uncovered.items()
        if len(flags) >= _MIN_OBJECTS and flags.mean() > _MAX_SHARE_OF_CLASS
    ]
    if len(of_all) < _MIN_OBJECTS or (of_all.mean() <= _MAX_SHARE and not poor):
        return
    shares = ", ".join(
        f"{name} {100 * flags.mean():.0f} %" for name, flags in uncovered.items() if flags.any()
    )
    iou = min(config.matching.positive_iou, _NEAR_IOU)
    yield (
        f"{int(of_all.sum()):,} of {counted(len(of_all), 'object')} have no anchor of IoU {iou:g} "
        f"or more ({shares}), so that few anchors learn them; what other shapes leave out:\n"
        f"  {fit_command(config)}"
    )


def fit_command(config: DetectionConfig) -> str:
    """Returns the command that fits shapes to the training records, for the levels of a config.

    Example: "mobilenetdet fit_anchors --records_dir tfrecord --classes Van --image_height 320 ...".
    """
    height, width = config.for_training().image_size
    data, levels = config.data, config.model.levels
    words = ["mobilenetdet", "fit_anchors", "--records_dir", data.records_dir]
    words += ["--split", data.train_split] if data.train_split != "train" else []
    words += ["--classes", *data.classes]
    if data.class_map:
        words += ["--class_map", *(word for pair in data.class_map.items() for word in pair)]
    words += ["--image_height", str(height), "--image_width", str(width)]
    words += ["--strides", *(str(level.stride) for level in levels)]
    words += ["--num_shapes", *(str(len(level.anchors)) for level in levels)]
    return shlex.join(words)


def _size_line(sizes: Counter[tuple[int, int]], config: DetectionConfig) -> Iterator[str]:
    """Says what the most frequent size of pictures wastes."""
    if not sizes:
        return
    (size, count), network = sizes.most_common(1)[0], config.image_size
    scale = Letterbox.fit(size, network).scale
    filled = size[0] * size[1] * scale**2 / (network[0] * network[1])
    if filled >= _MIN_FILLED:
        return
    height, width = fitting_size(size, network[0] * network[1])
    yield (
        f"{count:,} of {counted(sizes.total(), 'picture')} are {size[0]}x{size[1]} (height x "
        f"width) and fill {100 * filled:.0f} % of the network input, {network[0]}x{network[1]}; "
        f"--data.image_height {height} --data.image_width {width} fits them better"
    )
