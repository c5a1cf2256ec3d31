"""What looks wrong with a detector's results before a number is made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from mobilenetdet.config.classes import HARD, KITTI_TASK, EvalTask
from mobilenetdet.config.type_names import KITTI_TYPES, nearest
from mobilenetdet.findings import count_named
from mobilenetdet.kitti.assignment import pack_frames
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.protocol import Selection
from mobilenetdet.kitti.results import ResultSet

# Boxes of a class that overlap more than this are one detection twice. Suppression leaves none;
# a few come from detectors that keep near boxes on purpose, so a share of them is let pass.
_REPEATED_IOU, _REPEATED_SHARE = 0.95, 0.02
# Soft suppression leaves such boxes with a fraction of the score of the best one near them, and
# then two of them may lie on each other.
_REPEATED_SCORE, _NEAR_IOU = 0.3, 0.8
# Compared with each other in a frame: files without suppression hold thousands.
_NUM_COMPARED = 200
# Boxes are tried in other conventions on this many frames.
_NUM_TRIED_FRAMES = 200
# Another convention is named if it finds this share of the objects and this many times as many.
_CONVINCING_SHARE, _CONVINCING_FACTOR = 0.15, 3

# Ways to write a box, and what makes left, top, right, bottom [M, 4] of it.
_CONVENTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "top left bottom right": lambda b: b[:, [1, 0, 3, 2]],
    "left right top bottom": lambda b: b[:, [0, 2, 1, 3]],
    "left top width height": lambda b: np.hstack([b[:, :2], b[:, :2] + b[:, 2:]]),
    "centre x, centre y, width, height": lambda b: np.hstack(
        [b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2]
    ),
}


def check_results(results: ResultSet, task: EvalTask = KITTI_TASK) -> list[str]:
    """Looks for the mistakes that make an AP wrong without any error.

    Args:
        results: what is to be scored.
        task: the classes that it is scored for.

    Returns:
        One line for each, with counts and names; empty if all looks well.
    """
    checks = (
        _check_files,
        _check_labels,
        _check_types,
        _check_classes,
        _check_scores,
        _check_repeated,
        check_convention,
    )
    return [finding for check in checks for finding in check(results, task)]


def refuse_unknown_classes(results: ResultSet, task: EvalTask) -> None:
    """Refuses a task with a class that neither KITTI has nor any object or detection.

    Raises:
        ValueError: there is one; names the nearest type, and all that there are.
    """
    frames = [*results.labels, *results.detections]
    types = sorted({name for frame in frames for name in frame.types.tolist()})
    known = {name.lower() for name in (*KITTI_TYPES, *types)}
    for entry in task.classes:
        if entry.name.lower() not in known and not entry.mapped_types:
            raise ValueError(
                f"classes: no object and no detection is of type {entry.name}"
                f"{nearest(entry.name, (*KITTI_TYPES, *types)) or '.'} There are: "
                f"{', '.join(types)}"
            )


def _check_files(results: ResultSet, task: EvalTask) -> Iterator[str]:
    yield from results.missing_results()
    if extra := results.not_scored:
        num_files = len(results.frame_ids) - len(results.without_result) + len(extra)
        yield count_named(extra, num_files, "result files are of no frame of the split, left out")


def _check_labels(results: ResultSet, task: EvalTask) -> Iterator[str]:
    found = {name for frame in results.labels for name in frame.types.tolist()}
    if not found:
        yield "no label file holds an object: a split without labels cannot be scored"
        return
    classes = task.class_of_type
    labelled = {classes.get(name.lower()) for name in found}
    for name in task.names:
        if name not in labelled:
            hint = nearest(name, sorted(t for t in found if t.lower() not in classes))
            yield f"no frame has a {name} in its labels; its AP is 0 whatever is detected{hint}"


def _check_types(results: ResultSet, task: EvalTask) -> Iterator[str]:
    found = Counter(name for frame in results.detections for name in frame.types.tolist())
    known = {name.lower() for name in (*task.known_types, *KITTI_TYPES)}
    for name, count in found.most_common():
        if name.lower() not in known:
            yield (
                f"{count:,} detections are of type {name!r}, which is no class here and nothing is "
                f"matched with{nearest(name, task.names)}"
            )


def _check_classes(results: ResultSet, task: EvalTask) -> Iterator[str]:
    classes = task.class_of_type
    types = {name.lower() for frame in results.detections for name in frame.types.tolist()}
    found = {classes.get(name) for name in types}
    for name in task.names:
        if name not in found:
            yield f"no {name} is detected in any frame; its AP is 0"


def _check_scores(results: ResultSet, task: EvalTask) -> Iterator[str]:
    scores = np.concatenate([np.empty(0), *(frame.scores for frame in results.detections)])
    if not len(scores):
        return
    outside = (scores < 0) | (scores > 1)
    if outside.any():
        yield (
            f"{int(outside.sum()):,} of {len(scores):,} scores lie outside of 0 to 1 "
            f"({scores.min():g} to {scores.max():g}); AP needs their order alone, but are they "
            "scores?"
        )
    if len(scores) > 1 and scores.min() == scores.max():
        yield f"all {len(scores):,} scores are {scores[0]:g}; AP has no order to go by"


def _check_repeated(results: ResultSet, task: EvalTask) -> Iterator[str]:
    """Detections written twice, or never suppressed: all but one of them are false alarms."""
    repeated = num_detections = 0
    frames = []
    for frame_id, frame in zip(results.frame_ids, results.detections, strict=True):
        best = frame[np.argsort(-frame.scores, kind="stable")[:_NUM_COMPARED]]
        count = _count_repeated(best)
        repeated, num_detections = repeated + count, num_detections + len(best)
        frames += [frame_id] if count else []
    if repeated > _REPEATED_SHARE * num_detections:
        what = (
            f"frames hold detections of one class on the same box ({repeated:,} of "
            f"{num_detections:,} detections repeat another; was suppression skipped?)"
        )
        yield count_named(frames, len(results.frame_ids), what)


def _count_repeated(frame: KittiObjects) -> int:
    """Detections that lie on a better one of their class, and score as if none were near."""
    if len(frame) < 2:
        return 0
    boxes = frame.boxes_xyxy
    sides = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])  # [N, N, 2]
    sides = (sides - np.maximum(boxes[:, None, :2], boxes[None, :, :2])).clip(0)
    both = sides.prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
    unions = areas[:, None] + areas - both
    better = np.tril(frame.types[:, None] == frame.types, -1)
    same = (better & (both > _REPEATED_IOU * unions)).any(axis=1)
    near = better & (both > _NEAR_IOU * unions)
    best = np.where(near, frame.scores, -np.inf).max(axis=1)
    return int((same & (frame.scores >= np.minimum(_REPEATED_SCORE * best, best))).sum())


def check_convention(results: ResultSet, task: EvalTask) -> Iterator[str]:
    """Looks for boxes that would fit the labels if they were read in another order or resolution.

    Args:
        results: what is to be scored; the boxes may have negative sides.
        task: the classes that it is scored for.

    Yields:
        One line for each reading that fits far better.
    """
    chosen = [i for i, frame in enumerate(results.labels) if _is_scored(frame, task).any()]
    step = -(-len(chosen) // _NUM_TRIED_FRAMES) or 1
    labels = [results.labels[i] for i in chosen[::step]]
    detections = [results.detections[i] for i in chosen[::step]]
    if not labels or not sum(len(frame) for frame in detections):
        return
    own, num_objects = _count_found(labels, detections, task)
    conventions = dict(_CONVENTIONS)
    factor_x, factor_y = _scale_to_labels(labels, detections, task)
    scaled = f"pixels of an image {1 / factor_x:.2g} times as wide and {1 / factor_y:.2g} as high"
    conventions[scaled] = lambda b: b * [factor_x, factor_y, factor_x, factor_y]
    for name, convert in conventions.items():
        found, _ = _count_found(labels, [_converted(frame, convert) for frame in detections], task)
        if found >= max(_CONVINCING_SHARE * num_objects, _CONVINCING_FACTOR * own, 2):
            yield (
                f"the boxes fit {own:,} of {num_objects:,} objects; read as {name} they would fit "
                f"{found:,}. Write left top right bottom in pixels of the original image"
            )


def _count_found(
    labels: list[KittiObjects], detections: list[KittiObjects], task: EvalTask
) -> tuple[int, int]:
    """Objects of difficulty hard that a detection of their class covers, and objects in all."""
    packed = pack_frames(labels, detections, task=task)
    found = total = 0
    for code, entry in enumerate(task.classes):
        selection = Selection.of(
            packed,
            class_name=entry.name,
            difficulty=entry.difficulty(HARD.name),
            protocol="pre2017",
        )
        counts = selection.gt_counts[selection.gts] & (packed.det_types == code)[selection.dets]
        found += len(np.unique(selection.gts[counts]))
        total += int(selection.gt_counts.sum())
    return found, total


def _scale_to_labels(
    labels: list[KittiObjects], detections: list[KittiObjects], task: EvalTask
) -> tuple[float, float]:
    """How much larger the labels reach to the right and down than the detections."""
    reach = []
    for frames in (labels, detections):
        boxes = np.concatenate([frame.boxes_xyxy[_is_scored(frame, task)] for frame in frames])
        reach.append(np.quantile(boxes[:, 2:], 0.98, axis=0) if len(boxes) else np.ones(2))
    factor = np.maximum(reach[0], 1e-6) / np.maximum(reach[1], 1e-6)
    return float(factor[0]), float(factor[1])


def _converted(frame: KittiObjects, convert: Callable[[np.ndarray], np.ndarray]) -> KittiObjects:
    return KittiObjects.from_detections(frame.types, convert(frame.boxes_xyxy), frame.scores)


def _is_scored(frame: KittiObjects, task: EvalTask) -> np.ndarray:
    classes = task.class_of_type
    return np.array([name.lower() in classes for name in frame.types.tolist()], bool)
