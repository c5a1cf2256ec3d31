"""Which objects, detections and pairs of them count for one class and level of KITTI's protocol."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobilenetdet.kitti.assignment import MIN_OVERLAPS, PackedFrames, assign_greedily, type_code
from mobilenetdet.kitti.labels import NEIGHBOURS, Difficulty

PROTOCOLS = ("current", "pre2017")
# The official program takes scores at or below this for "no detection".
_NO_SCORE = -10_000_000.0


def check_choice(kind: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value that is not one of the choices, and name the nearest one.

    Raises:
        ValueError: names the kind, the value and the choices.
    """
    if value not in choices:
        near = difflib.get_close_matches(value.title() if kind == "class" else value, choices, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown {kind} {value!r}, expected one of {', '.join(choices)}{hint}")


@dataclass(frozen=True, eq=False)
class Level:
    """What one class and level makes of N objects, M detections and P pairs of them.

    Attributes:
        scores: [M].
        gt_counts: [N] bool, objects that are hit or missed.
        det_counts: [M] bool, detections that are hits or false alarms.
        det_in_dontcare: [M] bool, detections that are no false alarms where they lie.
        frames: [P] frame of each pair that may be made.
        gts: [P] its object; pairs are in the order of the objects, then of the detections.
        dets: [P] its detection.
        overlaps: [P] its intersection over union.
    """

    scores: np.ndarray
    gt_counts: np.ndarray
    det_counts: np.ndarray
    det_in_dontcare: np.ndarray
    frames: np.ndarray
    gts: np.ndarray
    dets: np.ndarray
    overlaps: np.ndarray

    @classmethod
    def select(
        cls, packed: PackedFrames, *, class_name: str, difficulty: Difficulty, protocol: str
    ) -> Level:
        """Sort objects and detections into those that count, are ignored, or play no part."""
        code = type_code(class_name)
        neighbour = type_code(NEIGHBOURS[class_name]) if class_name in NEIGHBOURS else code
        heights = packed.gt_boxes[3] - packed.gt_boxes[1]
        det_heights = np.trunc(np.abs(packed.det_boxes[1] - packed.det_boxes[3]))
        small = det_heights < difficulty.min_height
        if protocol == "pre2017":
            small = np.zeros_like(small)
        tall = heights >= difficulty.min_height
        easy_enough = (packed.gt_occluded <= difficulty.max_occlusion) & (
            packed.gt_truncated <= difficulty.max_truncation
        )
        det_counts = (packed.det_types == code) & ~small
        gt_takes_part = (packed.gt_types == code) | (packed.gt_types == neighbour)
        min_overlap = MIN_OVERLAPS[class_name]
        pairs = gt_takes_part[packed.pair_gts] & (packed.pair_overlaps > min_overlap)
        pairs &= (det_counts | small)[packed.pair_dets]
        return cls(
            scores=packed.det_scores,
            gt_counts=(packed.gt_types == code) & tall & easy_enough,
            det_counts=det_counts,
            det_in_dontcare=packed.det_dontcare > min_overlap,
            frames=packed.pair_frames[pairs],
            gts=packed.pair_gts[pairs],
            dets=packed.pair_dets[pairs],
            overlaps=packed.pair_overlaps[pairs],
        )

    def assign_by_score(self) -> np.ndarray:
        """Return which pairs are made if each object takes the highest score, [P] bool."""
        available = (self.scores[self.dets] > _NO_SCORE).astype(np.uint64)
        return self._assign(-self.scores[self.dets], available).astype(bool)

    def assign_by_overlap(self, available: np.ndarray) -> np.ndarray:
        """Return at which thresholds each pair is made, [P] uint64.

        Args:
            available: [P] uint64; bit t is set where the pair's detection reaches threshold t.
        """
        counts = self.det_counts[self.dets]
        # Overlaps are above 0. Ignored detections come last, in the order of the file.
        return self._assign(np.where(counts, -self.overlaps, 0.0), available)

    def _assign(self, preference: np.ndarray, available: np.ndarray) -> np.ndarray:
        order = np.lexsort((preference, self.gts))  # stable: ties keep the order of the file
        made = np.empty_like(available)
        gts, dets, frames = self.gts[order], self.dets[order], self.frames[order]
        made[order] = assign_greedily(gts, dets, frames, available[order])
        return made
