"""Which detection goes to which labelled object under KITTI's 2D protocol, for many frames at once.

The frames of a data set are laid end to end, and only pairs of a detection and an object that
overlap enough are kept. Time and memory are linear in the number of frames; 3,769 frames with 64
detections each take about 50 MB.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobilenetdet.config.classes import KITTI_TASK, EvalTask
from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.kitti.labels import KittiObjects

# Detections whose overlaps are computed in one go: the intermediate arrays stay in the cache.
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class PackedFrames:
    """Labels and detections of many frames, end to end, and the pairs of them that overlap.

    N objects, M detections and P pairs over all frames; pairs are in the order of the objects,
    then of the detections.

    Attributes:
        task: the classes that the types were numbered by.
        gt_types: [N] int, see `type_codes`.
        gt_boxes: [4, N] left, top, right, bottom in pixels.
        gt_truncated: [N].
        gt_occluded: [N].
        det_types: [M] int, see `type_codes`.
        det_boxes: [4, M] left, top, right, bottom in pixels.
        det_scores: [M].
        det_dontcare: [M] largest share of the detection's area that one DontCare region covers.
        pair_frames: [P] frame of the pair.
        pair_gts: [P] index into the objects.
        pair_dets: [P] index into the detections.
        pair_overlaps: [P] intersection over union, above the threshold of `pack_frames`.
    """

    task: EvalTask
    gt_types: np.ndarray
    gt_boxes: np.ndarray
    gt_truncated: np.ndarray
    gt_occluded: np.ndarray
    det_types: np.ndarray
    det_boxes: np.ndarray
    det_scores: np.ndarray
    det_dontcare: np.ndarray
    pair_frames: np.ndarray
    pair_gts: np.ndarray
    pair_dets: np.ndarray
    pair_overlaps: np.ndarray


class TypeCodes(dict[str, int]):
    """Numbers of types whatever their case; looks a name up once per spelling.

    A data set holds few spellings and many objects.
    """

    def __init__(self, task: EvalTask) -> None:
        """Numbers the classes of a task by their places, and then the other types it knows."""
        super().__init__()
        classes = {t: task.index(name) for t, name in task.class_of_type.items()}
        others = [t.lower() for t in task.known_types if t.lower() not in classes]
        numbered = {t: code for code, t in enumerate(others, len(task.classes))}
        self._by_lower = classes | numbered

    def __missing__(self, type_name: str) -> int:
        """Returns -1 for a type that plays no part."""
        self[type_name] = self._by_lower.get(type_name.lower(), -1)
        return self[type_name]


@functools.lru_cache(maxsize=16)
def type_codes(task: EvalTask = KITTI_TASK) -> TypeCodes:
    """Numbers of types: a class and the types mapped to it, a neighbour, DontCare; else -1.

    Example:
        `type_codes()["car"]` is 0, `type_codes()["Truck"]` is -1.
    """
    return TypeCodes(task)


def pack_frames(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    task: EvalTask = KITTI_TASK,
    min_overlap: float | None = None,
) -> PackedFrames:
    """Lays the frames end to end and finds the pairs of detections and objects that overlap.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores.
        task: the classes; their places number the types.
        min_overlap: pairs with a higher intersection over union are kept; the protocol needs no
            lower one than the default, the lowest of the classes.

    Raises:
        ValueError: the two have different lengths, or detections lack scores or hold a score that
            is not finite; names the frame's index.
    """
    _check_frames(labels, detections)
    gt_boxes, det_boxes = _join_boxes(labels), _join_boxes(detections)
    gt_types, det_types = _encode_types(labels, task), _encode_types(detections, task)
    num_dets, num_gts = _count_boxes(detections), _count_boxes(labels)
    det_frames = np.repeat(np.arange(len(detections)), num_dets)
    pairs, det_dontcare = _find_overlaps(
        det_boxes,
        gt_boxes,
        gts_from=(np.cumsum(num_gts) - num_gts)[det_frames],
        num_gts=num_gts[det_frames],
        is_dontcare=gt_types == type_codes(task)[DONT_CARE_TYPE],
        min_overlap=task.lowest_overlap if min_overlap is None else min_overlap,
    )
    return PackedFrames(
        task=task,
        gt_types=gt_types,
        gt_boxes=gt_boxes,
        gt_truncated=_concatenate([frame.truncated for frame in labels]),
        gt_occluded=_concatenate([frame.occluded for frame in labels]),
        det_types=det_types,
        det_boxes=det_boxes,
        det_scores=_join_scores(detections),
        det_dontcare=det_dontcare,
        pair_frames=det_frames[pairs[0]],
        pair_gts=pairs[1],
        pair_dets=pairs[0],
        pair_overlaps=pairs[2],
    )


def assign_greedily(
    gts: np.ndarray, dets: np.ndarray, frames: np.ndarray, available: np.ndarray
) -> np.ndarray:
    """Returns which of the pairs are made when each object and each detection is used once.

    Pairs are offered one after the other and made if both sides are still free. This is done for
    up to 64 thresholds at once: bit t of a number stands for threshold t.

    Args:
        gts: [P] object of each pair, in the order in which pairs are offered.
        dets: [P] detection of each pair.
        frames: [P] frame of each pair, not decreasing.
        available: [P] uint64, the thresholds at which the pair may be made at all.

    Returns:
        [P] uint64, the thresholds at which the pair is made.

    Example:
        Two pairs of one object at one threshold, gts [0, 0], dets [0, 1], frames [0, 0] and
        available [1, 1], give [1, 0].
    """
    made = np.zeros(len(gts), np.uint64)
    if not len(gts):
        return made
    used_gts = np.zeros(int(gts.max()) + 1, np.uint64)
    used_dets = np.zeros(int(dets.max()) + 1, np.uint64)
    starts = np.flatnonzero(np.r_[True, frames[1:] != frames[:-1]])
    lengths = np.diff(np.r_[starts, len(frames)])
    turns = np.arange(len(frames)) - np.repeat(starts, lengths)
    # Frames do not touch each other: the k-th pairs of all of them are handled together.
    by_turn = np.argsort(turns, kind="stable")
    for rows in np.split(by_turn, np.cumsum(np.bincount(turns))[:-1]):
        gt, det = gts[rows], dets[rows]
        free = available[rows] & ~(used_gts[gt] | used_dets[det])
        made[rows] = free
        used_gts[gt] |= free
        used_dets[det] |= free
    return made


def _check_frames(labels: Sequence[KittiObjects], detections: Sequence[KittiObjects]) -> None:
    if len(labels) != len(detections):
        raise ValueError(
            f"{len(labels)} frames of labels and {len(detections)} of detections; a frame without "
            "detections needs an empty entry"
        )
    for index, frame in enumerate(detections):
        if len(frame) and frame.scores is None:
            raise ValueError(f"the detections of frame {index} have no scores")


def _count_boxes(frames: Sequence[KittiObjects]) -> np.ndarray:
    return np.array([len(frame) for frame in frames], np.int64)


def _join_scores(detections: Sequence[KittiObjects]) -> np.ndarray:
    scores = _concatenate([frame.scores for frame in detections if frame.scores is not None])
    if not np.isfinite(scores).all():
        known = ((i, f.scores) for i, f in enumerate(detections) if f.scores is not None)
        bad = [index for index, of_frame in known if not np.isfinite(of_frame).all()]
        raise ValueError(
            f"frame {bad[0]} has a score that is not finite: {detections[bad[0]].scores}"
        )
    return scores


def _join_boxes(frames: Sequence[KittiObjects]) -> np.ndarray:
    return _concatenate([frame.boxes_xyxy for frame in frames], (0, 4)).T.copy()  # [4, N]


def _concatenate(arrays: list[np.ndarray], empty_shape: tuple[int, ...] = (0,)) -> np.ndarray:
    return np.concatenate(arrays).astype(np.float64) if arrays else np.empty(empty_shape)


def _encode_types(frames: Sequence[KittiObjects], task: EvalTask) -> np.ndarray:
    codes = type_codes(task)
    return np.array([codes[name] for frame in frames for name in frame.types.tolist()], np.int64)


def _find_overlaps(
    det_boxes: np.ndarray,
    gt_boxes: np.ndarray,
    *,
    gts_from: np.ndarray,
    num_gts: np.ndarray,
    is_dontcare: np.ndarray,
    min_overlap: float,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Returns the pairs (detections, objects, overlaps) and each detection's share of DontCare.

    Detection i is compared with the `num_gts[i]` objects of its frame that begin at `gts_from[i]`.
    """
    det_areas = (det_boxes[2] - det_boxes[0]) * (det_boxes[3] - det_boxes[1])
    gt_areas = (gt_boxes[2] - gt_boxes[0]) * (gt_boxes[3] - gt_boxes[1])
    dontcare = np.zeros(len(num_gts))
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for first in range(0, len(num_gts), _CHUNK):
        counts = num_gts[first : first + _CHUNK]
        shifts = gts_from[first : first + _CHUNK] - (np.cumsum(counts) - counts)
        dets = np.repeat(np.arange(first, first + len(counts)), counts)
        gts = np.arange(len(dets)) + np.repeat(shifts, counts)
        dets, gts, shared = _intersect(det_boxes, gt_boxes, dets, gts)
        stuff = is_dontcare[gts]
        in_stuff = dets[stuff]
        np.maximum.at(dontcare, in_stuff, shared[stuff] / det_areas[in_stuff])
        dets, gts, shared = dets[~stuff], gts[~stuff], shared[~stuff]
        overlaps = shared / (det_areas[dets] + gt_areas[gts] - shared)
        kept = overlaps > min_overlap
        found.append((dets[kept], gts[kept], overlaps[kept]))
    dets, gts, overlaps = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((dets, gts))
    return (dets[order], gts[order], overlaps[order]), dontcare


def _intersect(
    det_boxes: np.ndarray, gt_boxes: np.ndarray, dets: np.ndarray, gts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pairs that share an area, and that area in square pixels."""
    widths = np.minimum(det_boxes[2][dets], gt_boxes[2][gts])
    widths -= np.maximum(det_boxes[0][dets], gt_boxes[0][gts])
    side_by_side = widths > 0
    dets, gts, widths = dets[side_by_side], gts[side_by_side], widths[side_by_side]
    heights = np.minimum(det_boxes[3][dets], gt_boxes[3][gts])
    heights -= np.maximum(det_boxes[1][dets], gt_boxes[1][gts])
    touching = heights > 0
    return dets[touching], gts[touching], widths[touching] * heights[touching]
