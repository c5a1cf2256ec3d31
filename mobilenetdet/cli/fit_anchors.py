"""Fit anchor shapes to the boxes of a data set, and say what they cover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.boxes.anchor_fitting import best_grid_ious, fit_shapes
from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.cli.config_options import format_level
from mobilenetdet.cli.options import parse
from mobilenetdet.cli.output_file import check_output_file, output_file
from mobilenetdet.config.anchor_shapes import KITTI_ANCHORS
from mobilenetdet.config.classes import EVALUATED_CLASSES, EvalTask
from mobilenetdet.config.detection import SQUEEZEDET_ANCHORS, LevelConfig
from mobilenetdet.data.class_counts import refuse_absent_classes
from mobilenetdet.data.input_size import fitting_size
from mobilenetdet.files.text import write_json
from mobilenetdet.findings import counted
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.results import read_label_files
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import shard_paths

# Edges of the parts by height that coverage is printed for, pixels of the network input.
_HEIGHTS = (0, 25, 40, 60, 100, np.inf)
# The network input for KITTI's frames, pixels.
_HEIGHT, _WIDTH = 384, 1248
# Stride and shapes (width, height) of one map of the pyramid.
Level = tuple[int, np.ndarray]


@dataclass(frozen=True)
class Options:
    """Fit anchor shapes to labelled boxes by k-medians over IoU, and say what they cover.

    Prints which share of the objects has no anchor that overlaps it enough, by class and height,
    for the fitted shapes and for the known ones, and the shapes as options of the train command.
    """

    # Folder of label files NNNNNN.txt; all frames are taken to have the size below.
    label_dir: Path = Path("data/KITTI/training/label_2")
    # Folder of records to read instead of labels; each frame has its own size then.
    records_dir: Path | None = None
    # Split of those records; by default train.
    split: str | None = None
    # Classes to fit the shapes to: any types of the labels.
    classes: tuple[str, ...] = EVALUATED_CLASSES
    # Other types that count as one of them, by type: Van Car Truck Car.
    class_map: dict[str, str] = field(default_factory=dict)
    # Width of the frames that label files belong to, pixels.
    frame_width: int = 1242
    # Height of those frames, pixels.
    frame_height: int = 375
    # Width of the network input, pixels; by default 1248, or for records what fits the shape of
    # their pictures.
    image_width: int | None = None
    # Height of the network input, pixels; by default 384, or for records what fits their pictures.
    image_height: int | None = None
    # Stride of each map, finest first.
    strides: tuple[int, ...] = (8,)
    # Shapes on each of these maps; the smallest go to the first.
    num_shapes: tuple[int, ...] = (9,)
    # What a class weighs in all: its number of objects to the power of 1 less this. 0 counts
    # every object the same, 1 every class.
    balance: float = 0.45
    # IoU from which on an anchor covers an object.
    min_iou: float = 0.5
    # Decides about the first shapes of k-medians.
    seed: int = 0
    # Picture of the shapes over the sizes of the objects.
    plot: Path | None = None
    # File for mobilenetdet train --config, .json: shapes, classes, input size and the records.
    save_config: Path | None = None
    # Replaces files of others that have the names of --plot and --save_config.
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Checks that there is a number of shapes for each stride, and the ranges."""
        if len(self.strides) != len(self.num_shapes):
            raise ValueError(
                f"{len(self.strides)} strides and {len(self.num_shapes)} numbers of shapes; "
                "give one for each map"
            )
        if self.split is not None and self.records_dir is None:
            raise ValueError(
                f"--split {self.split} is a split of records; name them with --records_dir (all "
                f"label files of {self.label_dir} are read otherwise)"
            )
        if (self.image_width is None) != (self.image_height is None):
            raise ValueError("give both --image_width and --image_height, or neither")
        for name in ("frame_width", "frame_height", "image_width", "image_height"):
            if (size := getattr(self, name)) is not None and size < 1:
                raise ValueError(f"{name} is {size}; it must be above 0")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be 0 or more")
        if self.plot is not None and self.plot == self.save_config:
            raise ValueError(f"--plot and --save_config are both {self.plot}; name two files")
        for name in ("strides", "num_shapes"):
            if min(getattr(self, name), default=0) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; each must be above 0")
        for name in ("balance", "min_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be between 0 and 1")


def main(argv: list[str] | None = None) -> int:
    """Fits, prints and draws; returns 0.

    Raises:
        FileExistsError: a file of others has the name of the picture.
        FileNotFoundError: there are no labels or records.
        ValueError: too few objects for so many shapes, or none of a class.
    """
    options = parse(Options, argv)
    for path in filter(None, (options.plot, options.save_config)):
        check_output_file(path, overwrite=options.overwrite)
    frames = list(_frames(options))
    options = replace(options, **_input_size(options, [size for size, _ in frames]))
    boxes, class_names = _read_boxes(options, frames)
    sizes = boxes[:, 2:] - boxes[:, :2]
    shapes = fit_shapes(
        sizes,
        sum(options.num_shapes),
        weights=class_weights(class_names, options.balance),
        seed=options.seed,
    ).round(1)
    ends = np.cumsum(options.num_shapes)[:-1]
    fitted = list(zip(options.strides, np.split(shapes, ends), strict=True))
    known: dict[str, list[Level]] = {
        "SqueezeDet's at stride 16": [(16, np.array(SQUEEZEDET_ANCHORS))],
        "KITTI_ANCHORS at stride 8": [(8, np.array(KITTI_ANCHORS))],
    }
    print(
        f"{counted(len(boxes), 'object')} at {options.image_height}x{options.image_width} (height "
        f"x width); without an anchor of IoU {options.min_iou:g} or more:"
    )
    for name, levels in {"fitted": fitted, **known}.items():
        print("\n".join(_coverage_lines(name, levels, boxes, class_names, options)))
    print("\n".join(_snippet(fitted)))
    if options.plot is not None:
        # Not at the top: matplotlib takes a second to import.
        from mobilenetdet.drawing.anchor_plot import write_shapes

        with output_file(options.plot, overwrite=options.overwrite) as path:
            write_shapes(path, sizes, class_names, fitted, classes=options.classes)
        print(options.plot)
    if options.save_config is not None:
        with output_file(options.save_config, overwrite=options.overwrite) as path:
            write_json(path, _settings(options, fitted))
        print(f"{options.save_config}: for mobilenetdet train --config {options.save_config}")
    return 0


def class_weights(class_names: np.ndarray, balance: float) -> np.ndarray:
    """Weighs objects [N] so that a class of n objects weighs n ** (1 - balance) in all."""
    _, index, counts = np.unique(class_names, return_inverse=True, return_counts=True)
    return (counts.astype(np.float64) ** -balance)[index]


def _input_size(options: Options, sizes: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Height and width of the network input: what was asked for, KITTI's, or what fits records."""
    height, width = options.image_height or _HEIGHT, options.image_width or _WIDTH
    if options.image_height is None and options.records_dir is not None and sizes:
        (most_frequent, _), *_ = Counter(sizes).most_common(1)
        height, width = fitting_size(most_frequent, _HEIGHT * _WIDTH)
    return {"image_height": height, "image_width": width}


def _settings(options: Options, levels: Sequence[Level]) -> dict[str, Any]:
    """What was fitted, as settings to put over a preset."""
    data: dict[str, Any] = {"classes": options.classes, "class_map": options.class_map}
    if options.records_dir is not None:
        data |= {"records_dir": str(options.records_dir), "train_split": options.split or "train"}
    data |= {"image_height": options.image_height, "image_width": options.image_width}
    shapes = [{"stride": stride, "anchors": own.round(1).tolist()} for stride, own in levels]
    # Several maps go with this head alone.
    head = {"head": {"kind": "ssd"}} if len(levels) > 1 else {}
    return {"data": data, "model": {"levels": shapes}, **head}


def _read_boxes(
    options: Options, frames: Sequence[tuple[tuple[int, int], KittiObjects]]
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [N, 4] in network pixels and class names [N] of the objects with an area."""
    task = EvalTask.of(options.classes, class_map=options.class_map)
    class_of_type = task.class_of_type
    network = (options.image_height, options.image_width)
    boxes, names = [np.empty((0, 4))], [np.empty(0, str)]
    counts: Counter[str] = Counter()
    for size, objects in frames:
        counts.update(objects.types.tolist())
        classes = np.array([class_of_type.get(t.lower(), "") for t in objects.types], str)
        objects, classes = objects[classes != ""], classes[classes != ""]
        moved = Letterbox.fit(size, network).apply(objects.boxes_xyxy)
        has_area = (moved[:, 2:] > moved[:, :2]).all(axis=1)
        boxes.append(moved[has_area])
        names.append(classes[has_area])
    refuse_absent_classes(task, counts, str(options.records_dir or options.label_dir))
    return np.concatenate(boxes), np.concatenate(names)


def _frames(options: Options) -> Iterator[tuple[tuple[int, int], KittiObjects]]:
    """Size (height, width) and objects of each frame."""
    if options.records_dir is None:
        size = (options.frame_height, options.frame_width)
        yield from ((size, objects) for objects in read_label_files(options.label_dir))
        return
    for frame in read_frames(shard_paths(options.records_dir, options.split or "train")):
        yield (frame.height, frame.width), frame.objects


def _coverage_lines(
    name: str, levels: Sequence[Level], boxes: np.ndarray, class_names: np.ndarray, options: Options
) -> Iterator[str]:
    size = (options.image_height, options.image_width)
    ious = [best_grid_ious(boxes, s, stride=stride, image_size=size) for stride, s in levels]
    uncovered = np.max(ious, axis=0) < options.min_iou
    heights = boxes[:, 3] - boxes[:, 1]
    parts = list(zip(_HEIGHTS, _HEIGHTS[1:], strict=False))
    names = [f"{low}-{high} px" if high < np.inf else f"{low} px on" for low, high in parts]
    yield f"\n{name:28}{'all':>10}" + "".join(f"{part:>14}" for part in names)
    for class_name in options.classes:
        own = class_names == class_name
        cells = [
            _share(uncovered[own & (heights >= low) & (heights < high)]) for low, high in parts
        ]
        yield f"  {class_name:26}{_share(uncovered[own]):>10}" + "".join(f"{c:>14}" for c in cells)


def _share(flags: np.ndarray) -> str:
    return f"{100 * flags.mean():.1f} %" if len(flags) else "-"


def _snippet(levels: Sequence[Level]) -> Iterator[str]:
    configs = [
        LevelConfig(stride, tuple((float(w), float(h)) for w, h in shapes.round(1)))
        for stride, shapes in levels
    ]
    yield "\nfor the train command:"
    words = " ".join(map(format_level, configs))
    yield f"  --model.levels {words}" + (" --head.kind ssd" if len(levels) > 1 else "")
    yield "for a preset:"
    yield "  levels=(" + " ".join(f"LevelConfig({c.stride}, {c.anchors})," for c in configs) + ")"
